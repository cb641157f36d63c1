/* Regular expressions: RE2 behind a C interface. */
#ifndef STEPGATE_CEL_REGEX_H
#define STEPGATE_CEL_REGEX_H

#include <stepgate/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sg_cel_regex;

/*
 * Compiles a pattern (UTF-8) within `bytes_max` of memory, a hundred of which are one instruction. SG_INVALID_EXPRESSION with
 * the reason in `message`, cut to `message_size` with its NUL; SG_NO_MEMORY.
 */
enum sg_status sg_cel_regex_compile(struct sg_str pattern, size_t bytes_max, struct sg_cel_regex **regex, char *message,
                                    size_t message_size);
void sg_cel_regex_free(struct sg_cel_regex *regex); /* NULL is fine */
/* Whether the pattern is found anywhere in the text. Safe to call from several threads. */
bool sg_cel_regex_is_found(const struct sg_cel_regex *regex, struct sg_str text);
/* Instructions of the compiled pattern: matching costs at worst so many operations a byte. */
size_t sg_cel_regex_size(const struct sg_cel_regex *regex);

#ifdef __cplusplus
}
#endif

#endif
