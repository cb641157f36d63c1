/*
 * Expressions: `event.data.plan == "pro" && async.data.id == event.data.id`.
 *
 * The model. A text is compiled once into a `struct sg_cel_program`, which never changes and may be used by several threads
 * at once. An event is parsed once into a `struct sg_cel_document` and then shown to as many programs as there are. An
 * evaluation takes a program and a `struct sg_cel_scope` (which documents the names `event` and `async` mean, and what time
 * it is) and gives a value, a bool or the text of a key. The language is CEL with the rules for missing data of the server
 * that stepgate stands in for (reference/05 §4): a plain CEL evaluator would refuse what these users wrote.
 *
 * Of that server's quirks (reference/05 §10) Q1, Q4, Q6 and Q12 are mended, the others kept, because existing apps rely on them:
 * a JSON number is a double and neither a date (Q9) nor a priority (Q10) without int(). tests/unit/cel_quirks.c shows each.
 *
 * An index (`struct sg_cel_index`) holds the expressions of everybody who waits for an event of one name and finds those
 * that are true for it without evaluating the others.
 *
 * Memory. What an evaluation leaves behind is in the arena of the caller (time zones apart, which are cached for good). Values
 * point into documents, programs and that arena: they live as long as the shortest lived of these.
 *
 * What it never does: read a clock (now() is the scope's `now_ms`), recurse on data, or run for longer than its step budget.
 */
#ifndef STEPGATE_CEL_H
#define STEPGATE_CEL_H

#include <stepgate/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SG_LIMIT_CEL_CODE_POINTS 100000             /* an expression as users write it (reference/05 §2.6) */
#define SG_LIMIT_CEL_STORED_BYTES (8 * 1024 * 1024) /* ours: an interpolated expression, which holds copies of event data */
#define SG_LIMIT_CEL_DEPTH 250                      /* nesting of the text and of the tree (reference/05 §2.6); bounds our stack */
#define SG_LIMIT_CEL_STEPS 400000                   /* ours: the work of one evaluation; keeps the worst below 10 ms */
#define SG_LIMIT_CEL_REGEX_BYTES (1024 * 1024)      /* ours: memory of one regular expression: about 10,000 instructions */

/* ---- values ---- */

enum sg_cel_kind {
    SG_CEL_ABSENT, /* no value at all: an unbound variable */
    SG_CEL_NULL,
    SG_CEL_BOOL,
    SG_CEL_INT,
    SG_CEL_UINT,
    SG_CEL_DOUBLE, /* every number that comes from JSON */
    SG_CEL_STRING,
    SG_CEL_BYTES,
    SG_CEL_LIST,
    SG_CEL_MAP,
    SG_CEL_TIMESTAMP,
    SG_CEL_DURATION,
    SG_CEL_TYPE,
    /* These three exist inside an evaluation only. */
    SG_CEL_UNKNOWN, /* an attribute that the data lacks */
    SG_CEL_ERROR,
    SG_CEL_ABORT /* an error that nothing masks */
};

/* A moment: seconds since 1970 and nanoseconds, and the zone it was written in, which only shows when it becomes text. */
struct sg_cel_time {
    int64_t seconds;
    int32_t nanoseconds; /* 0-999,999,999 */
    int32_t offset_s;
    char zone[8]; /* "UTC", "MST", "+0530": terminated */
};

/* One value, 16 bytes. `count` belongs to strings, bytes (length), lists (items) and maps (entries). */
struct sg_cel_value {
    uint8_t kind;   /* enum sg_cel_kind */
    uint8_t detail; /* internal */
    uint32_t count;
    union {
        bool boolean;
        int64_t integer;
        uint64_t natural;
        double number;
        const char *bytes;
        const struct sg_cel_value *items;
        const struct sg_cel_entry *entries;
        const struct sg_cel_time *time;
        int64_t duration_ns;
        uint8_t type; /* enum sg_cel_kind */
    } as;
};

struct sg_cel_entry {
    struct sg_cel_value key;
    struct sg_cel_value value;
};

/* "int", "google.protobuf.Timestamp"; never NULL. */
const char *sg_cel_kind_name(enum sg_cel_kind kind);
/* The text that the value becomes as a concurrency or throttle key and in a loose `+` (reference/05 §1.5). */
void sg_cel_value_key(const struct sg_cel_value *value, struct sg_buf *out);
/* The value as the text of a CEL literal, for people and for stored expressions. */
void sg_cel_value_print(const struct sg_cel_value *value, struct sg_buf *out);

