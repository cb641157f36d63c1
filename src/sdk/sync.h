/*
 * Sync: finding apps and getting them registered (reference/01 §4.8, §4.9, §5.4).
 *
 * One thread. It knows places (URLs): those the operator configured, those that apps registered themselves with, those it
 * discovered. To each it sends PUT, in-band first, then out of band, and keeps the last result in words that name cause and
 * remedy.
 */
#ifndef STEPGATE_SDK_SYNC_H
#define STEPGATE_SDK_SYNC_H

#include <stepgate/crypto.h>
#include <stepgate/engine.h>
#include <stepgate/store.h>

struct sg_sync;

struct sg_sync_options {
    struct sg_store *store;            /* apps are read from it; outlives the sync */
    struct sg_poster poster;           /* SG_MESSAGE_REGISTER, SG_MESSAGE_SYNC_FAILED */
    const struct sg_signing_key *keys; /* PUTs are signed with the first; copied */
    size_t key_count;
    const char *server_kind;   /* "dev" or "cloud" */
    const char *base_url;      /* of this gateway, e.g. "http://localhost:8288": named in remedies */
    const struct sg_str *urls; /* configured (-u); copied, normalised */
    size_t url_count;
    bool polls;                 /* PUT every known app at each interval; otherwise only those in error */
    bool discovers;             /* look for apps on the usual local ports until there is one */
    int port_extra;             /* $PORT, also looked at; 0: none */
    int port_own;               /* of this gateway: not looked at; 0: none */
    const int *discovery_ports; /* instead of the usual ones, for tests; NULL: the usual ones. Must outlive the sync */
    size_t discovery_port_count;
    int64_t poll_interval_ms; /* 0: 5 s */
    int64_t timeout_ms;       /* of one request; 0: 10 s */
};

/* Starts the thread, which begins with the configured URLs at once. sg_sync_free when done. */
enum sg_status sg_sync_create(const struct sg_sync_options *options, struct sg_sync **sync_out, struct sg_error *error);
/* Ends the thread; a request in flight is cut. NULL is fine. */
void sg_sync_free(struct sg_sync *sync);

/*
 * To be called by the server for each registration that an app posted and that was accepted, before the app gets its reply. Any
 * thread, never blocks. Tells the open PUT that its app has registered here.
 */
void sg_sync_note_registration(struct sg_sync *sync, struct sg_str app_name, struct sg_str announced_url);

/* For struct sg_registration_options: `context` is the sync. Any thread. */
bool sg_sync_configured_url(void *context, struct sg_str app_name, struct sg_str announced_url, struct sg_arena *arena,
                            struct sg_str *configured);

/* Asks for a sync of a URL now (a user's button). Any thread; the result shows in sg_sync_visit. SG_INVALID_ARGUMENT, SG_TOO_MANY, SG_NO_MEMORY. */
enum sg_status sg_sync_request(struct sg_sync *sync, struct sg_str url, struct sg_error *error);
/* Polls now instead of at the end of the interval. Any thread. */
void sg_sync_wake(struct sg_sync *sync);

enum sg_place_source { SG_PLACE_CONFIGURED, SG_PLACE_ANNOUNCED, SG_PLACE_DISCOVERED, SG_PLACE_REQUESTED };

/* One place, for lists and doctor. All texts are valid during the visit. */
struct sg_sync_place {
    struct sg_str url;
    enum sg_place_source source;
    bool is_tried;
    bool is_ok;                  /* the last try */
    struct sg_str app_name;      /* that registered through it; empty: none so far */
    struct sg_str announced_url; /* that the app itself names, if it is another */
    struct sg_str code;          /* "unreachable", "unauthorized", ... of the last failure */
    struct sg_str text;          /* the last failure: what the app said, which side, what to do */
    int64_t tried_at_ms;         /* wall clock */
};
/* Calls `visit` for each place under a lock: it must be quick and not call back. */
void sg_sync_visit(struct sg_sync *sync, void (*visit)(void *context, const struct sg_sync_place *place), void *context);

#endif
