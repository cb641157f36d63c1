/*
 * How a function says that it failed.
 *
 * The model. Every status is one line of protocol/errors.def: name, text, HTTP status, machine-readable code. A failing
 * function adds a sentence of its own, with the field and the limit in it, to the `struct sg_error` its caller passed.
 *
 * What it never does: allocate. Saying that memory ran out must not need memory; a message that is too long is cut.
 */
#include <stepgate/base.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *text;
    const char *code;
    int http;
} statuses[SG_STATUS_COUNT] = {
#define SG_ERROR(name, text, http_status, code) [SG_##name] = {text, code, http_status},
#include "errors.def"
#undef SG_ERROR
};

enum sg_status sg_error_set(struct sg_error *error, enum sg_status status, const char *format, ...)
{
    assert(status < SG_STATUS_COUNT);
    if (error == NULL)
        return status;

    error->status = status;
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    if (len < 0)
        snprintf(error->message, sizeof(error->message), "%s", statuses[status].text);

    /* A cut must not leave half a UTF-8 character: the message goes into JSON. */
    if (len >= (int)sizeof(error->message)) {
        size_t end = sizeof(error->message) - 1;
        while (end > 0 && ((unsigned char)error->message[end - 1] & 0xc0) == 0x80)
            end--;
        if (end > 0 && (unsigned char)error->message[end - 1] >= 0xc0)
            end--;
        error->message[end] = '\0';
    }
    return status;
}

const char *sg_status_text(enum sg_status status)
{
    assert(status < SG_STATUS_COUNT);
    return statuses[status].text;
}

const char *sg_status_code(enum sg_status status)
{
    assert(status < SG_STATUS_COUNT);
    return statuses[status].code;
}

int sg_status_http(enum sg_status status)
{
    assert(status < SG_STATUS_COUNT);
    return statuses[status].http;
}
