/*
 * Registrations: what an SDK posts to /fn/register, or answers to an in-band sync (reference/01 §4, §5), made into the engine's message.
 *
 * Pure. Nothing is half valid: either the whole registration is fit to be stored, or a list of problems says why not.
 */
#ifndef STEPGATE_SDK_REGISTRATION_H
#define STEPGATE_SDK_REGISTRATION_H

#include <stepgate/engine.h>

#include "sdk/function_config.h"

struct sg_registration_options {
    /*
     * Asked once: whether the operator has configured another URL for this app than the one it announces; then that one is
     * where calls go (reference/11, configured_url_wins_over_announced_url). NULL: never. `*configured` is copied into the
     * arena given.
     */
    bool (*configured_url)(void *context, struct sg_str app_name, struct sg_str announced_url, struct sg_arena *arena,
                           struct sg_str *configured);
    void *context;
};

/* What the caller may want to say beyond yes or no. Zero-initialise; in the arena. */
struct sg_registration_report {
    struct sg_config_problems problems;
    struct sg_str announced_url; /* normalised */
    struct sg_str warning;       /* for the log: a blocked SDK version, a URL that differs; empty: none */
};

/*
 * Decodes a body of POST /fn/register. Errors:
 *   SG_INVALID_JSON, SG_INVALID_ARGUMENT: not a registration; the message begins with "Invalid request: "
 *   SG_INVALID_CONFIG: "App ID required" or "At least one function is invalid" (then report->problems says why)
 *   SG_TOO_LARGE, SG_TOO_MANY, SG_NO_MEMORY
 * `report` may not be NULL.
 */
enum sg_status sg_registration_decode(struct sg_str body, const struct sg_registration_options *options, struct sg_arena *arena,
                                      struct sg_registration *out, struct sg_registration_report *report, struct sg_error *error);

/* The same for an in-band answer. SG_INVALID_ARGUMENT also if it is not one (no `app_id`). */
enum sg_status sg_registration_decode_in_band(struct sg_str body, const struct sg_registration_options *options, struct sg_arena *arena,
                                              struct sg_registration *out, struct sg_registration_report *report, struct sg_error *error);

/* Stable for ever: v5 of the name; v5 of the app's name, a newline and the slug. */
struct sg_id sg_app_id(struct sg_str app_name);
struct sg_id sg_function_id(struct sg_str app_name, struct sg_str slug, struct sg_arena *scratch);

#endif
