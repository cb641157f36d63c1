/* Who may call: signing keys as bearer tokens, event keys in the path (reference/03 §8). */
#ifndef STEPGATE_SERVER_AUTH_H
#define STEPGATE_SERVER_AUTH_H

#include <stepgate/base.h>
#include <stepgate/crypto.h>

struct sg_request;

struct sg_auth_keys {
    struct sg_signing_key *keys;
    size_t key_count;
    struct sg_str *event_keys;
    size_t event_key_count;
    struct sg_token_secret *token_secrets; /* the first signs, all are accepted; at least one */
    size_t token_secret_count;
};

struct sg_auth_options {
    const struct sg_signing_key *keys;
    size_t key_count;
    const struct sg_str *event_keys;
    size_t event_key_count;
    const struct sg_token_secret *token_secret; /* for when there is no signing key; NULL: one for this process */
};
/* Copies both kinds of keys, and derives what tokens are signed with. */
enum sg_status sg_auth_keys_init(struct sg_auth_keys *auth, const struct sg_auth_options *options, struct sg_error *error);
/* Wipes and frees. */
void sg_auth_keys_free(struct sg_auth_keys *auth);

/* Whether the request may go to its route. If not, the 401 or 503 has been set and logged. */
bool sg_auth_check(struct sg_request *request);

/*
 * The first six digits of the hash that a bearer token stands for, whether it is the hash or the key itself, so that it
 * can be compared with the fingerprint of ours; "none" without a token, "unreadable" if it is neither.
 */
#define SG_TOKEN_FINGERPRINT_MAX 16
void sg_auth_token_fingerprint(struct sg_str authorization, char text[SG_TOKEN_FINGERPRINT_MAX]);

#endif
