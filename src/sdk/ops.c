/*
 * Op lists: what an SDK reports in a 206 answer or a checkpoint.
 *
 * The model. The bytes are made canonical once and kept whole in the arena; an op is a handful of substrings of that text. Each
 * op is read in one pass over its members: real answers carry many that mean nothing to us (reference/02 §1: v4 sends its
 * internal record), and an op's output may be megabytes, so nothing is scanned twice.
 *
 * A list is taken or refused as a whole: one op that we do not understand makes the answer an error, because a step that was silently left
 * out would be waited for for ever.
 *
 * What it never does: decide what an op means for a run. That is the engine's business.
 */
#include "sdk/ops.h"

#include <stepgate/json.h>

#include "base/check.h"

/* `{"data":` and `}`: an output is limited as the memo it becomes (reference/02 §12). */
#define MEMO_WRAPPER_BYTES 9

/* The members of an op that mean something, as canonical JSON; empty: absent. */
struct op_members {
    struct sg_str op;
    struct sg_str id;
    struct sg_str name;
    struct sg_str display_name;
    struct sg_str opts;
    struct sg_str data;
    struct sg_str error;
    struct sg_str timing;
};

static enum sg_status op_read(struct sg_str object, size_t index, struct sg_arena *arena, struct sg_op *op, struct sg_error *error);

enum sg_status sg_ops_decode(struct sg_str body, struct sg_buf *consumed, struct sg_arena *arena, struct sg_op **ops, size_t *count,
                             struct sg_error *error)
{
    *ops = NULL;
    *count = 0;
    body = sg_str_trim(body);
    if (body.len == 0)
        return sg_error_set(error, SG_BAD_RESPONSE, "error reading the op list: the body of the 206 answer is empty");

    struct sg_error why;
    struct sg_str text;
    enum sg_status status = sg_json_canonical_keep(body, consumed, arena, &text, &why);
    if (status == SG_NO_MEMORY)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while reading an op list of %zu bytes", body.len);
    if (status != SG_OK)
        return sg_error_set(error, SG_BAD_RESPONSE, "error reading the op list: %s", why.message);
    return sg_ops_read(text, arena, ops, count, error);
}

enum sg_status sg_ops_read(struct sg_str canonical, struct sg_arena *arena, struct sg_op **ops, size_t *count, struct sg_error *error)
{
    *ops = NULL;
    *count = 0;
    enum sg_json_kind kind = sg_json_kind_of(canonical);
    if (kind != SG_JSON_ARRAY && kind != SG_JSON_OBJECT)
        return sg_error_set(error, SG_BAD_RESPONSE, "error reading the op list: expected an array of ops, got %s", sg_json_kind_name(kind));

