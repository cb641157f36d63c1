/*
 * What expressions cost: an evaluation of the ten commonest shapes, the index at 1 to 1,000,000 waiters, and the worst that an
 * expression can do before its steps are used up, in CPU time of the thread. Exits with 1 if a promise is broken: 20 us for an
 * event that matches none of 100,000 pauses, 256 bytes a pause, 10 ms for the worst evaluation, 100 ms for the worst registration.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <stepgate/cel.h>

#include "base/rng.h"

#define NOW_MS INT64_C(1790000000000)

/* Static because everything here reports into it: whether a promise was broken. */
static bool has_failed;

static double thread_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void promise(bool is_kept, const char *what)
{
    if (is_kept)
        return;
    printf("  BROKEN: %s\n", what);
    has_failed = true;
}

static struct sg_cel_program *compile(struct sg_str text)
{
    struct sg_cel_program *program;
    struct sg_error error;
    if (sg_cel_compile(text, SG_CEL_CHECK_PARSE, &program, &error) == SG_OK)
        return program;
    printf("%.*s: %s\n", SG_FMT(text), error.message);
    has_failed = true;
    return NULL;
}

/* ---- shapes ---- */

#define EVENT                                                                                                                              \
    "{\"data\":{\"amount\":1200.5,\"billingPlan\":\"enterprise\",\"cart\":{\"id\":\"c1\"},\"email\":\"ann@gmail.com\",\"flag\":true,"      \
    "\"function_id\":\"app-my-fn\",\"items\":[{\"sku\":\"a\"},{\"sku\":\"b\"},{\"sku\":\"x\"}],\"orderId\":1234,\"tags\":[\"vip\","        \
    "\"urgent\"],"                                                                                                                         \
    "\"type\":\"b\",\"userId\":\"u_1\"},\"id\":\"01HEVT\",\"name\":\"shop/order.created\",\"ts\":1700000000000,\"user\":{\"id\":\"u1\"}}"

static void bench_shapes(void)
{
    static const char *const shapes[] = {
        "event.data.function_id == 'app-my-fn'",
        "event.data.amount > 1000",
        "event.data.billingPlan == 'enterprise' && event.data.amount < 2000.0",
        "event.data.email.endsWith('@gmail.com')",
        "has(event.data.email)",
        "event.data.type in ['a', 'b', 'c']",
        "event.data.items.exists(i, i.sku == 'x')",
        "size(event.data.tags) > 0",
        "event.data.userId + \"-\" + event.data.orderId",
        "event.data.missing ? event.data.missing : event.data.userId",
    };
    struct sg_arena document_arena;
    struct sg_arena arena;
    struct sg_cel_document event;
    sg_arena_init(&document_arena);
    sg_arena_init(&arena);
    double start = thread_ns();
    for (int i = 0; i < 100000; i++) {
        sg_arena_reset(&document_arena);
        (void)sg_cel_document_parse_event(SG_STR(EVENT), &document_arena, &event, NULL);
    }
    printf("parse an event of %zu bytes      %7.0f ns\n", sizeof(EVENT) - 1, (thread_ns() - start) / 100000);
    struct sg_cel_scope scope = {.event = &event, .now_ms = NOW_MS};
    for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
        struct sg_cel_program *program = compile(sg_str_from(shapes[k]));
        struct sg_cel_value value;
        const int rounds = 300000;
        start = thread_ns();
        for (int i = 0; i < rounds; i++) {
            sg_arena_reset(&arena);
            (void)sg_cel_evaluate(program, &scope, &arena, &value, NULL);
        }
        double evaluate_ns = (thread_ns() - start) / rounds;
        start = thread_ns();
        for (int i = 0; i < 20000; i++)
            sg_cel_program_free(compile(sg_str_from(shapes[k])));
        printf("  evaluate %6.0f ns  compile %6.0f ns   %s\n", evaluate_ns, (thread_ns() - start) / 20000, shapes[k]);
        sg_cel_program_free(program);
    }
    sg_arena_free(&document_arena);
    sg_arena_free(&arena);
}

/* ---- the index ---- */

struct pauses {
    struct sg_cel_index *index;
    struct sg_cel_waiter **waiters;
    size_t count;
    struct sg_rng rng;
};

/* The id of a pause is made from its number, so that an event can name it again. */
static struct sg_str pause_id(size_t number, char text[SG_UUID_LEN + 1])
{
    struct sg_id id;
    struct sg_rng rng;
    sg_rng_init(&rng, number + 1);
    sg_rng_fill(&rng, id.bytes, sizeof(id.bytes));
    sg_uuid_format(id, text);
    return (struct sg_str){text, SG_UUID_LEN};
}

