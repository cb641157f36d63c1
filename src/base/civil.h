/* The Gregorian calendar as arithmetic, without time zones and without the C library's idea of time. */
#ifndef STEPGATE_BASE_CIVIL_H
#define STEPGATE_BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

struct sg_civil {
    int64_t year; /* proleptic, 0 exists */
    int month;    /* 1-12 */
    int day;      /* 1-31 */
    int hour;
    int minute;
    int second;
    int millisecond;
    int weekday; /* 0 is Sunday; ignored as input */
};

/* Days since 1970-01-01. */
int64_t sg_civil_days(int64_t year, int month, int day);
int sg_civil_month_days(int64_t year, int month);
/* Unix milliseconds of a UTC date and time and back. */
int64_t sg_civil_to_ms(const struct sg_civil *civil);
struct sg_civil sg_civil_from_ms(int64_t unix_ms);

#endif
