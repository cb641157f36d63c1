/*
 * Time zones: how far a place is ahead of UTC at a moment.
 *
 * The model. A zone file (TZif, RFC 8536) lists the moments at which the offset changed, and ends with a rule for the time
 * after the last of them ("CET-1CEST,M3.5.0,M10.5.0/3"). Both are read once per name into an immutable table, which is kept:
 * this cache is the one piece of global state in the room. Threads may add to it at the same time; entries are only ever
 * pushed, by one compare-and-swap, and a zone that two threads read at once is simply there twice.
 *
 * What it never does: forget a zone (there are some 600, of a few KB each), remember a name that is none, or look at the
 * process's own time zone.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/os_zone.h"
#include "cel/time.h"

#define SECONDS_PER_DAY 86400

/* A day of the year on which the rule changes: Mm.w.d, Jn or n, and the time of day. */
struct rule_day {
    char kind; /* 'M', 'J', 'N' */
    int month;
    int week;
    int day;
    int32_t time_s;
};

/* What holds after the last transition. Offsets are seconds ahead of UTC. */
struct rule {
    bool is_known;
    bool has_summer;
    int32_t offset_s;
    int32_t summer_offset_s;
    struct rule_day start;
    struct rule_day end;
};

struct zone {
    struct zone *next;
    struct sg_str name;
    size_t count;
    int64_t *moments;   /* ascending */
    int32_t *offsets_s; /* offsets_s[i] holds from moments[i] on */
    int32_t first_offset_s;
    struct rule rule;
};

#define BUCKETS 64

/* Static because zones belong to the machine: no object could own them for longer than the process does. */
static _Atomic(struct zone *) cache[BUCKETS];

/* ---- the rule at the end of the file ---- */

static char peek(struct sg_str text)
{
    return text.len > 0 ? text.ptr[0] : '\0';
}

static void drop(struct sg_str *text, size_t count)
{
    *text = (struct sg_str){text->ptr + count, text->len - count};
}

static bool accept(struct sg_str *text, char byte)
{
    if (peek(*text) != byte)
        return false;
    drop(text, 1);
    return true;
}

static bool read_number(struct sg_str *text, int most, int *number)
{
    size_t i = 0;
    *number = 0;
    for (; i < text->len && i < 4 && text->ptr[i] >= '0' && text->ptr[i] <= '9'; i++)
        *number = *number * 10 + (text->ptr[i] - '0');
    drop(text, i);
    return i > 0 && *number <= most;
}

