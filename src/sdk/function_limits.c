/*
 * The flow-control part of a function's configuration, checked.
 *
 * The model. One function a field, in the order of the table in reference/04 §2.4, with its texts. What the reference accepts
 * and runs is accepted: missing limits, a debounce timeout that is not a duration, negative numbers. What it accepts and cannot
 * run (a throttle or singleton key that does not compile) is refused.
 *
 * What it never does: rewrite anything. Defaults and `idempotency` are the engine's business.
 */
#include "base/duration.h"
#include "sdk/function_check.h"

#define CODE_CONFIG "config_invalid"

#define CONCURRENCY_LIMITS_MAX 2                 /* reference/04 §1, "max step concurrency limits" */
#define CANCELS_MAX 5                            /* reference/04 §1 */
#define DEBOUNCE_MIN_MS 1000LL                   /* reference/04 §1 */
#define DEBOUNCE_MAX_MS (7LL * 24 * 3600 * 1000) /* reference/04 §1 */
#define RATE_PERIOD_MAX_MS (24LL * 3600 * 1000)  /* reference/04 §1 */
#define BATCH_SIZE_MIN 2                         /* reference/04 §2.4 */
#define BATCH_TIMEOUT_MIN_MS 1000LL              /* reference/04 §2.4 */

/* ---- concurrency ---- */

enum scope { SCOPE_FUNCTION, SCOPE_ENV, SCOPE_ACCOUNT };

static bool read_scope(struct sg_function_check *check, struct sg_str limit, enum scope *scope)
{
    *scope = SCOPE_FUNCTION;
    struct sg_str value = sg_json_get(limit, SG_STR("scope"));
    enum sg_json_kind kind = sg_json_kind_of(value);
    if (kind == SG_JSON_ABSENT || kind == SG_JSON_NULL)
        return true;
    if (kind != SG_JSON_STRING) {
        sg_check_refuse(check, "ConcurrencyScope should be a string, got %.*s", SG_FMT(value));
        return false;
    }
    struct sg_str text = sg_check_text(check, limit, "scope");
    if (text.len == 0 || sg_str_eq_nocase(text, SG_STR("fn")))
        return true;
    if (sg_str_eq_nocase(text, SG_STR("env"))) {
        *scope = SCOPE_ENV;
        return true;
    }
    if (sg_str_eq_nocase(text, SG_STR("account"))) {
        *scope = SCOPE_ACCOUNT;
        return true;
    }
    sg_check_refuse(check, "%.*s does not belong to ConcurrencyScope values", SG_FMT(text));
    return false;
}

static void check_step_limit(struct sg_function_check *check, struct sg_str limit)
{
    if (sg_json_kind_of(limit) != SG_JSON_OBJECT) {
        sg_check_refuse(check, "a concurrency limit must be an object, got %s", sg_json_kind_name(sg_json_kind_of(limit)));
        return;
    }
    enum scope scope;
    int64_t number;
    struct sg_error why;
    if (!read_scope(check, limit, &scope))
        return;
    sg_check_int(check, limit, "limit", &number);
    struct sg_str key = sg_check_text(check, limit, "key");
    if (scope != SCOPE_FUNCTION && key.len == 0)
        sg_check_problem(check, CODE_CONFIG, "A concurrency key must be specified for %s scoped limits",
                         scope == SCOPE_ENV ? "Env" : "Account");
    if (!sg_check_expression(check, key, SG_EXPRESSION_KEY, &why))
        sg_check_problem(check, CODE_CONFIG, "Invalid concurrency key '%.*s': %s", SG_FMT(key), why.message);
}

