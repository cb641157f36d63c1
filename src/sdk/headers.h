/* The headers of an SDK's answer that decide about something (protocol/headers.def), by number. */
#ifndef STEPGATE_SDK_HEADERS_H
#define STEPGATE_SDK_HEADERS_H

#include <stepgate/base.h>

enum sg_header {
#define SG_HEADER(NAME, name) SG_HEADER_##NAME,
#include "headers.def"
#undef SG_HEADER
    SG_HEADER_COUNT
};

/* An absent header has no bytes. */
struct sg_headers {
    struct sg_str values[SG_HEADER_COUNT];
};

/* "x-inngest-sdk", ...; never NULL. */
const char *sg_header_name(enum sg_header header);
/* Whether `name` (in any case) is one of them. */
bool sg_header_find(struct sg_str name, enum sg_header *header);
/* Sets the value if the name is one of them, replacing an earlier one; surrounding white space is cut. `value` is borrowed. */
void sg_headers_set(struct sg_headers *headers, struct sg_str name, struct sg_str value);

#endif