/* "CET" or "<+03>". */
static bool skip_name(struct sg_str *text)
{
    size_t i = 0;
    if (peek(*text) == '<') {
        while (i < text->len && text->ptr[i] != '>')
            i++;
        if (i == text->len)
            return false;
        drop(text, i + 1);
        return true;
    }
    while (i < text->len && ((text->ptr[i] >= 'A' && text->ptr[i] <= 'Z') || (text->ptr[i] >= 'a' && text->ptr[i] <= 'z')))
        i++;
    drop(text, i);
    return i >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(struct sg_str *text, int32_t *seconds)
{
    int sign = 1;
    if (accept(text, '-'))
        sign = -1;
    else
        accept(text, '+');
    int hours;
    int minutes = 0;
    int rest = 0;
    if (!read_number(text, 167, &hours))
        return false;
    if (accept(text, ':') && !read_number(text, 59, &minutes))
        return false;
    if (accept(text, ':') && !read_number(text, 59, &rest))
        return false;
    *seconds = sign * ((hours * 60 + minutes) * 60 + rest);
    return true;
}

static bool read_rule_day(struct sg_str *text, struct rule_day *day)
{
    *day = (struct rule_day){.kind = 'N', .time_s = 7200};
    if (accept(text, 'M')) {
        day->kind = 'M';
        if (!read_number(text, 12, &day->month) || day->month < 1 || !accept(text, '.') || !read_number(text, 5, &day->week) ||
            day->week < 1 || !accept(text, '.') || !read_number(text, 6, &day->day))
            return false;
    } else {
        if (accept(text, 'J'))
            day->kind = 'J';
        if (!read_number(text, 365, &day->day))
            return false;
    }
    return !accept(text, '/') || read_time(text, &day->time_s);
}

static void read_rule(struct sg_str text, struct rule *rule)
{
    struct rule read = {0};
    int32_t west_s;
    if (!skip_name(&text) || !read_time(&text, &west_s))
        return;
    read.offset_s = -west_s;
    if (text.len > 0) {
        read.has_summer = true;
        read.summer_offset_s = read.offset_s + 3600;
        if (!skip_name(&text))
            return;
        if (peek(text) != ',') {
            if (!read_time(&text, &west_s))
                return;
            read.summer_offset_s = -west_s;
        }
        if (!accept(&text, ',') || !read_rule_day(&text, &read.start) || !accept(&text, ',') || !read_rule_day(&text, &read.end))
            return;
    }
    read.is_known = text.len == 0;
    *rule = read;
}

/* The local second of the year's change, as seconds since 1970 of the local calendar. */
static int64_t rule_moment(const struct rule_day *day, int64_t year)
{
    int64_t days = sg_civil_days(year, 1, 1);
    bool is_leap = sg_civil_month_days(year, 2) == 29;
    if (day->kind == 'M') {
        int64_t first = sg_civil_days(year, day->month, 1);
        int64_t weekday = (first % 7 + 4 + 7) % 7; /* 1970-01-01 was a Thursday */
        days = first + (day->day - weekday + 7) % 7 + (day->week - 1) * 7;
        if (days >= first + sg_civil_month_days(year, day->month))
            days -= 7;
    } else if (day->kind == 'J') {
        days += day->day - 1 + (is_leap && day->day >= 60);
    } else {
        days += day->day;
    }
    return days * SECONDS_PER_DAY + day->time_s;
}

static int32_t rule_offset(const struct rule *rule, int64_t unix_seconds)
{
    if (!rule->has_summer)
        return rule->offset_s;
    int64_t year = sg_civil_from_ms((unix_seconds + rule->offset_s) * 1000).year;
    int64_t start = rule_moment(&rule->start, year) - rule->offset_s;
    int64_t end = rule_moment(&rule->end, year) - rule->summer_offset_s;
    bool is_summer = start < end ? unix_seconds >= start && unix_seconds < end : unix_seconds >= start || unix_seconds < end;
    return is_summer ? rule->summer_offset_s : rule->offset_s;
}

/* ---- the file ---- */

static int64_t read_big_endian(const char *bytes, size_t count)
{
    uint64_t value = (unsigned char)bytes[0] >= 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return (int64_t)value;
}

/* The six counts of a header: isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt. */
struct counts {
    size_t of[6];
};

#define HEADER_BYTES 44

static bool read_header(struct sg_str file, struct counts *counts)
{
    if (file.len < HEADER_BYTES || memcmp(file.ptr, "TZif", 4) != 0)
        return false;
    for (size_t i = 0; i < 6; i++) {
        int64_t count = read_big_endian(file.ptr + 20 + 4 * i, 4);
        if (count < 0 || count > 65536)
            return false;
        counts->of[i] = (size_t)count;
    }
    return counts->of[4] > 0;
}

static size_t block_bytes(const struct counts *counts, size_t time_bytes)
{
    return counts->of[3] * (time_bytes + 1) + counts->of[4] * 6 + counts->of[5] + counts->of[2] * (time_bytes + 4) + counts->of[1] +
           counts->of[0];
}

static struct zone *zone_alloc(struct sg_str name, size_t count)
{
    struct zone *zone = sg_calloc(1, sizeof(*zone) + count * (sizeof(int64_t) + sizeof(int32_t)) + name.len);
    if (zone == NULL)
        return NULL;
    zone->count = count;
    zone->moments = (int64_t *)(void *)(zone + 1);
    zone->offsets_s = (int32_t *)(void *)(zone->moments + count);
    char *copy = (char *)(zone->offsets_s + count);
    if (name.len > 0)
        memcpy(copy, name.ptr, name.len);
    zone->name = (struct sg_str){copy, name.len};
    return zone;
}

/* The data block at the front of `file`, with times of `time_bytes`. NULL if malformed or out of memory. */
static struct zone *read_block(struct sg_str file, const struct counts *counts, size_t time_bytes, struct sg_str name)
{
    size_t count = counts->of[3];
    const char *times = file.ptr;
    const char *indexes = times + count * time_bytes;
    const char *types = indexes + count;
    struct zone *zone = zone_alloc(name, count);
    if (zone == NULL)
        return NULL;
    zone->first_offset_s = (int32_t)read_big_endian(types, 4);
    for (size_t i = 0; i < count; i++) {
        size_t type = (unsigned char)indexes[i];
        zone->moments[i] = read_big_endian(times + i * time_bytes, time_bytes);
        if (type >= counts->of[4] || (i > 0 && zone->moments[i] < zone->moments[i - 1])) {
            sg_free(zone);
            return NULL;
        }
        zone->offsets_s[i] = (int32_t)read_big_endian(types + type * 6, 4);
    }
    return zone;
}

/* A file has a block of 32-bit times, and since version 2 a second one of 64-bit times with the rule behind it. */
static struct zone *read_file(struct sg_str file, struct sg_str name)
{
    struct counts counts;
    if (!read_header(file, &counts))
        return NULL;
    char version = file.ptr[4];
    size_t bytes = block_bytes(&counts, 4);
    drop(&file, HEADER_BYTES);
    if (bytes > file.len)
        return NULL;
    if (version == '\0')
        return read_block(file, &counts, 4, name);

    drop(&file, bytes);
    if (!read_header(file, &counts))
        return NULL;
    bytes = block_bytes(&counts, 8);
    drop(&file, HEADER_BYTES);
    if (bytes > file.len)
        return NULL;
    struct zone *zone = read_block(file, &counts, 8, name);
    if (zone == NULL)
        return NULL;
    drop(&file, bytes);
    ptrdiff_t end = file.len > 1 && file.ptr[0] == '\n' ? sg_str_index((struct sg_str){file.ptr + 1, file.len - 1}, '\n') : -1;
    if (end > 0)
        read_rule((struct sg_str){file.ptr + 1, (size_t)end}, &zone->rule);
    return zone;
}

static int32_t zone_offset(const struct zone *zone, int64_t unix_seconds)
{
    if (zone->count == 0 || unix_seconds < zone->moments[0])
        return zone->count == 0 && zone->rule.is_known ? rule_offset(&zone->rule, unix_seconds) : zone->first_offset_s;
    if (zone->rule.is_known && unix_seconds >= zone->moments[zone->count - 1])
        return rule_offset(&zone->rule, unix_seconds);
    size_t low = 0; /* moments[low] <= unix_seconds < moments[high] */
    size_t high = zone->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (zone->moments[middle] <= unix_seconds)
            low = middle;
        else
            high = middle;
    }
    return zone->offsets_s[low];
}