static void check_run_limit(struct sg_function_check *check, struct sg_str limit)
{
    if (sg_json_kind_of(limit) != SG_JSON_OBJECT) {
        sg_check_refuse(check, "a concurrency limit must be an object, got %s", sg_json_kind_name(sg_json_kind_of(limit)));
        return;
    }
    struct sg_error why;
    int64_t number = 0;
    struct sg_str scope = sg_check_text(check, limit, "scope");
    if (sg_str_eq_nocase(scope, SG_STR("app")))
        sg_check_problem(check, CODE_CONFIG, "app-scoped function concurrency cannot be set by users");
    else if (scope.len > 0 && !sg_str_eq_nocase(scope, SG_STR("fn")))
        sg_check_problem(check, CODE_CONFIG, "invalid function concurrency scope: %.*s", SG_FMT(scope));
    sg_check_int(check, limit, "limit", &number);
    if (number <= 0)
        sg_check_problem(check, CODE_CONFIG, "function concurrency limit must be > 0");
    struct sg_str key = sg_check_text(check, limit, "key");
    if (!sg_check_expression(check, key, SG_EXPRESSION_KEY, &why))
        sg_check_problem(check, CODE_CONFIG, "invalid function concurrency key '%.*s': %s", SG_FMT(key), why.message);
}

static void check_each(struct sg_function_check *check, struct sg_str array, void (*one)(struct sg_function_check *, struct sg_str))
{
    struct sg_json_iter iter = sg_json_iter(array);
    struct sg_str element;
    while (check->status == SG_OK && sg_json_next_element(&iter, &element))
        one(check, element);
}

static void check_step_limits(struct sg_function_check *check, struct sg_str array)
{
    if (sg_json_count(array) > CONCURRENCY_LIMITS_MAX)
        sg_check_problem(check, "concurrency_limit_invalid", "There are more concurrency limits specified than the allowed max of: %d",
                         CONCURRENCY_LIMITS_MAX);
    check_each(check, array, check_step_limit);
}

/* A number, an object, an array, or {fn, step}; what is none of these is ignored, as the reference does (reference/04 §7.1). */
static void check_concurrency(struct sg_function_check *check)
{
    struct sg_str value = sg_json_get(check->object, SG_STR("concurrency"));
    if (sg_json_kind_of(value) == SG_JSON_ARRAY) {
        check_step_limits(check, value);
        return;
    }
    if (sg_json_kind_of(value) != SG_JSON_OBJECT)
        return;
    struct sg_str runs = sg_json_get(value, SG_STR("fn"));
    struct sg_str steps = sg_json_get(value, SG_STR("step"));
    bool has_runs = sg_json_kind_of(runs) == SG_JSON_ARRAY && sg_json_count(runs) > 0;
    bool has_steps = sg_json_kind_of(steps) == SG_JSON_ARRAY && sg_json_count(steps) > 0;
    if (!has_runs && !has_steps) {
        check_step_limit(check, value);
        return;
    }
    if (has_steps)
        check_step_limits(check, steps);
    if (!has_runs)
        return;
    if (sg_json_count(runs) > 1)
        sg_check_problem(check, "concurrency_limit_invalid", "Only one function concurrency limit is allowed");
    check_each(check, runs, check_run_limit);
}

/* ---- batches ---- */

