/*
 * The hash map: open addressing with linear probing, Robin Hood order and backward-shift deletion.
 *
 * The model. A slot holds the full hash and the entry; the key stays inside the entry and is looked at only when the hashes
 * are equal, so a lookup touches the table and one entry. Entries that hash to a place are kept in order of how far they
 * had to move ("rob the rich"), which keeps probes short at 7/8 load and lets a miss stop early. Deleting moves the
 * followers one place back: there are no tombstones, and a map that lives for years is as good as new.
 *
 * What it never does: allocate when removing unless it is to shrink a table that is nearly empty (and if that fails the
 * large one stays), or keep an order.
 */
#include "base/map.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/hash.h"

struct sg_map_slot {
    uint64_t hash;
    void *entry; /* NULL: free */
};

#define CAPACITY_MIN ((size_t)8)

static const void *entry_key(const struct sg_map *map, const void *entry)
{
    return (const char *)entry + map->key_offset;
}

static uint64_t hash_key(const struct sg_map *map, const void *key)
{
    return map->key_kind == SG_MAP_KEY_ID ? sg_hash_id(*(const struct sg_id *)key) : sg_str_hash(*(const struct sg_str *)key);
}

static bool is_same_key(const struct sg_map *map, const void *a, const void *b)
{
    if (map->key_kind == SG_MAP_KEY_ID)
        return sg_id_eq(*(const struct sg_id *)a, *(const struct sg_id *)b);
    return sg_str_eq(*(const struct sg_str *)a, *(const struct sg_str *)b);
}

void sg_map_init_ids(struct sg_map *map, size_t key_offset)
{
    *map = (struct sg_map){.key_offset = key_offset, .key_kind = SG_MAP_KEY_ID};
}

void sg_map_init_strs(struct sg_map *map, size_t key_offset)
{
    *map = (struct sg_map){.key_offset = key_offset, .key_kind = SG_MAP_KEY_STR};
}

void sg_map_free(struct sg_map *map)
{
    sg_free(map->slots);
    map->slots = NULL;
    map->capacity = 0;
    map->count = 0;
}

/* How far from where its hash points the entry in slot `at` is. */
static size_t distance(const struct sg_map *map, size_t at)
{
    return (at - (size_t)map->slots[at].hash) & (map->capacity - 1);
}

/* Puts a slot that is not in the table into it; there is a free one. */
static void place(struct sg_map *map, struct sg_map_slot slot)
{
    size_t mask = map->capacity - 1;
    size_t at = (size_t)slot.hash & mask;
    size_t moved = 0;

    while (map->slots[at].entry != NULL) {
        size_t theirs = distance(map, at);
        if (theirs < moved) {
            struct sg_map_slot evicted = map->slots[at];
            map->slots[at] = slot;
            slot = evicted;
            moved = theirs;
        }
        at = (at + 1) & mask;
        moved++;
    }
    map->slots[at] = slot;
}

static bool resize(struct sg_map *map, size_t capacity)
{
    assert(map->count < capacity);
    struct sg_map_slot *slots = sg_calloc(capacity, sizeof(*slots));
    if (slots == NULL)
        return false;

    struct sg_map old = *map;
    map->slots = slots;
    map->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].entry != NULL)
            place(map, old.slots[i]);
    sg_free(old.slots);
    return true;
}

static bool fits(size_t capacity, size_t count)
{
    return count <= capacity - capacity / 8;
}

bool sg_map_reserve(struct sg_map *map, size_t count)
{
    size_t capacity = map->capacity > 0 ? map->capacity : CAPACITY_MIN;
    while (!fits(capacity, count)) {
        if (capacity > SIZE_MAX / 2 / sizeof(struct sg_map_slot))
            return false;
        capacity *= 2;
    }
    return capacity == map->capacity || resize(map, capacity);
}

/*
 * The slot of a key, or NULL. A probe may stop where an entry is nearer to its home than the key sought would be: the key
 * would have taken that place.
 */
static struct sg_map_slot *find(const struct sg_map *map, uint64_t hash, const void *key)
{
    if (map->count == 0)
        return NULL;

    size_t mask = map->capacity - 1;
    size_t at = (size_t)hash & mask;
    for (size_t moved = 0;; moved++, at = (at + 1) & mask) {
        struct sg_map_slot *slot = &map->slots[at];
        if (slot->entry == NULL || distance(map, at) < moved)
            return NULL;
        if (slot->hash == hash && is_same_key(map, entry_key(map, slot->entry), key))
            return slot;
    }
}

enum sg_status sg_map_add(struct sg_map *map, void *entry)
{
    assert(entry != NULL);
    const void *key = entry_key(map, entry);
    uint64_t hash = hash_key(map, key);

    if (find(map, hash, key) != NULL)
        return SG_CONFLICT;
    if (!sg_map_reserve(map, map->count + 1))
        return SG_NO_MEMORY;
    place(map, (struct sg_map_slot){hash, entry});
    map->count++;
    return SG_OK;
}

void *sg_map_get_id(const struct sg_map *map, struct sg_id id)
{
    assert(map->key_kind == SG_MAP_KEY_ID);
    struct sg_map_slot *slot = find(map, sg_hash_id(id), &id);
    return slot != NULL ? slot->entry : NULL;
}

void *sg_map_get_str(const struct sg_map *map, struct sg_str key)
{
    assert(map->key_kind == SG_MAP_KEY_STR);
    struct sg_map_slot *slot = find(map, sg_str_hash(key), &key);
    return slot != NULL ? slot->entry : NULL;
}

static void *remove_slot(struct sg_map *map, struct sg_map_slot *slot)
{
    if (slot == NULL)
        return NULL;

    void *entry = slot->entry;
    size_t mask = map->capacity - 1;
    size_t at = (size_t)(slot - map->slots);
    size_t next = (at + 1) & mask;
    while (map->slots[next].entry != NULL && distance(map, next) > 0) {
        map->slots[at] = map->slots[next];
        at = next;
        next = (next + 1) & mask;
    }
    map->slots[at] = (struct sg_map_slot){0};
    map->count--;

    /* At 1/16 the table halves its size twice: after a burst the memory comes back, and growing again is far away. */
    if (map->capacity > CAPACITY_MIN * 16 && map->count < map->capacity / 16)
        (void)resize(map, map->capacity / 4);
    return entry;
}

void *sg_map_remove_id(struct sg_map *map, struct sg_id id)
{
    assert(map->key_kind == SG_MAP_KEY_ID);
    return remove_slot(map, find(map, sg_hash_id(id), &id));
}

void *sg_map_remove_str(struct sg_map *map, struct sg_str key)
{
    assert(map->key_kind == SG_MAP_KEY_STR);
    return remove_slot(map, find(map, sg_str_hash(key), &key));
}

void *sg_map_next(const struct sg_map *map, size_t *cursor)
{
    while (*cursor < map->capacity) {
        void *entry = map->slots[(*cursor)++].entry;
        if (entry != NULL)
            return entry;
    }
    return NULL;
}
