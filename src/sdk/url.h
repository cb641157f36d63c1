/*
 * URLs as the protocol treats them (reference/01 §4.5, §7.1): cut into parts, normalised before they are stored, their query read, set and
 * merged as form-urlencoded pairs sorted by key. Pure text: nothing is resolved or fetched.
 */
#ifndef STEPGATE_SDK_URL_H
#define STEPGATE_SDK_URL_H

#include <stepgate/base.h>

#define SG_LIMIT_URL_BYTES 8192 /* ours: servers refuse longer request lines (Cloudflare: 16 KB) */

/* All parts are substrings of the URL. */
struct sg_url {
    struct sg_str scheme;   /* as written, "http" */
    struct sg_str userinfo; /* without '@' */
    struct sg_str host;     /* without brackets' stripping: "[::1]" stays so */
    struct sg_str port;     /* digits, or empty */
    struct sg_str path;     /* "/api/inngest", may be empty */
    struct sg_str query;    /* without '?' */
    struct sg_str fragment; /* without '#' */
};

/* False if there is no scheme or host, or a byte that no URL may hold (white space, controls). */
bool sg_url_parse(struct sg_str text, struct sg_url *url);
/* Whether the scheme is http or https. */
bool sg_url_is_http(const struct sg_url *url);

/*
 * The normalised form: without `deployId` and `probe`, query sorted by key and re-encoded, default ports dropped, 127.0.0.1 and
 * 0.0.0.0 with a port become localhost, scheme and host in lower case, no fragment. What cannot be parsed stays as it is.
 * Appends to `out`.
 */
void sg_url_normalise(struct sg_str text, struct sg_buf *out);
/* The same with `http://` in front if the text has no scheme: for URLs that people type. */
void sg_url_normalise_typed(struct sg_str text, struct sg_buf *out);

/* The decoded value of a query parameter into the arena; false if it is not there (or memory ran out). */
bool sg_url_query_get(struct sg_str text, struct sg_str key, struct sg_arena *arena, struct sg_str *value);
/* The URL with the parameter set (replaced or added); the query is sorted and re-encoded. Appends to `out`. */
void sg_url_query_set(struct sg_str text, struct sg_str key, struct sg_str value, struct sg_buf *out);
/* `target` with every query parameter of `original` that it does not have itself (redirects, reference/01 §7.9). Appends to `out`. */
void sg_url_query_merge(struct sg_str target, struct sg_str original, struct sg_buf *out);
/*
 * `text` moved to another place: scheme, host, port and path of `base`, the query of both (the one of `text` wins). For apps
 * that announce another address than the one the operator configured. Appends to `out`.
 */
void sg_url_rebase(struct sg_str text, struct sg_str base, struct sg_buf *out);
/* Whether two URLs are the same once normalised; false if memory ran out. */
bool sg_url_is_same(struct sg_str a, struct sg_str b);

#endif
