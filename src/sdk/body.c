/*
 * The body of a call to an SDK.
 *
 * The model. Everything in a body is either a number or name of ours or a fragment that was made canonical where it entered:
 * events and memos. The body is written once, keys in canonical order, so what is signed is what is sent and also what an SDK
 * gets when it canonicalizes again. Memos come out of the store in the order of their step ids, which is the order of the body;
 * their `seq` gives the stack. A memo belongs to the call if its seq is below the snapshot that was taken in the commit which
 * started the call: what completed since is the next call's business.
 *
 * Bodies may be megabytes, so there is one copy of each part: memos go from the store's rows right into the body, and what stands before
 * them is put there afterwards, by moving them once. The size is known before that, so nothing large is written in vain.
 *
 * A run that is too large for one body is sent without memos, then without events, and the SDK fetches them (reference/01
 * §7.6). SDKs that cannot (Go, TypeScript 1) get everything whatever its size.
 *
 * What it never does: call with memos missing. A step whose memo is gone would be executed a second time.
 */
#include "sdk/body.h"

#include <stdlib.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/check.h"
#include "sdk/url.h"

#define BACK_BYTES_MAX 64 /* `,"use_api":false,"version":` with a number and `}` */

/* ---- names ---- */

size_t sg_job_id_format(int64_t job_id, char text[SG_JOB_ID_MAX])
{
    char digits[SG_JOB_ID_MAX];
    size_t count = 0;
    assert(job_id >= 0);
    do {
        digits[count++] = (char)('0' + job_id % 10);
        job_id /= 10;
    } while (job_id > 0);
    for (size_t i = 0; i < count; i++)
        text[i] = digits[count - 1 - i];
    text[count] = '\0';
    return count;
}

size_t sg_qi_id_format(int64_t job_id, int32_t generation, char text[SG_QI_ID_MAX])
{
    char plain[2 * SG_JOB_ID_MAX];
    size_t len = sg_job_id_format(job_id, plain);
    plain[len++] = ':';
    len += sg_job_id_format(generation, plain + len);

    /* At most 19 + 1 + 10 digits, so 40 characters of base64. */
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t out = 0;
    for (size_t i = 0; i < len; i += 3) {
        unsigned group = (unsigned)(unsigned char)plain[i] << 16;
        group |= i + 1 < len ? (unsigned)(unsigned char)plain[i + 1] << 8 : 0;
        group |= i + 2 < len ? (unsigned)(unsigned char)plain[i + 2] : 0;
        text[out++] = alphabet[group >> 18];
        text[out++] = alphabet[group >> 12 & 63];
        text[out++] = i + 1 < len ? alphabet[group >> 6 & 63] : '=';
        text[out++] = i + 2 < len ? alphabet[group & 63] : '=';
    }
    text[out] = '\0';
    return out;
}

bool sg_qi_id_parse(struct sg_str text, int64_t *job_id, int32_t *generation)
{
    uint8_t plain[SG_QI_ID_MAX];
    size_t len;
    if (text.len == 0 || text.len >= SG_QI_ID_MAX || !sg_base64_decode(text, SG_BASE64_STANDARD, plain, sizeof(plain), &len))
        return false;
    struct sg_str whole = {(const char *)plain, len};
    ptrdiff_t colon = sg_str_index(whole, ':');
    if (colon <= 0)
        return false;
    int64_t number;
    struct sg_str job = {whole.ptr, (size_t)colon};
    struct sg_str rest = {whole.ptr + colon + 1, whole.len - (size_t)colon - 1};
    if (!sg_str_to_int(job, job_id) || !sg_str_to_int(rest, &number) || *job_id <= 0 || number < 0 || number > INT32_MAX)
        return false;
    *generation = (int32_t)number;
    return true;
}

struct sg_str sg_call_step_id(const struct sg_call *call, struct sg_arena *arena)
{
    struct sg_str id;
    if (!sg_url_query_get(call->url, SG_STR("stepId"), arena, &id) || id.len == 0)
        return SG_STR("step");
    return id;
}

