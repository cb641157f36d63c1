/* Discovery: looking for apps on the ports and paths where they are usually served (reference/01 §4.9). */
#ifndef STEPGATE_SDK_DISCOVERY_H
#define STEPGATE_SDK_DISCOVERY_H

#include <stepgate/crypto.h>

#include "sdk/exchange.h"

struct sg_discovery_options {
    const int *ports; /* NULL: the usual ones */
    size_t port_count;
    int port_extra; /* one more; 0: none */
    int port_own;   /* of this gateway: not looked at; 0: none */
    const char *server_kind;
    const struct sg_signing_key *key; /* probes are signed with it; NULL: unsigned */
};

/*
 * Calls `found` for each URL that is answered with an SDK's header; at most one a port. `is_closed` is true for one that only
 * says that an SDK is there and will not talk to us: it is in production mode. Blocks for two seconds at most for each of the
 * four paths. SG_OK or SG_NO_MEMORY.
 */
enum sg_status sg_discovery_run(struct sg_exchanger *exchanger, const struct sg_discovery_options *options,
                                void (*found)(void *context, struct sg_str url, bool is_closed), void *context);

#endif
