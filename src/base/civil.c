/*
 * The Gregorian calendar as arithmetic. Years are shifted to begin in March, so that the leap day is the last of its year;
 * 400 years are a whole number of days and everything repeats.
 */
#include "base/civil.h"

#include <assert.h>

#define MS_PER_DAY INT64_C(86400000)
#define DAYS_PER_ERA INT64_C(146097) /* 400 years */
#define DAYS_TO_1970 INT64_C(719468) /* from 0000-03-01 */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

int64_t sg_civil_days(int64_t year, int month, int day)
{
    assert(month >= 1 && month <= 12);
    if (month <= 2)
        year--;
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

int sg_civil_month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    assert(month >= 1 && month <= 12);
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap ? 1 : 0);
}

int64_t sg_civil_to_ms(const struct sg_civil *civil)
{
    int64_t seconds = (civil->hour * INT64_C(60) + civil->minute) * 60 + civil->second;
    return sg_civil_days(civil->year, civil->month, civil->day) * MS_PER_DAY + seconds * 1000 + civil->millisecond;
}

struct sg_civil sg_civil_from_ms(int64_t unix_ms)
{
    int64_t days = floor_div(unix_ms, MS_PER_DAY);
    int64_t in_day = unix_ms % MS_PER_DAY + (unix_ms % MS_PER_DAY < 0 ? MS_PER_DAY : 0);
    int64_t shifted = days + DAYS_TO_1970;
    int64_t era = floor_div(shifted, DAYS_PER_ERA);
    int64_t day_of_era = shifted - era * DAYS_PER_ERA;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    struct sg_civil civil;

    civil.day = (int)(day_of_year - (153 * shifted_month + 2) / 5) + 1;
    civil.month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    civil.year = year_of_era + era * 400 + (civil.month <= 2 ? 1 : 0);
    civil.hour = (int)(in_day / 3600000);
    civil.minute = (int)(in_day / 60000 % 60);
    civil.second = (int)(in_day / 1000 % 60);
    civil.millisecond = (int)(in_day % 1000);
    civil.weekday = (int)(((days % 7) + 11) % 7); /* 1970-01-01 was a Thursday */
    return civil;
}