    size_t total = kind == SG_JSON_ARRAY ? sg_json_count(canonical) : 1;
    if (total > SG_LIMIT_OPS_PER_ANSWER)
        return sg_error_set(error, SG_TOO_MANY, "the answer has %zu ops; at most %d are allowed", total, SG_LIMIT_OPS_PER_ANSWER);
    struct sg_op *list = sg_arena_zalloc(arena, (total > 0 ? total : 1) * sizeof(*list));
    if (list == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory for %zu ops", total);

    if (total == 0) { /* "nothing to do on this branch" (reference/01 §8.2) */
        *list = (struct sg_op){.code = SG_OP_NONE, .data = SG_STR("null")};
        *ops = list;
        *count = 1;
        return SG_OK;
    }
    if (kind == SG_JSON_OBJECT) {
        enum sg_status status = op_read(canonical, 0, arena, list, error);
        if (status != SG_OK)
            return status;
    } else {
        struct sg_json_iter iter = sg_json_iter(canonical);
        struct sg_str element;
        for (size_t i = 0; i < total && sg_json_next_element(&iter, &element); i++) {
            enum sg_status status = op_read(element, i, arena, &list[i], error);
            if (status != SG_OK)
                return status;
        }
    }
    *ops = list;
    *count = total;
    return SG_OK;
}

/* ---- one op ---- */

static void members_collect(struct sg_str object, struct op_members *members)
{
    *members = (struct op_members){0};
    const struct {
        struct sg_str key;
        struct sg_str *slot;
    } known[] = {
        {SG_STR("\"op\""), &members->op},       {SG_STR("\"id\""), &members->id},
        {SG_STR("\"name\""), &members->name},   {SG_STR("\"displayName\""), &members->display_name},
        {SG_STR("\"opts\""), &members->opts},   {SG_STR("\"data\""), &members->data},
        {SG_STR("\"error\""), &members->error}, {SG_STR("\"timing\""), &members->timing},
    };
    struct sg_json_iter iter = sg_json_iter(object);
    struct sg_str key;
    struct sg_str value;
    while (sg_json_next_member(&iter, &key, &value))
        for (size_t i = 0; i < SG_ARRAY_LEN(known); i++)
            if (sg_str_eq(key, known[i].key)) {
                *known[i].slot = value;
                break;
            }
}

/* A text member; what is not a string counts as absent. */
static enum sg_status read_text(struct sg_str value, struct sg_arena *arena, struct sg_str *text)
{
    *text = SG_STR("");
    if (sg_json_kind_of(value) != SG_JSON_STRING)
        return SG_OK;
    return sg_json_to_str(value, arena, text);
}

static enum sg_status read_identity(const struct op_members *members, size_t index, struct sg_arena *arena, struct sg_op *op,
                                    struct sg_error *error)
{
    struct sg_str code;
    enum sg_json_kind code_kind = sg_json_kind_of(members->op);
    if (code_kind != SG_JSON_ABSENT && code_kind != SG_JSON_NULL && code_kind != SG_JSON_STRING)
        return sg_error_set(error, SG_BAD_RESPONSE, "error reading op %zu: `op` must be a string, got %s", index,
                            sg_json_kind_name(code_kind));
    if (read_text(members->op, arena, &code) != SG_OK)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    if (!sg_opcode_parse(code, &op->code))
        return sg_error_set(error, SG_BAD_RESPONSE, "error reading op %zu: unknown opcode \"%.*s\"", index,
                            (int)(code.len > 64 ? 64 : code.len), code.ptr);

    enum sg_json_kind id_kind = sg_json_kind_of(members->id);
    if (id_kind != SG_JSON_ABSENT && id_kind != SG_JSON_NULL && id_kind != SG_JSON_STRING)
        return sg_error_set(error, SG_BAD_RESPONSE, "error reading op %zu (%s): `id` must be a string, got %s", index,
                            sg_opcode_name(op->code), sg_json_kind_name(id_kind));
    if (read_text(members->id, arena, &op->id) != SG_OK || read_text(members->name, arena, &op->name) != SG_OK ||
        read_text(members->display_name, arena, &op->display_name) != SG_OK)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    if (op->id.len == 0 && op->code != SG_OP_NONE)
        return sg_error_set(error, SG_BAD_RESPONSE, "error reading op %zu (%s): it has no `id`", index, sg_opcode_name(op->code));
    if (op->id.len > SG_LIMIT_STEP_ID_BYTES)
        return sg_error_set(error, SG_BAD_RESPONSE, "error reading op %zu (%s): its `id` has %zu bytes; at most %d are allowed", index,
                            sg_opcode_name(op->code), op->id.len, SG_LIMIT_STEP_ID_BYTES);
    if (op->display_name.len == 0)
        op->display_name = op->name.len > 0 ? op->name : op->id;
    op->display_name = sg_str_cut(op->display_name, SG_LIMIT_STEP_NAME_BYTES);
    return SG_OK;
}

static enum sg_status read_opts(struct sg_str opts, struct sg_arena *arena, struct sg_op *op, struct sg_error *error)
{
    op->duration = op->code == SG_OP_SLEEP ? op->name : SG_STR_NULL;
    if (sg_json_kind_of(opts) != SG_JSON_OBJECT)
        return SG_OK;
    op->opts = opts;
    if (opts.len == 2)
        return SG_OK;

