/*
 * URLs as the protocol treats them.
 *
 * The model. A URL is cut into substrings and put together again; only the query is taken apart further, into decoded pairs,
 * because the protocol wants it sorted by key and re-encoded as a form (`+` for a space): that is how the registered URL, the
 * one with another `stepId`, and the one after a redirect stay comparable (reference/01 §4.5, §7.1). Pairs with the same key
 * keep their order.
 *
 * What cannot be parsed is left as it is, so that the user reads in the error what was written in the configuration.
 *
 * What it never does: touch the path. Workers match it byte for byte (reference/09 §4.6, "Trailing slash").
 */
#include "sdk/url.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/hex.h"

static bool is_scheme_byte(char byte, bool is_first)
{
    bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    return is_letter || (!is_first && ((byte >= '0' && byte <= '9') || byte == '+' || byte == '-' || byte == '.'));
}

/* Cuts `text` at the first `byte`; what is behind it goes to `rest`, which has no bytes if it is not there. */
static struct sg_str cut(struct sg_str text, char byte, struct sg_str *rest)
{
    ptrdiff_t at = sg_str_index(text, byte);
    if (at < 0) {
        *rest = SG_STR_NULL;
        return text;
    }
    *rest = (struct sg_str){text.ptr + at + 1, text.len - (size_t)at - 1};
    return (struct sg_str){text.ptr, (size_t)at};
}

/* "user@[::1]:8080" into its parts. */
static bool parse_authority(struct sg_str authority, struct sg_url *url)
{
    struct sg_str host = authority;
    for (size_t i = authority.len; i > 0; i--) {
        if (authority.ptr[i - 1] == '@') {
            url->userinfo = (struct sg_str){authority.ptr, i - 1};
            host = (struct sg_str){authority.ptr + i, authority.len - i};
            break;
        }
    }

    size_t name_len = host.len;
    if (host.len > 0 && host.ptr[0] == '[') {
        ptrdiff_t end = sg_str_index(host, ']');
        if (end < 0)
            return false;
        name_len = (size_t)end + 1;
        if (name_len < host.len && host.ptr[name_len] != ':')
            return false;
    } else {
        ptrdiff_t colon = sg_str_index(host, ':');
        if (colon >= 0)
            name_len = (size_t)colon;
    }
    url->host = (struct sg_str){host.ptr, name_len};
    if (name_len < host.len)
        url->port = (struct sg_str){host.ptr + name_len + 1, host.len - name_len - 1};
    if (url->host.len == 0 || url->port.len > 5)
        return false;
    for (size_t i = 0; i < url->port.len; i++)
        if (url->port.ptr[i] < '0' || url->port.ptr[i] > '9')
            return false;
    int64_t port = 0;
    return url->port.len == 0 || (sg_str_to_int(url->port, &port) && port <= 65535);
}

bool sg_url_parse(struct sg_str text, struct sg_url *url)
{
    *url = (struct sg_url){0};
    if (text.len == 0 || text.len > SG_LIMIT_URL_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte <= ' ' || byte == 0x7f)
            return false;
    }

    size_t scheme_len = 0;
    while (scheme_len < text.len && is_scheme_byte(text.ptr[scheme_len], scheme_len == 0))
        scheme_len++;
    struct sg_str rest = {text.ptr + scheme_len, text.len - scheme_len};
    if (scheme_len == 0 || !sg_str_starts_with(rest, SG_STR("://")))
        return false;
    url->scheme = (struct sg_str){text.ptr, scheme_len};
    rest = (struct sg_str){rest.ptr + 3, rest.len - 3};

    rest = cut(rest, '#', &url->fragment);
    rest = cut(rest, '?', &url->query);
    ptrdiff_t slash = sg_str_index(rest, '/');
    size_t authority_len = slash < 0 ? rest.len : (size_t)slash;
    url->path = (struct sg_str){rest.ptr + authority_len, rest.len - authority_len};
    return parse_authority((struct sg_str){rest.ptr, authority_len}, url);
}

bool sg_url_is_http(const struct sg_url *url)
{
    return sg_str_eq_nocase(url->scheme, SG_STR("http")) || sg_str_eq_nocase(url->scheme, SG_STR("https"));
}

/* ---- the query ---- */

struct pair {
    struct sg_str key; /* decoded, in the arena */
    struct sg_str value;
    size_t order;
};

struct query {
    struct sg_arena arena;
    struct pair *pairs;
    size_t count;
    bool is_failed;
};

