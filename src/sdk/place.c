/*
 * Places: the URLs that a sync knows.
 *
 * The model. A place is an address and the history of our tries at it; an app is a name. Which app answers at which place is
 * learned when it registers while a PUT to the place is open. Most apps announce the very URL that was asked; one behind a
 * proxy announces what it sees, and then path, host and port tell which open PUT it belongs to, if only one fits best.
 */
#include "sdk/place.h"

#include "base/alloc.h"
#include "base/check.h"
#include "sdk/url.h"

/* Path counts most: proxies change the host and the scheme, seldom the path. */
#define SCORE_PATH 4
#define SCORE_HOST 2
#define SCORE_PORT 1
#define SCORE_MIN 3 /* the path, or host and port */

struct sg_place *sg_place_create(struct sg_str url, enum sg_place_source source)
{
    struct sg_place *place = sg_calloc(1, sizeof(*place));
    if (place == NULL)
        return NULL;
    place->source = source;
    place->code = "";
    sg_buf_append(&place->url, url);
    if (place->url.is_failed) {
        sg_place_free(place);
        return NULL;
    }
    return place;
}

void sg_place_free(struct sg_place *place)
{
    if (place == NULL)
        return;
    sg_buf_free(&place->url);
    sg_buf_free(&place->app_name);
    sg_buf_free(&place->announced_url);
    sg_buf_free(&place->text);
    sg_buf_free(&place->recorded);
    sg_free(place);
}

bool sg_place_set(struct sg_buf *text, struct sg_str value)
{
    sg_buf_clear(text);
    sg_buf_append(text, value);
    if (!text->is_failed)
        return true;
    sg_buf_clear(text);
    return false;
}

struct sg_place *sg_place_find(const struct sg_list *places, struct sg_str url)
{
    for (struct sg_list_node *node = places->first; node != NULL; node = node->next) {
        struct sg_place *place = SG_CONTAINER_OF(node, struct sg_place, in_sync);
        if (sg_str_eq(sg_buf_str(&place->url), url))
            return place;
    }
    return NULL;
}

static struct sg_str effective_port(const struct sg_url *url)
{
    if (url->port.len > 0)
        return url->port;
    return sg_str_eq_nocase(url->scheme, SG_STR("https")) ? SG_STR("443") : SG_STR("80");
}

static int score(struct sg_str known, struct sg_str announced)
{
    struct sg_url a;
    struct sg_url b;
    if (!sg_url_parse(known, &a) || !sg_url_parse(announced, &b))
        return 0;
    int points = 0;
    if (sg_str_eq(a.path, b.path))
        points += SCORE_PATH;
    if (sg_str_eq_nocase(a.host, b.host))
        points += SCORE_HOST;
    if (sg_str_eq(effective_port(&a), effective_port(&b)))
        points += SCORE_PORT;
    return points;
}

struct sg_place *sg_place_match(const struct sg_list *places, struct sg_str announced_url)
{
    struct sg_place *best = sg_place_find(places, announced_url);
    if (best != NULL)
        return best->is_flying ? best : NULL;
    int best_score = SCORE_MIN - 1;
    bool is_clear = false;
    for (struct sg_list_node *node = places->first; node != NULL; node = node->next) {
        struct sg_place *place = SG_CONTAINER_OF(node, struct sg_place, in_sync);
        if (!place->is_flying || place->has_registered)
            continue;
        int points = score(sg_buf_str(&place->url), announced_url);
        if (points > best_score) {
            best = place;
            best_score = points;
            is_clear = true;
        } else if (points == best_score) {
            is_clear = false;
        }
    }
    return is_clear ? best : NULL;
}

void sg_place_show(const struct sg_place *place, struct sg_sync_place *shown)
{
    *shown = (struct sg_sync_place){
        .url = sg_buf_str(&place->url),
        .source = place->source,
        .is_tried = place->is_tried,
        .is_ok = place->is_ok,
        .app_name = sg_buf_str(&place->app_name),
        .announced_url = sg_buf_str(&place->announced_url),
        .code = sg_str_from(place->code),
        .text = sg_buf_str(&place->text),
        .tried_at_ms = place->tried_at_ms,
    };
}
