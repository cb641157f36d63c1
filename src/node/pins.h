/*
 * Pins: the events, and the finished runs, that somebody still needs at one moment.
 */
#ifndef STEPGATE_NODE_PINS_H
#define STEPGATE_NODE_PINS_H

#include <stepgate/store.h>

struct sg_pins {
    int64_t *positions; /* sorted */
    size_t position_count;
    size_t position_capacity;
    struct sg_id *runs; /* sorted; not the live ones: those have rows of their own */
    size_t run_count;
    size_t run_capacity;
    int64_t newest; /* position of the newest event of that moment, 0: there is none */
};

/* Whoever reads may be told to stop: asked now and then; true makes it SG_SHUTTING_DOWN. May be NULL. */
struct sg_pins_stop {
    bool (*is_wanted)(void *context);
    void *context;
};

/* Reads them, in one snapshot. sg_pins_free in any case. */
enum sg_status sg_pins_read(struct sg_pins *pins, struct sg_store_reader *reader, struct sg_pins_stop stop, struct sg_error *error);
void sg_pins_free(struct sg_pins *pins);

bool sg_pins_has_event(const struct sg_pins *pins, int64_t position);
bool sg_pins_has_run(const struct sg_pins *pins, struct sg_id run_id);

#endif
