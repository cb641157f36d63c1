/*
 * A large answer as bytes, for the store (kind `answer`).
 *
 * Version 1: a byte 1, then numbers as 8 bytes little-endian and texts as their length (a number) and their bytes, in the order of the fields below. The
 * version is the encoding's own, so that two versions of the program can read each other's store during an upgrade.
 */
#include <string.h>

#include <stepgate/engine.h>

#define ANSWER_VERSION 1

static void number_put(struct sg_buf *out, int64_t number)
{
    char bytes[8];
    for (int index = 0; index < 8; index++)
        bytes[index] = (char)((uint64_t)number >> (8 * index));
    sg_buf_append(out, (struct sg_str){bytes, sizeof(bytes)});
}

static void text_put(struct sg_buf *out, struct sg_str text)
{
    number_put(out, (int64_t)text.len);
    sg_buf_append(out, text);
}

void sg_answer_encode(const struct sg_answer *answer, struct sg_buf *out)
{
    sg_buf_byte(out, ANSWER_VERSION);
    number_put(out, answer->kind);
    number_put(out, answer->is_no_retry);
    number_put(out, answer->request_version);
    number_put(out, answer->retry_after_ms);
    number_put(out, answer->http_status);
    number_put(out, answer->duration_ms);
    text_put(out, answer->output);
    text_put(out, answer->error);
    number_put(out, (int64_t)answer->op_count);
    for (size_t index = 0; index < answer->op_count; index++) {
        const struct sg_op *op = &answer->ops[index];
        number_put(out, op->code);
        number_put(out, op->is_race);
        number_put(out, op->started_at_ns);
        number_put(out, op->duration_ns);
        text_put(out, op->id);
        text_put(out, op->name);
        text_put(out, op->display_name);
        text_put(out, op->data);
        text_put(out, op->error);
        text_put(out, op->opts);
        text_put(out, op->duration);
    }
}

struct reader {
    struct sg_str rest;
    bool is_failed;
};

static int64_t number_get(struct reader *reader)
{
    if (reader->rest.len < 8) {
        reader->is_failed = true;
        return 0;
    }
    uint64_t number = 0;
    for (int index = 7; index >= 0; index--)
        number = number << 8 | (uint8_t)reader->rest.ptr[index];
    reader->rest.ptr += 8;
    reader->rest.len -= 8;
    return (int64_t)number;
}

static struct sg_str text_get(struct reader *reader)
{
    int64_t len = number_get(reader);
    if (reader->is_failed || len < 0 || (uint64_t)len > reader->rest.len) {
        reader->is_failed = true;
        return SG_STR_NULL;
    }
    struct sg_str text = {reader->rest.ptr, (size_t)len};
    reader->rest.ptr += len;
    reader->rest.len -= (size_t)len;
    return text;
}

static void op_get(struct reader *reader, struct sg_op *op)
{
    int64_t code = number_get(reader);
    if (code < 0 || code >= SG_OP_COUNT)
        reader->is_failed = true;
    op->code = (enum sg_opcode)code;
    op->is_race = number_get(reader) != 0;
    op->started_at_ns = number_get(reader);
    op->duration_ns = number_get(reader);
    op->id = text_get(reader);
    op->name = text_get(reader);
    op->display_name = text_get(reader);
    op->data = text_get(reader);
    op->error = text_get(reader);
    op->opts = text_get(reader);
    op->duration = text_get(reader);
}

enum sg_status sg_answer_decode_bytes(struct sg_str bytes, struct sg_arena *arena, struct sg_answer *answer)
{
    if (bytes.len < 1 || bytes.ptr[0] != ANSWER_VERSION)
        return SG_STORE_CORRUPT;
    struct reader reader = {{bytes.ptr + 1, bytes.len - 1}, false};
    memset(answer, 0, sizeof(*answer));
    answer->kind = (enum sg_answer_kind)number_get(&reader);
    answer->is_no_retry = number_get(&reader) != 0;
    answer->request_version = (int)number_get(&reader);
    answer->retry_after_ms = number_get(&reader);
    answer->http_status = (int)number_get(&reader);
    answer->duration_ms = number_get(&reader);
    answer->output = text_get(&reader);
    answer->error = text_get(&reader);
    int64_t count = number_get(&reader);
    if (reader.is_failed || count < 0 || count > SG_LIMIT_OPS_PER_ANSWER)
        return SG_STORE_CORRUPT;
    answer->op_count = (size_t)count;
    answer->ops = sg_arena_zalloc(arena, (size_t)count * sizeof(*answer->ops) + 1);
    if (answer->ops == NULL)
        return SG_NO_MEMORY;
    for (size_t index = 0; index < answer->op_count; index++)
        op_get(&reader, &answer->ops[index]);
    return reader.is_failed || reader.rest.len > 0 ? SG_STORE_CORRUPT : SG_OK;
}