void sg_call_url(const struct sg_call *call, struct sg_buf *out)
{
    if (call->target.len > 0) {
        sg_url_query_set(call->url, SG_STR("stepId"), call->target, out);
        return;
    }
    struct sg_arena arena;
    sg_arena_init(&arena);
    sg_url_query_set(call->url, SG_STR("stepId"), sg_call_step_id(call, &arena), out);
    sg_arena_free(&arena);
}

/* ---- memos ---- */

struct memo {
    struct sg_str id; /* in the arena */
    int64_t seq;
    size_t at; /* of its member, from the `{` */
    size_t len;
};

struct memos {
    struct sg_arena arena;
    struct memo *items; /* in the order of keys */
    size_t count;
    size_t capacity;
    struct sg_buf *steps; /* behind `start`: `{`, the members, each `"id":memo`, joined by commas, and `}` */
    size_t start;
    int64_t before_seq;
    bool is_without_bytes; /* only ids and order are wanted */
    bool is_unsorted;
};

static void member_write(struct memos *memos, struct memo *memo, struct sg_str bytes)
{
    if (memo != memos->items)
        sg_buf_byte(memos->steps, ',');
    memo->at = memos->steps->len - memos->start;
    sg_json_quote(memos->steps, memo->id);
    sg_buf_byte(memos->steps, ':');
    sg_buf_append(memos->steps, bytes.len > 0 ? bytes : SG_STR("null"));
    memo->len = memos->steps->len - memos->start - memo->at;
}

static enum sg_status memo_visit(void *context, const struct sg_record *record)
{
    struct memos *memos = context;
    int64_t seq = record->values[SG_MEMO_SEQ].number;
    if (seq >= memos->before_seq)
        return SG_OK;
    if (memos->count == memos->capacity) {
        size_t capacity = memos->capacity == 0 ? 32 : memos->capacity * 2;
        struct memo *items = sg_realloc(memos->items, capacity * sizeof(*items));
        if (items == NULL)
            return SG_NO_MEMORY;
        memos->items = items;
        memos->capacity = capacity;
    }
    struct memo *memo = &memos->items[memos->count];
    memo->id = sg_arena_copy(&memos->arena, record->values[SG_MEMO_STEP_ID].bytes);
    if (memo->id.ptr == NULL)
        return SG_NO_MEMORY;
    memo->seq = seq;
    if (memos->count > 0) {
        /* Stores order by bytes, canonical JSON by UTF-16: they differ only in characters that no SDK puts into a step id. */
        memos->is_unsorted |= sg_json_key_cmp(memos->items[memos->count - 1].id, memo->id) > 0;
    }
    memos->count++;
    if (!memos->is_without_bytes)
        member_write(memos, memo, record->values[SG_MEMO_BYTES].bytes);
    return memos->steps->is_failed ? SG_NO_MEMORY : SG_OK;
}

static int by_key(const void *left, const void *right)
{
    return sg_json_key_cmp(((const struct memo *)left)->id, ((const struct memo *)right)->id);
}