/* ---- the cache ---- */

static const struct zone *zone_find(struct sg_str name)
{
    size_t bucket = (size_t)(sg_str_hash(name) % BUCKETS);
    struct zone *first = atomic_load_explicit(&cache[bucket], memory_order_acquire);
    for (const struct zone *zone = first; zone != NULL; zone = zone->next) {
        if (sg_str_eq(zone->name, name))
            return zone;
    }
    struct sg_buf file = {0};
    struct zone *zone = NULL;
    if (sg_os_zone_read(name, &file) == SG_OK)
        zone = read_file(sg_buf_str(&file), name);
    sg_buf_free(&file);
    if (zone == NULL)
        return NULL;
    zone->next = first;
    while (!atomic_compare_exchange_weak_explicit(&cache[bucket], &zone->next, zone, memory_order_release, memory_order_acquire))
        ;
    return zone;
}

/* [+-]HH:MM */
static bool read_fixed(struct sg_str text, int32_t *offset_s)
{
    int sign = 1;
    if (accept(&text, '-'))
        sign = -1;
    else
        accept(&text, '+');
    int hours;
    int minutes;
    if (!read_number(&text, 23, &hours) || !accept(&text, ':') || !read_number(&text, 59, &minutes) || text.len > 0)
        return false;
    *offset_s = sign * (hours * 60 + minutes) * 60;
    return true;
}

bool sg_cel_zone_offset(struct sg_str zone, int64_t unix_seconds, int32_t *offset_s)
{
    *offset_s = 0;
    if (zone.len == 0 || sg_str_eq(zone, SG_STR("UTC")))
        return true;
    if (sg_str_index(zone, ':') >= 0)
        return read_fixed(zone, offset_s);
    const struct zone *found = zone_find(zone);
    if (found == NULL)
        return false;
    *offset_s = zone_offset(found, unix_seconds);
    return true;
}