static void check_batch(struct sg_function_check *check, struct sg_str batch)
{
    struct sg_error why;
    int64_t size = 0;
    sg_check_int(check, batch, "maxSize", &size);
    if (size < BATCH_SIZE_MIN)
        sg_check_problem(check, "batch_size_invalid", "batch size cannot be smaller than %d: %lld", BATCH_SIZE_MIN, (long long)size);

    struct sg_str timeout = sg_check_text(check, batch, "timeout");
    int64_t timeout_ms;
    if (sg_duration_parse_ms(timeout, &timeout_ms, NULL) != SG_OK)
        sg_check_problem(check, "batch_timeout_invalid", "invalid timeout string: %.*s", SG_FMT(timeout));
    else if (timeout_ms < BATCH_TIMEOUT_MIN_MS)
        sg_check_problem(check, "batch_timeout_invalid", "batch timeout should be more than 1s");

    if (!sg_check_expression(check, sg_check_text(check, batch, "key"), SG_EXPRESSION_CONDITION, &why))
        sg_check_problem(check, "batch_key_expression_invalid", "batch key expression is invalid: %s", why.message);
    if (!sg_check_expression(check, sg_check_text(check, batch, "if"), SG_EXPRESSION_CONDITION, &why))
        sg_check_problem(check, "batch_if_expression_invalid", "conditional batch expression is invalid %s", why.message);

    if (sg_json_count(sg_check_member(check, check->object, "cancel", SG_JSON_ARRAY)) > 0)
        sg_check_problem(check, "combo_unsupported", "Batching and cancellation are mutually exclusive");
    if (sg_check_member(check, check->object, "debounce", SG_JSON_OBJECT).len > 0)
        sg_check_problem(check, "combo_unsupported", "Batching and debouncing are mutually exclusive");
    if (sg_check_member(check, check->object, "singleton", SG_JSON_OBJECT).len > 0)
        sg_check_problem(check, "combo_unsupported", "Batching and singletons are mutually exclusive");
    struct sg_str priority = sg_check_member(check, check->object, "priority", SG_JSON_OBJECT);
    if (sg_check_text(check, priority, "run").len > 0)
        sg_check_problem(check, CODE_CONFIG, "A function cannot specify Priority.Run and Batch together");
}

/* ---- the rest ---- */

static void check_debounce(struct sg_function_check *check, struct sg_str debounce)
{
    struct sg_error why;
    if (!sg_check_expression(check, sg_check_text(check, debounce, "key"), SG_EXPRESSION_CONDITION, &why))
        sg_check_problem(check, CODE_CONFIG, "Debounce expression is invalid: %s", why.message);
    struct sg_str period = sg_check_text(check, debounce, "period");
    int64_t period_ms;
    if (sg_duration_parse_ms(period, &period_ms, &why) != SG_OK)
        sg_check_problem(check, CODE_CONFIG, "The debounce period of '%.*s' is invalid: %s", SG_FMT(period), why.message);
    else if (period_ms < DEBOUNCE_MIN_MS)
        sg_check_problem(check, CODE_CONFIG, "The debounce period of '%.*s' is less than the min of: 1s", SG_FMT(period));
    else if (period_ms > DEBOUNCE_MAX_MS)
        sg_check_problem(check, CODE_CONFIG, "The debounce period of '%.*s' is greater than the max of: 168h0m0s", SG_FMT(period));
}

static void check_rate_limit(struct sg_function_check *check, struct sg_str rate)
{
    struct sg_error why;
    int64_t limit = 0;
    sg_check_int(check, rate, "limit", &limit);
    if (limit <= 0)
        sg_check_problem(check, CODE_CONFIG, "limit must be greater than 0");
    if (!sg_check_expression(check, sg_check_text(check, rate, "key"), SG_EXPRESSION_CONDITION, &why))
        sg_check_problem(check, CODE_CONFIG, "key is invalid: %s", why.message);
    struct sg_str period = sg_check_text(check, rate, "period");
    int64_t period_ms;
    if (period.len == 0)
        sg_check_problem(check, CODE_CONFIG, "period must be specified");
    else if (sg_duration_parse_ms(period, &period_ms, &why) != SG_OK)
        sg_check_problem(check, CODE_CONFIG, "failed to parse time duration: %s", why.message);
    else if (period_ms > RATE_PERIOD_MAX_MS)
        sg_check_problem(check, CODE_CONFIG, "period must be less than 24h0m0s");
}

/* A bad period refuses the request (reference/04 §8); v1 sends `count` without one that we read. */
static void check_throttle(struct sg_function_check *check, struct sg_str throttle)
{
    struct sg_error why;
    int64_t number;
    sg_check_int(check, throttle, "limit", &number);
    sg_check_int(check, throttle, "burst", &number);
    struct sg_str key = sg_check_text(check, throttle, "key");
    struct sg_str period = sg_check_text(check, throttle, "period");
    int64_t period_ms;
    if (check->status == SG_OK && sg_duration_parse_ms(period, &period_ms, &why) != SG_OK)
        sg_check_refuse(check, "failed to parse throttle period: %s", why.message);
    else if (!sg_check_expression(check, key, SG_EXPRESSION_KEY, &why))
        sg_check_problem(check, CODE_CONFIG, "Invalid throttle key '%.*s': %s", SG_FMT(key), why.message);
}

