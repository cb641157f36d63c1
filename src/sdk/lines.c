/*
 * Lines of things to be sent.
 *
 * The model. A line for each app, and a ring of those lines that may send. Whoever takes something takes the first thing of the first line in the ring; the
 * line then goes behind the others. A line leaves the ring when it is empty or has as much under way as one app may have, and is freed when it has
 * neither.
 *
 * What it never does: know what it holds.
 */
#include "sdk/lines.h"

#include "base/alloc.h"
#include "base/check.h"

static void **next_of(const struct sg_lines *lines, void *thing)
{
    return (void **)(void *)((char *)thing + lines->next_offset);
}

void sg_lines_init(struct sg_lines *lines, size_t next_offset, int in_flight_max)
{
    sg_map_init_ids(&lines->by_app, offsetof(struct sg_line, id));
    sg_list_init(&lines->ring);
    lines->next_offset = next_offset;
    lines->in_flight_max = in_flight_max;
}

/* Puts the line where it belongs now. */
static void place(struct sg_lines *lines, struct sg_line *line)
{
    bool may_send = line->first != NULL && line->in_flight < lines->in_flight_max;
    bool is_in_ring = sg_list_has(&lines->ring, &line->in_ring);
    if (may_send && !is_in_ring)
        sg_list_push_back(&lines->ring, &line->in_ring);
    else if (!may_send && is_in_ring)
        sg_list_remove(&lines->ring, &line->in_ring);
    if (line->first == NULL && line->in_flight == 0) {
        sg_map_remove_id(&lines->by_app, line->id);
        sg_free(line);
    }
}

void sg_lines_clear(struct sg_lines *lines, void (*release)(void *thing))
{
    while (sg_list_pop_front(&lines->ring) != NULL)
        ;
    size_t cursor = 0;
    struct sg_line *line;
    while ((line = sg_map_next(&lines->by_app, &cursor)) != NULL)
        while (line->first != NULL) {
            void *thing = line->first;
            line->first = *next_of(lines, thing);
            release(thing);
        }
}

void sg_lines_free(struct sg_lines *lines, void (*release)(void *thing))
{
    sg_lines_clear(lines, release);
    size_t cursor = 0;
    struct sg_line *line;
    while ((line = sg_map_next(&lines->by_app, &cursor)) != NULL)
        sg_free(line);
    sg_map_free(&lines->by_app);
}

static struct sg_line *line_get(struct sg_lines *lines, struct sg_id app_id)
{
    struct sg_line *line = sg_map_get_id(&lines->by_app, app_id);
    if (line != NULL)
        return line;
    line = sg_calloc(1, sizeof(*line));
    if (line == NULL)
        return NULL;
    line->id = app_id;
    if (sg_map_add(&lines->by_app, line) != SG_OK) {
        sg_free(line);
        return NULL;
    }
    return line;
}

bool sg_lines_add(struct sg_lines *lines, struct sg_id app_id, void *thing)
{
    struct sg_line *line = line_get(lines, app_id);
    if (line == NULL)
        return false;
    *next_of(lines, thing) = NULL;
    if (line->first == NULL)
        line->first = thing;
    else
        *next_of(lines, line->last) = thing;
    line->last = thing;
    place(lines, line);
    return true;
}

void *sg_lines_take(struct sg_lines *lines, struct sg_line **line_out)
{
    struct sg_list_node *node = sg_list_pop_front(&lines->ring);
    if (node == NULL)
        return NULL;
    struct sg_line *line = SG_CONTAINER_OF(node, struct sg_line, in_ring);
    void *thing = line->first;
    line->first = *next_of(lines, thing);
    *next_of(lines, thing) = NULL;
    line->in_flight++;
    place(lines, line);
    *line_out = line;
    return thing;
}

void sg_lines_done(struct sg_lines *lines, struct sg_line *line)
{
    assert(line->in_flight > 0);
    line->in_flight--;
    place(lines, line);
}
