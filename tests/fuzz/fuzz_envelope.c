/* Any bytes as the envelope of a streamed answer: refused with a message, or opened. */
#include <assert.h>

#include "sdk/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sg_arena arena = {0};
    struct sg_headers headers = {0};
    struct sg_envelope envelope;
    struct sg_error error = {0};
    enum sg_status status = sg_envelope_open((struct sg_str){(const char *)data, size}, NULL, &arena, &headers, &envelope, &error);
    assert(status == SG_OK || status == SG_BAD_RESPONSE);
    for (int i = 0; i < SG_HEADER_COUNT && status == SG_OK; i++)
        assert(headers.values[i].len <= 3 * size); /* a bad byte becomes U+FFFD */
    if (status == SG_OK)
        sg_envelope_free(&envelope);
    sg_arena_free(&arena);
    return 0;
}