/* ---- documents ---- */

/* Parsed JSON. `root` may be read; the strings in it point into the JSON text, which must outlive the document. */
struct sg_cel_document {
    struct sg_cel_value root;
};

/*
 * Parses any JSON text. Everything is allocated from `arena`. Numbers become doubles, of a repeated member the last counts,
 * invalid UTF-8 and lone surrogates become U+FFFD. Errors: SG_INVALID_JSON, SG_TOO_DEEP, SG_NO_MEMORY.
 */
enum sg_status sg_cel_document_parse(struct sg_str json, struct sg_arena *arena, struct sg_cel_document *document, struct sg_error *error);
/*
 * The same for an event, which an expression sees with `data` and `user` always there and without an empty `v`
 * (reference/05 §1.1). SG_INVALID_JSON if the text is not an object.
 */
enum sg_status sg_cel_document_parse_event(struct sg_str json, struct sg_arena *arena, struct sg_cel_document *document,
                                           struct sg_error *error);

/* ---- programs ---- */

struct sg_cel_program;

/* How much is checked before a text becomes a program: the use sites of reference/05 §1.2 name theirs. */
enum sg_cel_check {
    SG_CEL_CHECK_PARSE,      /* syntax only: keys, priority */
    SG_CEL_CHECK_FULL,       /* syntax, names and types: triggers, waitForEvent, rate limit, debounce, batch */
    SG_CEL_CHECK_RESTRICTED, /* full, and nothing but comparisons (reference/05 §5.3): cancelOn */
    SG_CEL_CHECK_STORED      /* syntax, for a text that sg_cel_interpolate wrote: may be longer */
};

/*
 * Compiles `text` (UTF-8, copied). On success the caller owns `*program` and frees it with sg_cel_program_free.
 *
 * Errors: SG_INVALID_EXPRESSION with the text of reference/05 §2.7 ("error compiling expression: ERROR: <input>:1:21: ...",
 * with a caret under the place; cut if it is longer than a message may be: sg_cel_diagnose has all of it) or, for the policy,
 * of §1.3 ("validation failed: 1 error occurred: ..."); SG_NO_MEMORY.
 */
enum sg_status sg_cel_compile(struct sg_str text, enum sg_cel_check check, struct sg_cel_program **program, struct sg_error *error);
/* Whether the compiled expression obeys the policy of reference/05 §5.3: waitForEvent only warns of it. */
enum sg_status sg_cel_program_check_policy(const struct sg_cel_program *program, struct sg_error *error);
/* Appends the whole error text that sg_cel_compile would give, nothing if it would succeed. SG_NO_MEMORY or the verdict. */
enum sg_status sg_cel_diagnose(struct sg_str text, enum sg_cel_check check, struct sg_buf *out);
void sg_cel_program_free(struct sg_cel_program *program); /* NULL is fine */
struct sg_str sg_cel_program_text(const struct sg_cel_program *program);
/* Bytes of heap that the program holds. */
size_t sg_cel_program_bytes(const struct sg_cel_program *program);
/* The attribute paths that the expression mentions ("event.data.plan"), each once, in order of appearance. */
size_t sg_cel_program_path_count(const struct sg_cel_program *program);
struct sg_str sg_cel_program_path(const struct sg_cel_program *program, size_t index);
/* Whether the value depends on the variable ("event", "async"). */
bool sg_cel_program_uses(const struct sg_cel_program *program, struct sg_str variable);

/* ---- evaluation ---- */

struct sg_cel_binding {
    struct sg_str name;
    struct sg_cel_value value;
};

/* What the names in an expression mean. Zero-initialise; a NULL document leaves its name undefined. */
struct sg_cel_scope {
    const struct sg_cel_document *event;
    const struct sg_cel_document *async;
    const struct sg_cel_document *output;
    const struct sg_cel_document *error;
    int64_t now_ms;
    /*
     * has(x) of an absent x is a plain false that `!` turns into true. The server that we stand in for gives false for both
     * has(x) and !has(x) (reference/05 §10 Q2), and that is the default.
     */
    bool is_has_plain;
    const struct sg_cel_binding *bindings; /* further variables, for tests and tools; names may be dotted */
    size_t binding_count;
};

