/*
 * Lines: what waits to be sent to apps, in one line for each app. Lines that may send take turns, so an app with ten thousand things in its line does not
 * delay one with a single thing. Not thread safe: one thread owns them.
 */
#ifndef STEPGATE_SDK_LINES_H
#define STEPGATE_SDK_LINES_H

#include <stepgate/base.h>

#include "base/list.h"
#include "base/map.h"

/* The line of one app. Exists while it has something waiting or under way. */
struct sg_line {
    struct sg_id id;
    void *first;
    void *last;
    int in_flight;
    struct sg_list_node in_ring;
};

struct sg_lines {
    struct sg_map by_app;
    struct sg_list ring; /* those that may send: something waits, and their share is not used up */
    size_t next_offset;
    int in_flight_max; /* of one line */
};

/* Things are linked by a pointer to the next one at `next_offset`. Allocates nothing. */
void sg_lines_init(struct sg_lines *lines, size_t next_offset, int in_flight_max);
/* Hands everything that waits to `release`. Lines with something under way stay. */
void sg_lines_clear(struct sg_lines *lines, void (*release)(void *thing));
/* The same, and frees the lines: nothing may be under way any more. */
void sg_lines_free(struct sg_lines *lines, void (*release)(void *thing));

/* Puts the thing at the end of its app's line. False if memory ran out. */
bool sg_lines_add(struct sg_lines *lines, struct sg_id app_id, void *thing);
/* The thing whose turn it is, and its line, in which it counts as under way until sg_lines_done; NULL: none may go. */
void *sg_lines_take(struct sg_lines *lines, struct sg_line **line);
/* Something that was taken is through. The line may be gone afterwards. */
void sg_lines_done(struct sg_lines *lines, struct sg_line *line);

#endif