static double bench_insert(struct pauses *pauses, double *slowest_ns)
{
    double spent_ns = 0;
    *slowest_ns = 0;
    for (size_t i = 0; i < pauses->count; i++) {
        char id[SG_UUID_LEN + 1];
        char text[96];
        int len = snprintf(text, sizeof(text), "async.data.id == \"%s\"", pause_id(i, id).ptr);
        struct sg_cel_program *program = compile((struct sg_str){text, (size_t)len});
        double start = thread_ns();
        (void)sg_cel_index_add(pauses->index, program, &pauses->waiters[i], &pauses->waiters[i]);
        double took_ns = thread_ns() - start;
        spent_ns += took_ns;
        if (took_ns > *slowest_ns)
            *slowest_ns = took_ns;
        sg_cel_program_free(program);
    }
    return spent_ns / (double)pauses->count;
}

static bool found(void *context, void *owner)
{
    (void)owner;
    ++*(size_t *)context;
    return true;
}

/* The time of a match, with the event parsed before, for ids that somebody or nobody waits for. */
static double bench_match(struct pauses *pauses, bool is_waited_for)
{
    struct sg_arena arena;
    sg_arena_init(&arena);
    const int rounds = 20000;
    double spent_ns = 0;
    size_t matches = 0;
    for (int i = 0; i < rounds; i++) {
        char id[SG_UUID_LEN + 1];
        struct sg_cel_document event;
        size_t number = sg_rng_below(&pauses->rng, pauses->count) + (is_waited_for ? 0 : pauses->count);
        sg_arena_reset(&arena);
        struct sg_str json =
            sg_arena_printf(&arena, "{\"data\":{\"id\":\"%s\",\"other\":1},\"id\":\"e\",\"name\":\"a\"}", pause_id(number, id).ptr);
        (void)sg_cel_document_parse_event(json, &arena, &event, NULL);
        struct sg_cel_scope scope = {.async = &event, .now_ms = NOW_MS};
        double start = thread_ns();
        (void)sg_cel_index_match(pauses->index, &scope, found, &matches);
        spent_ns += thread_ns() - start;
    }
    promise(matches == (is_waited_for ? (size_t)rounds : 0), "the number of matches is wrong");
    sg_arena_free(&arena);
    return spent_ns / rounds;
}

static double bench_remove(struct pauses *pauses)
{
    double start = thread_ns();
    for (size_t i = 0; i < pauses->count; i++)
        sg_cel_index_remove(pauses->index, pauses->waiters[i]);
    return (thread_ns() - start) / (double)pauses->count;
}

static void bench_index(size_t count, struct sg_cel_waiter **waiters)
{
    struct pauses pauses = {.waiters = waiters, .count = count};
    double slowest_ns;
    sg_rng_init(&pauses.rng, 1);
    if (sg_cel_index_create(SG_CEL_SUBJECT_ASYNC, &pauses.index) != SG_OK)
        return;
    double insert_ns = bench_insert(&pauses, &slowest_ns);
    size_t bytes = sg_cel_index_bytes(pauses.index) / count;
    double none_ns = bench_match(&pauses, false);
    double one_ns = bench_match(&pauses, true);
    struct sg_cel_index_stats stats;
    sg_cel_index_stats(pauses.index, &stats);
    double remove_ns = bench_remove(&pauses);
    printf("%8zu pauses  insert %5.0f ns (slowest %6.0f us)  match none %5.0f ns  match one %5.0f ns  remove %5.0f ns  %5zu bytes each\n",
           count, insert_ns, slowest_ns / 1000, none_ns, one_ns, remove_ns, bytes);
    promise(none_ns < 20000, "an event that matches nothing costs more than 20 us");
    promise(count < 1000 || bytes <= 256, "a pause takes more than 256 bytes");
    sg_cel_index_free(pauses.index);
}

/* ---- the worst ---- */

