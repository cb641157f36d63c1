/*
 * A hash map of pointers to things that carry their own key: a `struct sg_id` or a `struct sg_str` member at a fixed offset.
 * A slot is 16 bytes and the table is at most 7/8 full, so a million entries cost 18 to 37 MB whatever the keys are.
 *
 * A key must not change, nor its bytes move, while its entry is in the map.
 */
#ifndef STEPGATE_BASE_MAP_H
#define STEPGATE_BASE_MAP_H

#include <stepgate/base.h>

enum sg_map_key { SG_MAP_KEY_ID, SG_MAP_KEY_STR };

struct sg_map_slot;

struct sg_map {
    struct sg_map_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    size_t key_offset;
    enum sg_map_key key_kind;
};

/* `key_offset` is offsetof(struct thing, key) of a `struct sg_id` or `struct sg_str` member. Allocates nothing. */
void sg_map_init_ids(struct sg_map *map, size_t key_offset);
void sg_map_init_strs(struct sg_map *map, size_t key_offset);
/* Frees the table, not the entries. The map is empty and usable afterwards. */
void sg_map_free(struct sg_map *map);

/* Makes room for `count` entries in total, so that adding up to that many cannot fail. */
bool sg_map_reserve(struct sg_map *map, size_t count);

/* SG_CONFLICT if an entry with this key is there already, SG_NO_MEMORY; the map is unchanged then. */
enum sg_status sg_map_add(struct sg_map *map, void *entry);

void *sg_map_get_id(const struct sg_map *map, struct sg_id id);
void *sg_map_get_str(const struct sg_map *map, struct sg_str key);

/* Takes out the entry with this key and returns it; NULL if there is none. Never fails otherwise. */
void *sg_map_remove_id(struct sg_map *map, struct sg_id id);
void *sg_map_remove_str(struct sg_map *map, struct sg_str key);

/*
 * Walks all entries in an order that depends on the hash seed: start with *cursor = 0, ends with NULL. Adding or removing
 * during the walk makes it meaningless.
 */
void *sg_map_next(const struct sg_map *map, size_t *cursor);

#endif