    struct sg_str mode;
    struct sg_str duration;
    if (read_text(sg_json_get(opts, SG_STR("parallelMode")), arena, &mode) != SG_OK ||
        read_text(sg_json_get(opts, SG_STR("duration")), arena, &duration) != SG_OK)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    op->is_race = sg_str_eq_nocase(mode, SG_STR("race"));
    if (op->code == SG_OP_SLEEP && duration.len > 0)
        op->duration = duration;
    /* For an AI call the body is the input. */
    struct sg_str input = sg_json_get(opts, SG_STR("input"));
    struct sg_str body = sg_json_get(opts, SG_STR("body"));
    if (input.len > SG_LIMIT_STEP_INPUT_BYTES || body.len > SG_LIMIT_STEP_INPUT_BYTES)
        return sg_error_set(error, SG_BAD_RESPONSE,
                            "error validating generator opcode %.*s: step input size is greater than the limit of %d bytes", SG_FMT(op->id),
                            SG_LIMIT_STEP_INPUT_BYTES);
    return SG_OK;
}

static enum sg_status op_read(struct sg_str object, size_t index, struct sg_arena *arena, struct sg_op *op, struct sg_error *error)
{
    enum sg_json_kind kind = sg_json_kind_of(object);
    if (kind != SG_JSON_OBJECT)
        return sg_error_set(error, SG_BAD_RESPONSE, "error reading op %zu: expected an object, got %s", index, sg_json_kind_name(kind));
    struct op_members members;
    members_collect(object, &members);
    enum sg_status status = read_identity(&members, index, arena, op, error);
    if (status == SG_OK)
        status = read_opts(members.opts, arena, op, error);
    if (status != SG_OK)
        return status;

    op->data = members.data.len > 0 ? members.data : SG_STR("null");
    if (op->data.len + MEMO_WRAPPER_BYTES > SG_LIMIT_STEP_OUTPUT_BYTES ||
        members.error.len + MEMO_WRAPPER_BYTES > SG_LIMIT_STEP_OUTPUT_BYTES)
        return sg_error_set(error, SG_BAD_RESPONSE,
                            "error validating generator opcode %.*s: step output size is greater than the limit of %d bytes",
                            SG_FMT(op->id), SG_LIMIT_STEP_OUTPUT_BYTES);

