/* What a registration asks for and this version does not do. */
#ifndef STEPGATE_SDK_UNAPPLIED_H
#define STEPGATE_SDK_UNAPPLIED_H

#include <stepgate/engine.h>

/* Warns, if the engine's reply to a registration names such settings: they are news then. */
void sg_registration_warn_unapplied(struct sg_str app_name, const struct sg_reply *reply);

/*
 * "concurrency (app-fn), cron (app-nightly)": the settings of the functions that are kept, but have no effect yet, each with the first function that
 * has it. Empty if there are none. The text lives in the arena. False: out of memory.
 */
bool sg_registration_unapplied(const struct sg_registration *registration, struct sg_arena *arena, struct sg_str *text);

#endif