static void check_singleton(struct sg_function_check *check, struct sg_str singleton)
{
    struct sg_error why;
    struct sg_str mode = sg_check_text(check, singleton, "mode");
    if (mode.len > 0 && !sg_str_eq_nocase(mode, SG_STR("skip")) && !sg_str_eq_nocase(mode, SG_STR("cancel")))
        sg_check_refuse(check, "%.*s does not belong to SingletonMode values", SG_FMT(mode));
    struct sg_str key = sg_check_text(check, singleton, "key");
    if (check->status == SG_OK && !sg_check_expression(check, key, SG_EXPRESSION_KEY, &why))
        sg_check_problem(check, CODE_CONFIG, "Invalid singleton key '%.*s': %s", SG_FMT(key), why.message);
}

static void check_cancel(struct sg_function_check *check, struct sg_str cancel)
{
    if (sg_json_kind_of(cancel) != SG_JSON_OBJECT) {
        sg_check_refuse(check, "an entry of `cancel` must be an object, got %s", sg_json_kind_name(sg_json_kind_of(cancel)));
        return;
    }
    struct sg_error why;
    sg_check_text(check, cancel, "event");
    sg_check_text(check, cancel, "timeout");
    if (!sg_check_expression(check, sg_check_text(check, cancel, "if"), SG_EXPRESSION_CANCEL, &why))
        sg_check_problem(check, CODE_CONFIG, "Cancellation expression is invalid: %s", why.message);
}

void sg_check_limits(struct sg_function_check *check)
{
    struct sg_str object = check->object;
    struct sg_error why;

    check_concurrency(check);
    struct sg_str batch = sg_check_member(check, object, "batchEvents", SG_JSON_OBJECT);
    if (batch.len > 0 && check->status == SG_OK)
        check_batch(check, batch);
    struct sg_str priority = sg_check_member(check, object, "priority", SG_JSON_OBJECT);
    if (!sg_check_expression(check, sg_check_text(check, priority, "run"), SG_EXPRESSION_KEY, &why))
        sg_check_problem(check, CODE_CONFIG, "Priority.Run expression is invalid: %s", why.message);

    struct sg_str cancels = sg_check_member(check, object, "cancel", SG_JSON_ARRAY);
    if (sg_json_count(cancels) > CANCELS_MAX)
        sg_check_problem(check, CODE_CONFIG, "This function exceeds the max number of cancellation events: %d", CANCELS_MAX);
    check_each(check, cancels, check_cancel);

    struct sg_str debounce = sg_check_member(check, object, "debounce", SG_JSON_OBJECT);
    if (debounce.len > 0 && check->status == SG_OK)
        check_debounce(check, debounce);
    struct sg_str idempotency = sg_check_text(check, object, "idempotency");
    struct sg_str rate = sg_check_member(check, object, "rateLimit", SG_JSON_OBJECT);
    if (idempotency.len > 0) { /* replaces the rate limit (reference/04 §2.6) */
        if (!sg_check_expression(check, idempotency, SG_EXPRESSION_CONDITION, &why))
            sg_check_problem(check, CODE_CONFIG, "key is invalid: %s", why.message);
    } else if (rate.len > 0 && check->status == SG_OK) {
        check_rate_limit(check, rate);
    }
    struct sg_str throttle = sg_check_member(check, object, "throttle", SG_JSON_OBJECT);
    if (throttle.len > 0 && check->status == SG_OK)
        check_throttle(check, throttle);
    struct sg_str singleton = sg_check_member(check, object, "singleton", SG_JSON_OBJECT);
    if (singleton.len > 0 && check->status == SG_OK)
        check_singleton(check, singleton);
}