static void bench_worst_one(const char *name, struct sg_str text, const struct sg_cel_scope *scope)
{
    struct sg_arena arena;
    struct sg_cel_value value;
    struct sg_error error = {.message = "a value"};
    struct sg_cel_program *program = compile(text);
    double best_ns = 1e18;
    sg_arena_init(&arena);
    for (int i = 0; i < 5; i++) {
        sg_arena_free(&arena);
        double start = thread_ns();
        (void)sg_cel_evaluate(program, scope, &arena, &value, &error);
        double took_ns = thread_ns() - start;
        if (took_ns < best_ns)
            best_ns = took_ns;
    }
    printf("  %6.2f ms  %6zu KB  %-28s %s\n", best_ns / 1e6, arena.used_bytes / 1024, name, error.message);
    promise(best_ns < 10e6, "an evaluation takes more than 10 ms");
    sg_arena_free(&arena);
    sg_cel_program_free(program);
}

static void bench_compile_one(const char *name, const struct sg_buf *text)
{
    struct sg_buf problem = {0};
    double start = thread_ns();
    enum sg_status status = sg_cel_diagnose(sg_buf_str(text), SG_CEL_CHECK_RESTRICTED, &problem);
    double took_ns = thread_ns() - start;
    printf("  %6.2f ms  %6zu KB  %-28s %s\n", took_ns / 1e6, text->len / 1024, name, status == SG_OK ? "accepted" : "refused");
    promise(took_ns < 100e6, "a registration takes more than 100 ms");
    sg_buf_free(&problem);
}

static void append_times(struct sg_buf *out, const char *piece, size_t times)
{
    for (size_t i = 0; i < times; i++)
        sg_buf_append(out, sg_str_from(piece));
}

/* An event of 3 MB, the largest there is: many small items, one long text, deep nesting. */
static void make_event(struct sg_buf *json)
{
    sg_buf_append(json, SG_STR("{\"data\":{\"l\":[1"));
    append_times(json, ",1", 199999);
    sg_buf_append(json, SG_STR("],\"m\":{\"k\":0"));
    for (int i = 0; i < 50000; i++)
        sg_buf_printf(json, ",\"k%d\":%d", i, i);
    sg_buf_append(json, SG_STR("},\"p\":[\"0\""));
    for (int i = 0; i < 2000; i++)
        sg_buf_printf(json, ",\"%d(a|b|cd|ef){20}x\"", i);
    sg_buf_append(json, SG_STR("],\"r\":\""));
    struct sg_rng rng;
    sg_rng_init(&rng, 5);
    for (int i = 0; i < 25000; i++)
        sg_buf_byte(json, sg_rng_below(&rng, 2) == 0 ? 'a' : 'b');
    sg_buf_append(json, SG_STR("\",\"s\":\""));
    append_times(json, "aabbaabab", 120000);
    sg_buf_append(json, SG_STR("\",\"ss\":[\"2024-01-02T03:04:05Z\""));
    append_times(json, ",\"2024-01-02T03:04:05Z\"", 20000);
    sg_buf_append(json, SG_STR("]}}"));
}

