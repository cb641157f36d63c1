/* Places: the URLs that a sync knows, and what came of them. Inside of the sync only. */
#ifndef STEPGATE_SDK_PLACE_H
#define STEPGATE_SDK_PLACE_H

#include "base/list.h"
#include "sdk/sync.h"

#define SG_LIMIT_PLACES 1024 /* ours */

struct sg_place {
    struct sg_list_node in_sync;
    struct sg_buf url; /* normalised */
    enum sg_place_source source;
    bool is_tried;
    bool is_ok;
    bool is_due;         /* somebody asked for a sync now */
    bool is_flying;      /* a PUT is open */
    bool has_registered; /* during that PUT an app registered */
    bool has_row;        /* an app with this URL is in the store */
    bool is_row_bad;     /* with an error */
    bool is_seen;        /* scratch: whether the row was there in this round */
    struct sg_buf app_name;
    struct sg_buf announced_url;
    const char *code;
    struct sg_buf text;
    struct sg_buf recorded; /* the failure that the engine was told last */
    int64_t tried_at_ms;
};

struct sg_place *sg_place_create(struct sg_str url, enum sg_place_source source);
void sg_place_free(struct sg_place *place);
/* Replaces the text; false if memory ran out (then it is empty). */
bool sg_place_set(struct sg_buf *text, struct sg_str value);

struct sg_place *sg_place_find(const struct sg_list *places, struct sg_str url);
/*
 * The open PUT that an app which announces this URL belongs to: the same URL, else the one that shares the path or the host and
 * fits better than all others (the app may be behind a proxy and see another host). NULL if that is not clear.
 */
struct sg_place *sg_place_match(const struct sg_list *places, struct sg_str announced_url);
/* For the visitor of sg_sync_visit. */
void sg_place_show(const struct sg_place *place, struct sg_sync_place *shown);

#endif
