/* Any bytes as durations, dates, timeouts, Retry-After and event-id seeds: results stay within their bounds. */
#include <assert.h>

#include "base/duration.h"
#include "base/seed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sg_str text = {(const char *)data, size};
    int64_t now_ms = INT64_C(1893553445600);
    struct sg_error error;
    struct sg_event_seed seed;
    int64_t value;
    char formatted[SG_RFC3339_MAX];

    (void)sg_duration_parse_ns(text, &value, &error);
    if (sg_duration_parse_ms(text, &value, &error) == SG_OK) {
        int64_t again;
        size_t len = sg_duration_format(value, formatted);
        assert(sg_duration_parse_ms((struct sg_str){formatted, len}, &again, NULL) != SG_OK || again == value);
    }
    if (sg_delay_parse(text, now_ms, &value, &error) == SG_OK)
        assert(value >= 0);
    (void)sg_timeout_parse(text, now_ms, &value, &error);
    if (sg_retry_after_parse(text, now_ms, &value))
        assert(value >= 1000 && value <= INT64_C(86400000));
    if (sg_date_parse(text, &value)) {
        int64_t again;
        size_t len = sg_rfc3339_format(value, formatted);
        assert(!sg_rfc3339_parse((struct sg_str){formatted, len}, &again) || again == value);
    }
    if (sg_event_seed_parse(text, &seed))
        assert(sg_ulid_time_ms(sg_event_seed_id(&seed, 1)) == seed.time_ms);
    return 0;
}