static int by_seq(const void *left, const void *right)
{
    const struct memo *a = left;
    const struct memo *b = right;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* Brings the members into order, which is hardly ever needed: by way of a second buffer. */
static void members_sort(struct memos *memos)
{
    struct sg_buf sorted;
    sg_buf_init(&sorted);
    (void)sg_buf_reserve(&sorted, memos->steps->len - memos->start);
    qsort(memos->items, memos->count, sizeof(*memos->items), by_key);
    for (size_t i = 0; i < memos->count; i++) {
        sg_buf_byte(&sorted, i > 0 ? ',' : '{');
        sg_buf_append(&sorted, (struct sg_str){memos->steps->ptr + memos->start + memos->items[i].at, memos->items[i].len});
    }
    memos->steps->len = memos->start;
    sg_buf_append(memos->steps, sg_buf_str(&sorted));
    memos->steps->is_failed |= sorted.is_failed;
    sg_buf_free(&sorted);
}

/* Appends the object of the memos to `steps`. */
static enum sg_status memos_read(struct sg_store_reader *reader, struct sg_id run_id, int64_t before_seq, bool is_without_bytes,
                                 struct sg_buf *steps, struct memos *memos, struct sg_error *error)
{
    *memos = (struct memos){.before_seq = before_seq, .is_without_bytes = is_without_bytes, .steps = steps, .start = steps->len};
    sg_arena_init(&memos->arena);
    struct sg_query query = {
        .kind = SG_KIND_MEMO,
        .index = SG_INDEX_KEY,
        .equal_count = 1,
        .equal = {sg_value_id(&run_id)},
        .limit = INT64_MAX,
    };
    sg_buf_byte(steps, '{');
    enum sg_status status = before_seq > 0 ? sg_store_read(reader, &query, memo_visit, memos, error) : SG_OK;
    if (status == SG_OK && memos->is_unsorted && !is_without_bytes)
        members_sort(memos);
    sg_buf_byte(steps, '}');
    if (status == SG_NO_MEMORY || (status == SG_OK && steps->is_failed))
        return sg_error_set(error, SG_NO_MEMORY, "out of memory for the memos of a run");
    return status;
}

static void memos_free(struct memos *memos)
{
    sg_free(memos->items);
    sg_arena_free(&memos->arena);
}

enum sg_status sg_run_memos_read(struct sg_store_reader *reader, struct sg_id run_id, int64_t before_seq, struct sg_buf *out,
                                 struct sg_error *error)
{
    struct memos memos;
    enum sg_status status = memos_read(reader, run_id, before_seq, false, out, &memos, error);
    if (status != SG_OK)
        out->len = memos.start;
    memos_free(&memos);
    return status;
}

/* ---- the body ---- */

/* The parts of one body. */
struct parts {
    const struct sg_call *call;
    struct sg_id request_id;
    struct memos memos;
    struct sg_buf ctx;    /* up to the value of `use_api` */
    struct sg_buf events; /* [e, e, …] */
    size_t first_len;     /* of the first event, which begins at events[1] */
};

/* Ids of completed steps in order of completion; `current` is the rank of the step that caused this call, for v1 and v2 (reference/01 §7.2). */
static enum sg_status write_stack(const struct parts *parts, struct sg_buf *out)
{
    const struct memos *memos = &parts->memos;
    struct memo *order = sg_malloc((memos->count + 1) * sizeof(*order));
    if (order == NULL)
        return SG_NO_MEMORY;
    if (memos->count > 0) {
        memcpy(order, memos->items, memos->count * sizeof(*order));
        qsort(order, memos->count, sizeof(*order), by_seq);
    }
    size_t current = 0;
    for (size_t i = 0; i < memos->count && current == 0; i++)
        if (parts->call->cause.len > 0 && sg_str_eq(order[i].id, parts->call->cause))
            current = i + 1;
    sg_buf_append(out, SG_STR("{\"current\":"));
    sg_buf_int(out, (int64_t)current);
    sg_buf_append(out, SG_STR(",\"stack\":["));
    for (size_t i = 0; i < memos->count; i++) {
        if (i > 0)
            sg_buf_byte(out, ',');
        sg_json_quote(out, order[i].id);
    }
    sg_buf_append(out, SG_STR("]}"));
    sg_free(order);
    return out->is_failed ? SG_NO_MEMORY : SG_OK;
}

static enum sg_status read_events(struct sg_store_reader *reader, struct parts *parts, struct sg_error *error)
{
    const struct sg_call *call = parts->call;
    sg_buf_byte(&parts->events, '[');
    for (size_t i = 0; i < call->event_count; i++) {
        if (i > 0)
            sg_buf_byte(&parts->events, ',');
        enum sg_status status = sg_event_render_at(reader, call->event_positions[i], &parts->events, error);
        if (status != SG_OK)
            return status;
        if (i == 0)
            parts->first_len = parts->events.len - 1;
    }
    sg_buf_byte(&parts->events, ']');
    return parts->events.is_failed ? SG_NO_MEMORY : SG_OK;
}

static struct sg_str flag_text(bool flag)
{
    return flag ? SG_STR("true") : SG_STR("false");
}

static enum sg_status write_ctx(const struct parts *parts, struct sg_buf *out)
{
    const struct sg_call *call = parts->call;
    char uuid[SG_UUID_LEN + 1];
    char ulid[SG_ULID_LEN + 1];
    char job_id[SG_JOB_ID_MAX];
    char qi_id[SG_QI_ID_MAX];

    sg_buf_append(out, SG_STR("{\"attempt\":"));
    sg_buf_int(out, call->attempt);
    sg_buf_append(out, SG_STR(",\"disable_immediate_execution\":"));
    sg_buf_append(out, flag_text(call->is_plan_forced));
    sg_uuid_format(call->function_id, uuid);
    sg_buf_append(out, SG_STR(",\"env\":\"\",\"fn_id\":\""));
    sg_buf_append(out, sg_str_from(uuid));
    sg_buf_byte(out, '"');
    if (call->generation > 0) {
        sg_buf_append(out, SG_STR(",\"generation_id\":"));
        sg_buf_int(out, call->generation);
    }
    sg_job_id_format(call->job_id, job_id);
    sg_buf_append(out, SG_STR(",\"job_id\":\""));
    sg_buf_append(out, sg_str_from(job_id));
    sg_buf_append(out, SG_STR("\",\"max_attempts\":"));
    sg_buf_int(out, call->max_attempts);
    sg_qi_id_format(call->job_id, call->generation, qi_id);
    sg_buf_append(out, SG_STR(",\"qi_id\":\""));
    sg_buf_append(out, sg_str_from(qi_id));
    sg_ulid_format(parts->request_id, ulid);
    sg_buf_append(out, SG_STR("\",\"request_id\":\""));
    sg_buf_append(out, sg_str_from(ulid));
    sg_ulid_format(call->run_id, ulid);
    sg_buf_append(out, SG_STR("\",\"run_id\":\""));
    sg_buf_append(out, sg_str_from(ulid));
    sg_buf_append(out, SG_STR("\",\"stack\":"));
    if (write_stack(parts, out) != SG_OK)
        return SG_NO_MEMORY;
    sg_buf_append(out, SG_STR(",\"step_id\":"));
    struct sg_arena arena;
    sg_arena_init(&arena);
    sg_json_quote(out, sg_call_step_id(call, &arena));
    sg_arena_free(&arena);
    sg_buf_append(out, SG_STR(",\"use_api\":"));
    return out->is_failed ? SG_NO_MEMORY : SG_OK;
}

#define FRONT_PIECES 8

/* What stands before the value of `steps`. */
static size_t front_pieces(const struct parts *parts, bool is_api, bool has_events, struct sg_str pieces[FRONT_PIECES])
{
    struct sg_str first = {parts->events.ptr + 1, parts->first_len};
    pieces[0] = SG_STR("{\"ctx\":");
    pieces[1] = sg_buf_str(&parts->ctx);
    pieces[2] = flag_text(is_api);
    pieces[3] = SG_STR("},\"defers\":{},\"event\":");
    pieces[4] = parts->first_len > 0 ? first : SG_STR("{}");
    pieces[5] = SG_STR(",\"events\":");
    pieces[6] = has_events ? sg_buf_str(&parts->events) : SG_STR("[]");
    pieces[7] = SG_STR(",\"steps\":");
    size_t len = 0;
    for (size_t i = 0; i < FRONT_PIECES; i++)
        len += pieces[i].len;
    return len;
}

static void write_back(const struct parts *parts, bool is_api, struct sg_buf *out)
{
    sg_buf_append(out, SG_STR(",\"use_api\":"));
    sg_buf_append(out, flag_text(is_api));
    sg_buf_append(out, SG_STR(",\"version\":"));
    sg_buf_int(out, parts->call->request_version);
    sg_buf_byte(out, '}');
}

/* Makes the body of what is in `out` since `start`, which is the value of `steps`. */
static void write_body(const struct parts *parts, bool is_api, bool has_events, struct sg_buf *out)
{
    struct sg_str pieces[FRONT_PIECES];
    size_t front_len = front_pieces(parts, is_api, has_events, pieces);
    size_t start = parts->memos.start;

    if (is_api) {
        out->len = start;
        sg_buf_append(out, SG_STR("{}"));
    }
    if (!sg_buf_reserve(out, front_len + BACK_BYTES_MAX))
        return;
    memmove(out->ptr + start + front_len, out->ptr + start, out->len - start);
    out->len += front_len;
    char *at = out->ptr + start;
    for (size_t i = 0; i < FRONT_PIECES; i++) {
        memcpy(at, pieces[i].ptr, pieces[i].len);
        at += pieces[i].len;
    }
    write_back(parts, is_api, out);
}

/* Go ignores use_api and would run with missing steps; TypeScript 1 does not know it (reference/01 §9). */
static bool can_fetch(struct sg_str sdk)
{
    return !sg_str_starts_with(sdk, SG_STR("go:")) && !sg_str_starts_with(sdk, SG_STR("js:v1.")) &&
           !sg_str_starts_with(sdk, SG_STR("js:1."));
}

/* Known from what the engine counts, before a memo has been read. */
static bool is_over_inline(const struct sg_call *call)
{
    return can_fetch(call->sdk) && call->state_bytes > SG_LIMIT_INLINE_STATE_BYTES;
}

/* Inline if it fits; else without memos; else without events too (reference/01 §7.6). */
static void write_fitting(const struct parts *parts, struct sg_buf *out)
{
    bool is_api = is_over_inline(parts->call);
    struct sg_str pieces[FRONT_PIECES];
    struct sg_buf back;
    sg_buf_init(&back);
    write_back(parts, is_api, &back);
    size_t len = front_pieces(parts, is_api, true, pieces) + (is_api ? 2 : out->len - parts->memos.start) + back.len;
    out->is_failed |= back.is_failed;
    sg_buf_free(&back);
    if (can_fetch(parts->call->sdk) && len > SG_LIMIT_REQUEST_BYTES)
        write_body(parts, true, false, out);
    else
        write_body(parts, is_api, true, out);
}

enum sg_status sg_body_assemble(struct sg_store_reader *reader, const struct sg_call *call, struct sg_id request_id, struct sg_buf *out,
                                struct sg_error *error)
{
    SG_CHECK(call, SG_CALL_MAGIC);
    struct parts parts = {.call = call, .request_id = request_id};
    sg_buf_init(&parts.ctx);
    sg_buf_init(&parts.events);

    enum sg_status status = memos_read(reader, call->run_id, call->snapshot, is_over_inline(call), out, &parts.memos, error);
    if (status == SG_OK && parts.memos.count < (size_t)call->snapshot)
        status = sg_error_set(error, SG_NOT_FOUND, "%lld of the run's %lld memos are not in the store any more",
                              (long long)call->snapshot - (long long)parts.memos.count, (long long)call->snapshot);
    if (status == SG_OK)
        status = read_events(reader, &parts, error);
    if (status == SG_OK)
        status = write_ctx(&parts, &parts.ctx);
    if (status == SG_OK) {
        write_fitting(&parts, out);
        if (out->is_failed)
            status = SG_NO_MEMORY;
    }
    if (status == SG_NO_MEMORY)
        sg_error_set(error, status, "out of memory while putting a call together");

    memos_free(&parts.memos);
    sg_buf_free(&parts.ctx);
    sg_buf_free(&parts.events);
    return status;
}