static struct sg_str decode(struct sg_arena *arena, struct sg_str text)
{
    char *out = sg_arena_alloc(arena, text.len + 1);
    if (out == NULL)
        return SG_STR_NULL;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%' && i + 2 < text.len && sg_hex_digit(text.ptr[i + 1]) >= 0 && sg_hex_digit(text.ptr[i + 2]) >= 0) {
            byte = (char)(sg_hex_digit(text.ptr[i + 1]) * 16 + sg_hex_digit(text.ptr[i + 2]));
            i += 2;
        }
        out[len++] = byte;
    }
    return (struct sg_str){out, len};
}

static void query_add(struct query *query, struct sg_str key, struct sg_str value)
{
    query->pairs[query->count] = (struct pair){key, value, query->count};
    query->count++;
}

/* Takes the query apart, with room for `spare` further pairs. */
static void query_parse(struct query *query, struct sg_str text, size_t spare)
{
    *query = (struct query){0};
    sg_arena_init(&query->arena);
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '&';
    query->pairs = sg_arena_alloc(&query->arena, (count + spare) * sizeof(*query->pairs));
    if (query->pairs == NULL) {
        query->is_failed = true;
        return;
    }
    while (text.len > 0) {
        struct sg_str rest;
        struct sg_str item = cut(text, '&', &rest);
        text = rest;
        if (item.len == 0)
            continue;
        struct sg_str value;
        struct sg_str key = cut(item, '=', &value);
        key = decode(&query->arena, key);
        value = decode(&query->arena, value);
        if (key.ptr == NULL || value.ptr == NULL)
            query->is_failed = true;
        query_add(query, key, value);
    }
}

static void query_free(struct query *query)
{
    sg_arena_free(&query->arena);
}

static const struct pair *query_find(const struct query *query, struct sg_str key)
{
    for (size_t i = 0; i < query->count; i++)
        if (sg_str_eq(query->pairs[i].key, key))
            return &query->pairs[i];
    return NULL;
}

static void query_remove(struct query *query, struct sg_str key)
{
    size_t kept = 0;
    for (size_t i = 0; i < query->count; i++)
        if (!sg_str_eq(query->pairs[i].key, key))
            query->pairs[kept++] = query->pairs[i];
    query->count = kept;
}

static int pair_cmp(const void *left, const void *right)
{
    const struct pair *a = left;
    const struct pair *b = right;
    int order = sg_str_cmp(a->key, b->key);
    if (order != 0)
        return order;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* Form-urlencoding as browsers and Go do it: letters, digits and - _ . ~ stand for themselves. */
static void encode(struct sg_buf *out, struct sg_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '-' ||
                        byte == '_' || byte == '.' || byte == '~';
        if (is_plain)
            sg_buf_byte(out, (char)byte);
        else if (byte == ' ')
            sg_buf_byte(out, '+');
        else
            sg_buf_printf(out, "%%%02X", byte);
    }
}

static void query_write(struct query *query, struct sg_buf *out)
{
    if (query->is_failed) {
        out->is_failed = true;
        return;
    }
    if (query->count > 1)
        qsort(query->pairs, query->count, sizeof(*query->pairs), pair_cmp);
    for (size_t i = 0; i < query->count; i++) {
        sg_buf_byte(out, i == 0 ? '?' : '&');
        encode(out, query->pairs[i].key);
        sg_buf_byte(out, '=');
        encode(out, query->pairs[i].value);
    }
}

/* ---- putting together ---- */

static void write_lower(struct sg_buf *out, struct sg_str text)
{
    for (size_t i = 0; i < text.len; i++)
        sg_buf_byte(out, text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? (char)(text.ptr[i] + 'a' - 'A') : text.ptr[i]);
}

/* Everything before the query, as written. */
static void write_place(struct sg_buf *out, const struct sg_url *url)
{
    sg_buf_append(out, url->scheme);
    sg_buf_append(out, SG_STR("://"));
    if (url->userinfo.len > 0) {
        sg_buf_append(out, url->userinfo);
        sg_buf_byte(out, '@');
    }
    sg_buf_append(out, url->host);
    if (url->port.len > 0) {
        sg_buf_byte(out, ':');
        sg_buf_append(out, url->port);
    }
    sg_buf_append(out, url->path);
}

static bool is_default_port(const struct sg_url *url)
{
    if (sg_str_eq_nocase(url->scheme, SG_STR("http")) || sg_str_eq_nocase(url->scheme, SG_STR("ws")))
        return sg_str_eq(url->port, SG_STR("80"));
    return (sg_str_eq_nocase(url->scheme, SG_STR("https")) || sg_str_eq_nocase(url->scheme, SG_STR("wss"))) &&
           sg_str_eq(url->port, SG_STR("443"));
}

