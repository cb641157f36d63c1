/* Asking an app about itself: GET on its URL (reference/01 §6.1). For doctor and the UI; runs do not need it. */
#ifndef STEPGATE_SDK_INTROSPECT_H
#define STEPGATE_SDK_INTROSPECT_H

#include <stepgate/crypto.h>

struct sg_introspection {
    int http_status; /* 0: no answer, `text` says why */
    bool is_sdk;     /* x-inngest-sdk, or x-inngest-sdk-handled */
    bool has_mode;   /* the answer said in which mode the app is */
    bool is_mode_cloud;
    bool is_authenticated; /* our signature was accepted: the long form came */
    bool has_signing_key;
    bool has_event_key;
    int64_t function_count;         /* -1: not said */
    struct sg_str sdk;              /* "inngest-js:v4.24.0" */
    struct sg_str app_id;           /* long form only */
    struct sg_str signing_key_hash; /* first digits of the app's key hash; long form only */
    int64_t clock_ahead_ms;         /* the app's Date header minus our clock; 0 if unknown */
    struct sg_str text;             /* what is wrong, with cause and remedy; empty: nothing */
};

struct sg_introspect_options {
    const struct sg_signing_key *key; /* NULL: unsigned */
    const char *server_kind;
    int64_t timeout_ms; /* 0: 5 s */
};

/* Blocks. Everything is in the arena. SG_OK also if the app does not answer; SG_NO_MEMORY, SG_SYSTEM. */
enum sg_status sg_introspect(struct sg_str url, const struct sg_introspect_options *options, struct sg_arena *arena,
                             struct sg_introspection *out, struct sg_error *error);
/* Reads the answer; pure. */
enum sg_status sg_introspection_read(int http_status, struct sg_str body, struct sg_arena *arena, struct sg_introspection *out);

#endif
