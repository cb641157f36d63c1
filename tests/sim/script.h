/*
 * Scripts: small functions of users, as data. A script is a sequence of nodes; walking it with the memos that a call shows tells what an SDK would find
 * out by running the function: that it returns, that it throws, or which steps it has come to.
 *
 *     static const struct script report = SCRIPT(RUN("load"), SLEEP("nap", "1h"), PARALLEL(BRANCH(RUN("a")), BRANCH(RUN("b"), RUN("c"))));
 */
#ifndef STEPGATE_TESTS_SCRIPT_H
#define STEPGATE_TESTS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

enum script_kind {
    SCRIPT_STEP,     /* step.run */
    SCRIPT_NAP,      /* step.sleep */
    SCRIPT_FETCH,    /* step.fetch: the gateway makes a request */
    SCRIPT_PARALLEL, /* Promise.all over branches */
    SCRIPT_FIRST,    /* Promise.race over branches */
    SCRIPT_MANY,     /* Promise.all over `count` steps */
    SCRIPT_THROW     /* the function's body throws here, `throws` times */
};

struct script_branch;

struct script_node {
    enum script_kind kind;
    bool is_race;   /* FIRST: its steps are in race mode (reference/02 §8.4) */
    bool is_caught; /* STEP, FETCH: the function goes on when the step has failed */
    bool is_final;  /* STEP, FETCH: what it throws is not to be retried */
    int throws;     /* so many executions throw; -1: all of them */
    int count;
    int fetch_every; /* MANY: each so many-th is a FETCH; 0: none */
    const char *id;
    const char *text; /* NAP: the duration */
    const struct script_branch *branches;
    int branch_count;
};

struct script_branch {
    const struct script_node *nodes;
    int count;
};

struct script {
    struct script_branch body;
    bool is_failing; /* throws at its end, always */
};

#define SCRIPT_COUNT(type, ...) (int)(sizeof((type[]){__VA_ARGS__}) / sizeof(type))
#define BRANCH(...)                                                                                                                        \
    {                                                                                                                                      \
        (const struct script_node[]){__VA_ARGS__}, SCRIPT_COUNT(const struct script_node, __VA_ARGS__)                                     \
    }
#define SCRIPT(...)                                                                                                                        \
    {                                                                                                                                      \
        BRANCH(__VA_ARGS__), false                                                                                                         \
    }
#define FAILING_SCRIPT(...)                                                                                                                \
    {                                                                                                                                      \
        BRANCH(__VA_ARGS__), true                                                                                                          \
    }

#define RUN(name)                                                                                                                          \
    {                                                                                                                                      \
        .kind = SCRIPT_STEP, .id = name                                                                                                    \
    }
#define THROWS(name, times)                                                                                                                \
    {                                                                                                                                      \
        .kind = SCRIPT_STEP, .id = name, .throws = times                                                                                   \
    }
#define FAILS(name)                                                                                                                        \
    {                                                                                                                                      \
        .kind = SCRIPT_STEP, .id = name, .throws = -1                                                                                      \
    }
#define CAUGHT(name)                                                                                                                       \
    {                                                                                                                                      \
        .kind = SCRIPT_STEP, .id = name, .throws = -1, .is_caught = true                                                                   \
    }
#define FINAL(name)                                                                                                                        \
    {                                                                                                                                      \
        .kind = SCRIPT_STEP, .id = name, .throws = -1, .is_final = true, .is_caught = true                                                 \
    }
#define NAP(name, duration)                                                                                                                \
    {                                                                                                                                      \
        .kind = SCRIPT_NAP, .id = name, .text = duration                                                                                   \
    }
#define FETCH(name)                                                                                                                        \
    {                                                                                                                                      \
        .kind = SCRIPT_FETCH, .id = name                                                                                                   \
    }
#define FETCH_FAILS(name, times)                                                                                                           \
    {                                                                                                                                      \
        .kind = SCRIPT_FETCH, .id = name, .throws = times                                                                                  \
    }
#define FETCH_CAUGHT(name)                                                                                                                 \
    {                                                                                                                                      \
        .kind = SCRIPT_FETCH, .id = name, .throws = -1, .is_caught = true                                                                  \
    }
#define FETCH_REFUSED(name)                                                                                                                \
    {                                                                                                                                      \
        .kind = SCRIPT_FETCH, .id = name, .throws = -1, .is_final = true, .is_caught = true                                                \
    }
#define BODY_THROWS(name, times)                                                                                                           \
    {                                                                                                                                      \
        .kind = SCRIPT_THROW, .id = name, .throws = times                                                                                  \
    }
#define SCRIPT_BRANCHES(...)                                                                                                               \
    .branches = (const struct script_branch[]){__VA_ARGS__}, .branch_count = SCRIPT_COUNT(const struct script_branch, __VA_ARGS__)
#define PARALLEL(...)                                                                                                                      \
    {                                                                                                                                      \
        .kind = SCRIPT_PARALLEL, SCRIPT_BRANCHES(__VA_ARGS__)                                                                              \
    }
#define FIRST(...)                                                                                                                         \
    {                                                                                                                                      \
        .kind = SCRIPT_FIRST, SCRIPT_BRANCHES(__VA_ARGS__)                                                                                 \
    }
#define RACE(...)                                                                                                                          \
    {                                                                                                                                      \
        .kind = SCRIPT_FIRST, .is_race = true, SCRIPT_BRANCHES(__VA_ARGS__)                                                                \
    }
#define MANY(name, times)                                                                                                                  \
    {                                                                                                                                      \
        .kind = SCRIPT_MANY, .id = name, .count = times                                                                                    \
    }

#define MANY_FETCHES(name, times, every)                                                                                                   \
    {                                                                                                                                      \
        .kind = SCRIPT_MANY, .id = name, .count = times, .fetch_every = every                                                              \
    }

#define SCRIPT_ID_MAX 24
#define SCRIPT_FOUND_MAX 1024

struct script_found {
    char id[SCRIPT_ID_MAX];
    const struct script_node *node;
    bool is_race;
    bool is_fetch;
};

enum script_memo { SCRIPT_NO_MEMO, SCRIPT_DATA, SCRIPT_ERROR };
enum script_outcome { SCRIPT_BLOCKED, SCRIPT_RETURNS, SCRIPT_THROWS_STEP, SCRIPT_THROWS_BODY };

/* What the function sees of its past. */
struct script_view {
    enum script_memo (*memo)(void *context, const char *id);
    /* Whether the body throws at this node, this time. */
    bool (*throws)(void *context, const struct script_node *node);
    void *context;
};

struct script_result {
    enum script_outcome outcome;
    struct script_found found[SCRIPT_FOUND_MAX]; /* steps without memo that the function has come to, in its order */
    int found_count;
};

void script_walk(const struct script *script, const struct script_view *view, struct script_result *result);
/* The step with this id, wherever it is in the script; NULL node if there is none. */
bool script_find(const struct script *script, const char *id, struct script_found *found);

#endif