void sg_url_normalise(struct sg_str text, struct sg_buf *out)
{
    struct sg_url url;
    if (!sg_url_parse(text, &url)) {
        sg_buf_append(out, text);
        return;
    }
    write_lower(out, url.scheme);
    sg_buf_append(out, SG_STR("://"));
    if (url.userinfo.len > 0) {
        sg_buf_append(out, url.userinfo);
        sg_buf_byte(out, '@');
    }
    /* Only with a port: a bare 127.0.0.1 is left alone, as the reference does (reference/01 §4.5). */
    bool is_loopback = url.port.len > 0 && (sg_str_eq(url.host, SG_STR("127.0.0.1")) || sg_str_eq(url.host, SG_STR("0.0.0.0")));
    if (is_loopback && !is_default_port(&url))
        sg_buf_append(out, SG_STR("localhost"));
    else
        write_lower(out, url.host);
    if (url.port.len > 0 && !is_default_port(&url)) {
        sg_buf_byte(out, ':');
        sg_buf_append(out, url.port);
    }
    sg_buf_append(out, url.path);

    struct query query;
    query_parse(&query, url.query, 0);
    query_remove(&query, SG_STR("deployId"));
    query_remove(&query, SG_STR("probe"));
    query_write(&query, out);
    query_free(&query);
}

void sg_url_normalise_typed(struct sg_str text, struct sg_buf *out)
{
    text = sg_str_trim(text);
    bool has_scheme = false;
    for (size_t i = 0; i + 2 < text.len && !has_scheme; i++)
        has_scheme = memcmp(text.ptr + i, "://", 3) == 0;
    if (has_scheme) {
        sg_url_normalise(text, out);
        return;
    }
    struct sg_buf whole;
    sg_buf_init(&whole);
    sg_buf_append(&whole, SG_STR("http://"));
    sg_buf_append(&whole, text);
    if (whole.is_failed)
        out->is_failed = true;
    else
        sg_url_normalise(sg_buf_str(&whole), out);
    sg_buf_free(&whole);
}

bool sg_url_query_get(struct sg_str text, struct sg_str key, struct sg_arena *arena, struct sg_str *value)
{
    struct sg_url url;
    if (!sg_url_parse(text, &url))
        return false;
    struct query query;
    query_parse(&query, url.query, 0);
    const struct pair *pair = query.is_failed ? NULL : query_find(&query, key);
    if (pair != NULL)
        *value = sg_arena_copy(arena, pair->value);
    bool is_found = pair != NULL && value->ptr != NULL;
    query_free(&query);
    return is_found;
}

void sg_url_query_set(struct sg_str text, struct sg_str key, struct sg_str value, struct sg_buf *out)
{
    struct sg_url url;
    if (!sg_url_parse(text, &url)) {
        sg_buf_append(out, text);
        return;
    }
    write_place(out, &url);
    struct query query;
    query_parse(&query, url.query, 1);
    if (!query.is_failed) {
        query_remove(&query, key);
        query_add(&query, key, value);
    }
    query_write(&query, out);
    query_free(&query);
}

/* Writes `place` with the query of `first` and what only `second` has. */
static void write_merged(const struct sg_url *place, struct sg_str first, struct sg_str second, struct sg_buf *out)
{
    write_place(out, place);
    struct query added;
    query_parse(&added, second, 0);
    struct query query;
    query_parse(&query, first, added.count);
    query.is_failed |= added.is_failed;
    size_t own_count = query.count;
    for (size_t i = 0; i < added.count && !query.is_failed; i++) {
        bool is_own = false;
        for (size_t j = 0; j < own_count && !is_own; j++)
            is_own = sg_str_eq(query.pairs[j].key, added.pairs[i].key);
        if (!is_own)
            query_add(&query, added.pairs[i].key, added.pairs[i].value);
    }
    query_write(&query, out);
    query_free(&query);
    query_free(&added);
}

void sg_url_query_merge(struct sg_str target, struct sg_str original, struct sg_buf *out)
{
    struct sg_url to;
    struct sg_url from;
    if (!sg_url_parse(target, &to) || !sg_url_parse(original, &from)) {
        sg_buf_append(out, target);
        return;
    }
    write_merged(&to, to.query, from.query, out);
}

void sg_url_rebase(struct sg_str text, struct sg_str base, struct sg_buf *out)
{
    struct sg_url from;
    struct sg_url to;
    if (!sg_url_parse(text, &from) || !sg_url_parse(base, &to)) {
        sg_buf_append(out, text);
        return;
    }
    write_merged(&to, from.query, to.query, out);
}

bool sg_url_is_same(struct sg_str a, struct sg_str b)
{
    struct sg_buf left;
    struct sg_buf right;
    sg_buf_init(&left);
    sg_buf_init(&right);
    sg_url_normalise(a, &left);
    sg_url_normalise(b, &right);
    bool is_same = !left.is_failed && !right.is_failed && sg_str_eq(sg_buf_str(&left), sg_buf_str(&right));
    sg_buf_free(&left);
    sg_buf_free(&right);
    return is_same;
}
