/*
 * The headers of an SDK's answer that decide about something.
 *
 * The model. An answer may carry any number of headers; only those of protocol/headers.def are kept, each in a slot of its own, so that
 * looking one up is an array access and a hostile answer with ten thousand headers costs no memory. Names are compared without regard to
 * case, because HTTP/2 and proxies change it.
 *
 * What it never does: copy. The values belong to whoever read them.
 */
#include "sdk/headers.h"

#include "base/check.h"

static const char *const names[SG_HEADER_COUNT] = {
#define SG_HEADER(NAME, name) [SG_HEADER_##NAME] = name,
#include "headers.def"
#undef SG_HEADER
};

const char *sg_header_name(enum sg_header header)
{
    assert((int)header >= 0 && header < SG_HEADER_COUNT);
    return names[header];
}

bool sg_header_find(struct sg_str name, enum sg_header *header)
{
    for (int i = 0; i < SG_HEADER_COUNT; i++) {
        if (sg_str_eq_nocase(name, sg_str_from(names[i]))) {
            *header = (enum sg_header)i;
            return true;
        }
    }
    return false;
}

void sg_headers_set(struct sg_headers *headers, struct sg_str name, struct sg_str value)
{
    enum sg_header header;
    if (sg_header_find(name, &header))
        headers->values[header] = sg_str_trim(value);
}