/*
 * Evaluates. A missing attribute as the result is `false` (reference/05 §4.7), so `*value` is always an ordinary value.
 * Errors: SG_INVALID_EXPRESSION with what went wrong ("no such overload", "division by zero"), SG_NO_MEMORY.
 */
enum sg_status sg_cel_evaluate(const struct sg_cel_program *program, const struct sg_cel_scope *scope, struct sg_arena *arena,
                               struct sg_cel_value *value, struct sg_error *error);
/*
 * Evaluates a condition. A result that is not a bool is an error ("returned type string (hi)"): nothing is truthy here.
 * `*result` is false on every error, so a trigger may ignore the status except for SG_NO_MEMORY.
 */
enum sg_status sg_cel_evaluate_bool(const struct sg_cel_program *program, const struct sg_cel_scope *scope, struct sg_arena *arena,
                                    bool *result, struct sg_error *error);
/* Evaluates a key. What an error means depends on the use site (reference/05 §1.2), so it is returned as one. */
enum sg_status sg_cel_evaluate_key(const struct sg_cel_program *program, const struct sg_cel_scope *scope, struct sg_arena *arena,
                                   struct sg_str *key, struct sg_error *error);

/* ---- interpolation ---- */

enum sg_cel_verdict {
    SG_CEL_SOMETIMES, /* depends on the event to come */
    SG_CEL_ALWAYS,    /* true whatever comes */
    SG_CEL_NEVER      /* never true: a cancelOn needs no pause */
};

/*
 * Replaces everything that depends on `event` only by its value (reference/05 §6.2). Appends the text of what is left to
 * `out`; it compiles with SG_CEL_CHECK_STORED and is evaluated later with only `async` bound. A member that the event lacks
 * becomes null, so `event.data.id == async.data.id` matches when both lack it.
 */
enum sg_status sg_cel_interpolate(const struct sg_cel_program *program, const struct sg_cel_document *event, struct sg_buf *out,
                                  enum sg_cel_verdict *verdict, struct sg_error *error);

/* ---- the index ---- */

/*
 * Everybody who waits for an event of one name in one place: pauses (expressions over `async`) or triggers (over `event`).
 * Not thread safe.
 */
struct sg_cel_index;
struct sg_cel_waiter; /* one expression in an index */

enum sg_cel_subject {
    SG_CEL_SUBJECT_ASYNC, /* the event that comes is `async`: pauses */
    SG_CEL_SUBJECT_EVENT  /* the event that comes is `event`: triggers, batches */
};

enum sg_status sg_cel_index_create(enum sg_cel_subject subject, struct sg_cel_index **index);
void sg_cel_index_free(struct sg_cel_index *index); /* NULL is fine; its waiters are gone with it */

/*
 * Adds an expression; NULL stands for "no expression", which always matches. What the index needs is copied, so the program
 * may be freed. `owner` comes back from a match. A waiter is at most 256 bytes if its expression is of a shape that the index
 * has seen before and has one constant of the size of a UUID. SG_NO_MEMORY: nothing was added.
 */
enum sg_status sg_cel_index_add(struct sg_cel_index *index, const struct sg_cel_program *program, void *owner,
                                struct sg_cel_waiter **waiter);
void sg_cel_index_remove(struct sg_cel_index *index, struct sg_cel_waiter *waiter);
size_t sg_cel_index_count(const struct sg_cel_index *index);
/* Bytes of heap that the index holds, waiters included. */
size_t sg_cel_index_bytes(const struct sg_cel_index *index);

/*
 * Calls `found` once for every waiter whose expression is true (a bool) for the document that scope->async or scope->event
 * names, each with the owner it was added with, in the order in which they were added. `found` returns false to stop; it must
 * not change the index. Errors of an expression mean that it is not true. Only SG_NO_MEMORY
 * is returned.
 */
enum sg_status sg_cel_index_match(struct sg_cel_index *index, const struct sg_cel_scope *scope, bool (*found)(void *context, void *owner),
                                  void *context);

/* What the last match cost, for benches and tests. */
struct sg_cel_index_stats {
    uint64_t probes;      /* look-ups in the hash table */
    uint64_t evaluations; /* expressions evaluated */
    uint64_t matches;
    size_t scanned;   /* waiters that cannot be indexed and are evaluated every time */
    size_t templates; /* shapes of expressions */
};
void sg_cel_index_stats(const struct sg_cel_index *index, struct sg_cel_index_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