    if (op->code == SG_OP_STEP_ERROR || op->code == SG_OP_STEP_FAILED) {
        if (sg_json_kind_of(members.error) != SG_JSON_OBJECT)
            return sg_error_set(error, SG_BAD_RESPONSE, "error reading op %zu: %s without an `error` object", index,
                                sg_opcode_name(op->code));
        op->error = sg_ops_error_object(members.error, arena);
        if (op->error.ptr == NULL)
            return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    }
    if (sg_json_kind_of(members.timing) == SG_JSON_OBJECT) {
        sg_json_to_int(sg_json_get(members.timing, SG_STR("a")), &op->started_at_ns);
        sg_json_to_int(sg_json_get(members.timing, SG_STR("b")), &op->duration_ns);
    }
    return SG_OK;
}

/* ---- errors ---- */

/* What the four members that SDKs read say, and whether the object may stay as it is. */
struct error_view {
    struct sg_str name; /* JSON strings; empty: to be made */
    struct sg_str message;
    struct sg_str odd_message; /* not a string: its text becomes the message */
    struct sg_str text;        /* `error` */
    bool is_clean;
};

static struct error_view error_look(struct sg_str object)
{
    struct error_view view = {.is_clean = true};
    struct sg_json_iter iter = sg_json_iter(object);
    struct sg_str key;
    struct sg_str value;
    while (sg_json_next_member(&iter, &key, &value)) {
        bool is_string = sg_json_kind_of(value) == SG_JSON_STRING;
        if (sg_str_eq(key, SG_STR("\"name\"")) && is_string)
            view.name = value;
        else if (sg_str_eq(key, SG_STR("\"message\"")) && is_string)
            view.message = value;
        else if (sg_str_eq(key, SG_STR("\"message\"")) && sg_json_kind_of(value) != SG_JSON_NULL)
            view.odd_message = value;
        else if (sg_str_eq(key, SG_STR("\"error\"")) && is_string)
            view.text = value;
        else if (sg_str_eq(key, SG_STR("\"__serialized\"")) ||
                 ((sg_str_eq(key, SG_STR("\"stack\"")) || sg_str_eq(key, SG_STR("\"error\""))) && !is_string))
            view.is_clean = false;
    }
    view.is_clean = view.is_clean && view.name.len > 0 && view.message.len > 0;
    return view;
}

static bool error_drops(struct sg_str key, struct sg_str value)
{
    if (sg_str_eq(key, SG_STR("\"__serialized\"")) || sg_str_eq(key, SG_STR("\"name\"")) || sg_str_eq(key, SG_STR("\"message\"")))
        return true;
    return (sg_str_eq(key, SG_STR("\"stack\"")) || sg_str_eq(key, SG_STR("\"error\""))) && sg_json_kind_of(value) != SG_JSON_STRING;
}

static void write_member(struct sg_buf *out, struct sg_str key, struct sg_str value, bool *is_first)
{
    if (!*is_first)
        sg_buf_byte(out, ',');
    *is_first = false;
    sg_buf_append(out, key);
    sg_buf_byte(out, ':');
    sg_buf_append(out, value);
}

/* Writes the made member if `next` (NULL: the end) comes behind it in canonical order. */
static void write_made(struct sg_buf *out, struct sg_str name, struct sg_str value, const struct sg_str *next, bool *is_done,
                       bool *is_first)
{
    if (*is_done || (next != NULL && sg_json_key_cmp(*next, name) < 0))
        return;
    *is_done = true;
    if (!*is_first)
        sg_buf_byte(out, ',');
    *is_first = false;
    sg_json_quote(out, name);
    sg_buf_byte(out, ':');
    sg_buf_append(out, value);
}

struct sg_str sg_ops_error_object(struct sg_str canonical, struct sg_arena *arena)
{
    assert(sg_json_kind_of(canonical) == SG_JSON_OBJECT);
    struct error_view view = error_look(canonical);
    if (view.is_clean)
        return canonical;

    struct sg_buf made;
    struct sg_buf out;
    sg_buf_init(&made);
    sg_buf_init(&out);
    if (view.message.len == 0 && view.odd_message.len > 0)
        sg_json_quote(&made, view.odd_message);
    else if (view.message.len == 0)
        sg_buf_append(&made, view.text.len > 0 ? view.text : SG_STR("\"Unknown error\""));
    struct sg_str message = view.message.len > 0 ? view.message : sg_buf_str(&made);
    struct sg_str name = view.name.len > 0 ? view.name : SG_STR("\"Error\"");

    bool is_first = true;
    bool has_name = false;
    bool has_message = false;
    sg_buf_byte(&out, '{');
    struct sg_json_iter iter = sg_json_iter(canonical);
    struct sg_str key;
    struct sg_str value;
    while (sg_json_next_member(&iter, &key, &value)) {
        if (error_drops(key, value))
            continue;
        struct sg_str plain;
        if (sg_json_to_str(key, arena, &plain) != SG_OK) {
            out.is_failed = true;
            break;
        }
        write_made(&out, SG_STR("message"), message, &plain, &has_message, &is_first);
        write_made(&out, SG_STR("name"), name, &plain, &has_name, &is_first);
        write_member(&out, key, value, &is_first);
    }
    write_made(&out, SG_STR("message"), message, NULL, &has_message, &is_first);
    write_made(&out, SG_STR("name"), name, NULL, &has_name, &is_first);
    sg_buf_byte(&out, '}');

    struct sg_str result = out.is_failed || made.is_failed ? SG_STR_NULL : sg_arena_copy(arena, sg_buf_str(&out));
    sg_buf_free(&made);
    sg_buf_free(&out);
    return result;
}
