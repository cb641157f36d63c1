/* The order in which canonical JSON sorts keys. */
#ifndef STEPGATE_JSON_UTF16_H
#define STEPGATE_JSON_UTF16_H

#include <stepgate/base.h>

/*
 * Compares the insides of two canonical JSON strings by the UTF-16 code units of what they mean. With `has_escapes` false
 * they are plain texts, in which a backslash is a backslash.
 */
int sg_utf16_cmp(struct sg_str a, struct sg_str b, bool has_escapes);

#endif
