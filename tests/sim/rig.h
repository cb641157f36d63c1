/*
 * What stands around an engine in tests: a memory store, and the small things that threads do in the real program (start-up, loads, lookups of
 * idempotency keys), each as a plain function that is called when the test wants it to happen.
 *
 * Running out of memory here ends the test program: the rig is not what is tested.
 */
#ifndef STEPGATE_TESTS_RIG_H
#define STEPGATE_TESTS_RIG_H

#include <stepgate/engine.h>
#include <stepgate/store.h>

/* Ends the program with a message unless `is_fine`. */
void rig_need(bool is_fine, const char *what);

/* The id that stands for a text (an app's name, a function's slug, an event's id): equal for equal texts. */
struct sg_id rig_id(const char *space, struct sg_str text);

/* An engine built from what the store holds. What start-up itself writes and lets out goes into `batch`. */
struct sg_engine *rig_restore(struct sg_store *store, const struct sg_engine_options *options, int64_t now_ms, struct sg_batch *batch);
/* The same, but NULL if memory ran out (sg_alloc_fail_at). What the batch holds then is worth nothing. */
struct sg_engine *rig_try_restore(struct sg_store *store, const struct sg_engine_options *options, int64_t now_ms, struct sg_batch *batch);

/* The messages that answer SG_EFFECT_LOAD_RUN and SG_EFFECT_LOAD_EVENT, from what the reader sees. */
struct sg_message *rig_load_run(struct sg_store_reader *reader, struct sg_id run_id);
struct sg_message *rig_load_event(struct sg_store_reader *reader, const struct sg_effect *load, int64_t now_ms);
/* The message that answers SG_EFFECT_LOAD_RUNS of this cancellation. */
struct sg_message *rig_load_runs(struct sg_store_reader *reader, struct sg_id cancellation_id);
/* Fills in which of the events' keys have been used by then, or whether the run of a durable endpoint is known. */
void rig_lookup(struct sg_store_reader *reader, struct sg_message *message, int64_t now_ms, int64_t lookup_commit);

/*
 * A durable endpoint's run at `path`, without steps: its app is "http://endpoint.test", its function the path. The caller fills in ops, and asks
 * rig_lookup whether the run is known.
 */
struct sg_message *rig_http_run(struct sg_id run_id, const char *path, int retries, int64_t now_ms);

/* The bytes of an event, also of a lifecycle event; NULL text if there is none at that position. */
struct sg_str rig_event_body(struct sg_store_reader *reader, int64_t position, struct sg_arena *arena);

/* The state of the engine as text; the caller frees the buffer. */
struct sg_buf rig_dump(const struct sg_engine *engine);
/*
 * Compares the engine with one that is built anew from the store (which must hold all that the engine wrote). False if they differ, with both texts
 * on stderr.
 */
bool rig_equals_restored(const struct sg_engine *engine, struct sg_store *store, const struct sg_engine_options *options, int64_t now_ms);

/* The configuration of a function as a registration carries it. */
struct rig_function {
    const char *slug;
    const char *event;      /* name or pattern of the trigger; several: separated by a space */
    const char *expression; /* of every trigger; NULL: none */
    int retries;            /* -1: not configured */
    int revision;           /* another number is another configuration */
    const char *settings;   /* further members of the configuration, with single quotes: "'timeouts':{'finish':'1m'}"; NULL: none */
};
struct sg_message *rig_registration(const char *app, const char *url, const char *checksum, const struct rig_function *functions,
                                    size_t count);

#endif