static void bench_worst(void)
{
    static const struct {
        const char *name;
        const char *text;
    } worst[] = {
        {"loops in loops", "event.data.l.all(a, event.data.l.all(b, event.data.l.all(c, a + b + c == 3.0)))"},
        {"lists of lists", "event.data.l.map(a, event.data.l.map(b, a + b))"},
        {"comparing lists", "event.data.l.all(a, event.data.l == event.data.l)"},
        {"comparing maps", "event.data.l.all(a, event.data.m == event.data.m)"},
        {"member of a list", "event.data.l.all(a, !(2 in event.data.l))"},
        {"joining lists", "event.data.l.all(a, event.data.l + event.data.l != [])"},
        {"joining texts", "event.data.l.all(a, event.data.s + event.data.s != \"\")"},
        {"joining loosely", "event.data.l.all(a, event.data.m + \"\" != \"\")"},
        {"searching a text", "event.data.l.all(a, !event.data.s.contains(\"abababab\"))"},
        {"comparing texts", "event.data.l.all(a, event.data.s == event.data.s)"},
        {"size of a text", "event.data.l.all(a, size(event.data.s) > 0)"},
        {"upper case", "event.data.l.all(a, uppercase(event.data.s) != \"\")"},
        {"base64", "event.data.l.all(a, b64decode(event.data.s) != \"\")"},
        {"parsing JSON", "event.data.l.all(a, json_parse(\"{\\\"a\\\":[1,2,3,{}]}\") != {})"},
        {"parsing a long JSON", "event.data.l.all(a, json_parse(event.data.s) != {})"},
        {"a literal pattern", "event.data.l.all(a, !event.data.s.matches(\"(a|b)*abbab(a|b){12}c\"))"},
        {"a pattern that thrashes", "event.data.r.matches(\"(a|b)*a(a|b){12}c\")"},
        {"a larger one", "event.data.r.matches(\"(a|b)*a(a|b){30}c\")"},
        {"a short text, a pattern", "event.data.ss.all(s, !s.matches(\"^[a-z]+(foo|bar)*[0-9]{30}$\"))"},
        {"new patterns", "event.data.p.all(p, !\"abcdefabcdef\".matches(p))"},
        {"large patterns", "event.data.p.all(p, !\"abcdefabcdef\".matches(p + \"(\\\\pL{10}){10}\"))"},
        {"dates", "event.data.ss.all(s, date(s) < now())"},
        {"dates in a zone", "event.data.ss.all(s, date(s).getHours(\"Europe/Berlin\") < 24)"},
        {"bad zones", "event.data.ss.exists(s, now().getHours(\"No/\" + \"Zone\") == 3)"},
        {"numbers as text", "event.data.l.all(a, string(a * 1.1) != \"\")"},
        {"text as numbers", "event.data.l.all(a, double(\"1.7976931348623157e308\") > 0.0)"},
        {"errors", "event.data.l.all(a, event.data.m[\"none\"] == null)"},
        {"filter", "event.data.l.all(a, event.data.l.filter(b, b > 1.0).size() == 0)"},
        {"a key of numbers", "string(event.data.l + event.data.l == []) + event.data.l"},
        {"map literals", "event.data.l.all(a, {\"x\": a, \"y\": a, \"x\": 2} != {})"},
    };
    struct sg_buf json = {0};
    struct sg_arena arena;
    struct sg_cel_document event;
    sg_arena_init(&arena);
    make_event(&json);
    double start = thread_ns();
    if (sg_cel_document_parse_event(sg_buf_str(&json), &arena, &event, NULL) != SG_OK)
        return;
    printf("the worst, with an event of %.1f MB (parsed in %.1f ms)\n", (double)json.len / 1e6, (thread_ns() - start) / 1e6);
    struct sg_cel_scope scope = {.event = &event, .now_ms = NOW_MS};
    for (size_t i = 0; i < sizeof(worst) / sizeof(worst[0]); i++)
        bench_worst_one(worst[i].name, sg_str_from(worst[i].text), &scope);

    struct sg_buf text = {0};
    sg_buf_append(&text, SG_STR("event.data.s"));
    append_times(&text, " + event.data.s", 240);
    bench_worst_one("a sum of long texts", sg_buf_str(&text), &scope);
    sg_buf_clear(&text);
    sg_buf_append(&text, SG_STR("{0:0"));
    for (int i = 1; i < 11000; i++)
        sg_buf_printf(&text, ",%d:0", i);
    sg_buf_append(&text, SG_STR("}=={}"));
    bench_worst_one("a map literal of 11,000", sg_buf_str(&text), &scope);
    sg_buf_free(&text);
    sg_buf_free(&json);
    sg_arena_free(&arena);
}

/* Expressions of 100,000 characters, as a registration may bring them: a piece, repeated with a number in it. */
static void bench_registration(void)
{
    static const struct {
        const char *name;
        const char *first;
        const char *piece;
        const char *last;
    } worst[] = {
        {"many names", "true", " || event.a%d", ""},      {"many unknown names", "true", " || a%d", ""},
        {"many literals", "1 in [1", ",%d", "]"},         {"many keys", "{\"a\":1", ",\"%d\":1", "} == {}"},
        {"many number keys", "{0:1", ",%d:1", "} == {}"}, {"many patterns", "true", " || \"\".matches(\"%d\\\\pL{14}\")", ""},
        {"many mistakes", "true", " || 1 = %d", ""},      {"many types", "[[1]", ",[[%d]]", "] == []"},
    };
    printf("the worst to compile\n");
    for (size_t i = 0; i < sizeof(worst) / sizeof(worst[0]); i++) {
        struct sg_buf text = {0};
        sg_buf_append(&text, sg_str_from(worst[i].first));
        for (int k = 0; text.len < 99900; k++)
            sg_buf_printf(&text, worst[i].piece, k);
        sg_buf_append(&text, sg_str_from(worst[i].last));
        bench_compile_one(worst[i].name, &text);
        sg_buf_free(&text);
    }
}

int main(void)
{
    static struct sg_cel_waiter *waiters[1000000];
    bench_shapes();
    bench_index(1, waiters);
    bench_index(1000, waiters);
    bench_index(100000, waiters);
    bench_index(1000000, waiters);
    bench_worst();
    bench_registration();
    return has_failed;
}
