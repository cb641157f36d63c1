/* What the parts of `stepgate doctor` share. */
#ifndef STEPGATE_CLI_DOCTOR_H
#define STEPGATE_CLI_DOCTOR_H

#include <stepgate/crypto.h>

#include "cli/http.h"

struct sg_doctor {
    struct sg_http http;
    struct sg_arena arena;
    bool is_json; /* a finding a line */
    bool has_key;
    struct sg_signing_key key; /* the user's, if there is one and it is well-formed */
    bool is_dev;               /* the gateway */
    bool is_signed;            /* the gateway has signing keys, and ours is one of them */
    char kind[16];             /* "dev", "cloud": what the gateway says in X-Inngest-Server-Kind */
    int64_t ahead_ms;          /* the gateway's clock minus ours */
    int64_t timeout_ms;
    bool is_well; /* no finding so far */
};

/* A line about `what`. `format` says what is known, or, if it is not good, what is wrong and the remedy; may be "". */
void sg_doctor_report(struct sg_doctor *doctor, bool is_good, const char *what, const char *format, ...) SG_PRINTF(4, 5);
/* Both sides of each app: what the gateway knows of it, and what it answers when it is asked from here. */
void sg_doctor_apps(struct sg_doctor *doctor);

#endif
