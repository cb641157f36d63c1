/*
 * The event-id seed of a request (reference/02 §11, reference/03 §1.1.5): time and ten bytes of entropy, of which the last
 * four, as a big-endian number, are increased by the event's position and wrap.
 */
#include "base/seed.h"

#include "base/base64.h"

/* What a ULID can say: 48 bits. A larger number would be cut and give ids of another time. */
#define SEED_TIME_MS_MAX ((INT64_C(1) << 48) - 1)

bool sg_event_seed_parse(struct sg_str header, struct sg_event_seed *seed)
{
    struct sg_event_seed read;
    ptrdiff_t comma = sg_str_index(header, ',');
    size_t len;

    if (comma < 0)
        return false;
    struct sg_str time = {header.ptr, (size_t)comma};
    struct sg_str entropy = {header.ptr + comma + 1, header.len - (size_t)comma - 1};
    if (!sg_str_to_int(time, &read.time_ms) || read.time_ms <= 0 || read.time_ms > SEED_TIME_MS_MAX)
        return false;
    if (!sg_base64_decode(entropy, SG_BASE64_STANDARD, read.entropy, sizeof(read.entropy), &len) || len != sizeof(read.entropy))
        return false;
    *seed = read;
    return true;
}

struct sg_id sg_event_seed_id(const struct sg_event_seed *seed, uint32_t position)
{
    struct sg_id id = sg_ulid_make(seed->time_ms, seed->entropy);
    uint8_t *low = id.bytes + 12;
    uint32_t number = (uint32_t)low[0] << 24 | (uint32_t)low[1] << 16 | (uint32_t)low[2] << 8 | low[3];

    number += position;
    for (size_t i = 0; i < 4; i++)
        low[i] = (uint8_t)(number >> (24 - 8 * i));
    return id;
}
