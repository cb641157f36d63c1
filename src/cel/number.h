/* Doubles as text and back, whatever the locale says. */
#ifndef STEPGATE_CEL_NUMBER_H
#define STEPGATE_CEL_NUMBER_H

#include <stepgate/base.h>

#define SG_CEL_DOUBLE_MAX 32

/*
 * Reads digits, an optional fraction and an optional exponent, nothing else and all of it. False if the text is something
 * else, or if the number is too large for a double (too small is 0).
 */
bool sg_cel_double_parse(struct sg_str text, double *value);
/* What CEL's double() takes: a sign, the above, "NaN", "inf", "infinity", hexadecimal floats. */
bool sg_cel_double_convert(struct sg_str text, double *value);
/* "5", "1.5", "1e+06", "NaN", "+Inf", "-0": reference/05 §3.5. Returns the length. */
size_t sg_cel_double_format(double value, char text[SG_CEL_DOUBLE_MAX]);

#endif
