/*
 * The scenarios. Small on purpose: each puts one or two concepts under all faults that can touch them. A scenario without faults claims exact numbers of
 * calls (reference/02 §16.2).
 *
 * To add one: a line here. What it claims comes from its functions' `expected`; the rest of the claims hold always.
 */
#include "sim/scenario.h"

#include <string.h>

#define ONE_FUNCTION(speaks, buffered, does)                                                                                               \
    {                                                                                                                                      \
        {                                                                                                                                  \
            .slug = "fn", .event = "demo/go", .retries = 20, .version = speaks, .buffered_steps = buffered, .script = does                 \
        }                                                                                                                                  \
    }

/* ---- functions ---- */

static const struct script nothing = {{NULL, 0}, false};
static const struct script one = SCRIPT(RUN("a"));
static const struct script sequence = SCRIPT(RUN("a"), RUN("b"), RUN("c"), RUN("d"));
static const struct script long_sequence =
    SCRIPT(RUN("a"), RUN("b"), RUN("c"), RUN("d"), RUN("e"), RUN("f"), RUN("g"), RUN("h"), RUN("i"), RUN("j"));
static const struct script nap = SCRIPT(RUN("a"), NAP("z", "1h"), RUN("b"));
static const struct script naps = SCRIPT(NAP("x", "10s"), NAP("y", ""), NAP("z", "3d"), RUN("a"), NAP("past", "2020-01-01T00:00:00Z"));
static const struct script three = SCRIPT(PARALLEL(BRANCH(RUN("a")), BRANCH(RUN("b")), BRANCH(RUN("c"))), RUN("d"));
static const struct script chains = SCRIPT(PARALLEL(BRANCH(RUN("a1"), RUN("a2")), BRANCH(RUN("b1"), RUN("b2"), RUN("b3"))), RUN("end"));
static const struct script nested = SCRIPT(
    PARALLEL(BRANCH(RUN("a"), PARALLEL(BRANCH(RUN("b")), BRANCH(NAP("y", "1m"), RUN("c")))), BRANCH(NAP("z", "5m"), RUN("d"))), RUN("end"));
static const struct script two_naps = SCRIPT(PARALLEL(BRANCH(NAP("x", "1m")), BRANCH(NAP("y", "2m"))), RUN("end"));
static const struct script parallel_naps =
    SCRIPT(PARALLEL(BRANCH(NAP("x", "1m")), BRANCH(NAP("y", "1m")), BRANCH(RUN("a")), BRANCH(NAP("z", "2m"))), RUN("end"));
static const struct script throwing = SCRIPT(RUN("a"), THROWS("b", 2), RUN("c"), THROWS("d", 1));
static const struct script failing = SCRIPT(RUN("a"), FAILS("b"), RUN("c"));
static const struct script caught = SCRIPT(RUN("a"), CAUGHT("b"), RUN("c"), FINAL("d"), RUN("e"));
static const struct script body_throws = SCRIPT(RUN("a"), BODY_THROWS("t", 2), RUN("b"));
static const struct script always_throws = FAILING_SCRIPT(RUN("a"));
static const struct script parallel_throws =
    SCRIPT(PARALLEL(BRANCH(THROWS("a", 2), RUN("a2")), BRANCH(THROWS("b", 1)), BRANCH(RUN("c"))), RUN("end"));
static const struct script parallel_caught = SCRIPT(PARALLEL(BRANCH(CAUGHT("a")), BRANCH(FINAL("b")), BRANCH(RUN("c"))), RUN("end"));
static const struct script first = SCRIPT(FIRST(BRANCH(RUN("a")), BRANCH(NAP("z", "1m"))), RUN("after"), RUN("end"));
static const struct script race = SCRIPT(RACE(BRANCH(RUN("a")), BRANCH(RUN("b")), BRANCH(NAP("z", "1m"))), RUN("after"), RUN("end"));
static const struct script race_throws = SCRIPT(RACE(BRANCH(THROWS("a", 1), RUN("a2")), BRANCH(RUN("b"), RUN("b2"))), RUN("after"));
static const struct script mixed = SCRIPT(RUN("a"), PARALLEL(BRANCH(RUN("b")), BRANCH(NAP("z", "30s"), RUN("c"))), THROWS("d", 1),
                                          NAP("y", "1h"), PARALLEL(BRANCH(RUN("e")), BRANCH(THROWS("f", 1))), RUN("end"));
static const struct script many = SCRIPT(MANY("s", 60), RUN("end"));
static const struct script very_many = SCRIPT(MANY("s", 600), RUN("end"));
static const struct script fetch_calm = SCRIPT(RUN("a"), FETCH("f"), RUN("b"));
static const struct script fetch = SCRIPT(RUN("a"), FETCH("f"), RUN("b"), FETCH_FAILS("g", 2), RUN("c"));
static const struct script fetch_fails = SCRIPT(RUN("a"), FETCH_FAILS("f", -1), RUN("b"));
static const struct script fetch_caught = SCRIPT(FETCH_CAUGHT("f"), RUN("a"), FETCH_REFUSED("g"), RUN("b"));
static const struct script parallel_fetches = SCRIPT(
    PARALLEL(BRANCH(FETCH("f"), RUN("f2")), BRANCH(RUN("a")), BRANCH(FETCH_FAILS("g", 1)), BRANCH(NAP("z", "1m"), FETCH("h"))), RUN("end"));
static const struct script race_fetches =
    SCRIPT(RACE(BRANCH(FETCH("f"), RUN("f2")), BRANCH(FETCH_FAILS("g", 1)), BRANCH(RUN("a"))), FETCH("after"));
static const struct script very_many_fetches = SCRIPT(MANY_FETCHES("s", 400, 3), RUN("end"));
static const struct script other_code = SCRIPT(RUN("a"), RUN("new"), PARALLEL(BRANCH(RUN("p")), BRANCH(RUN("b"))), NAP("q", "10s"));

/* ---- worlds ---- */

const struct scenario scenarios[] = {
    /* Without faults: exact numbers of calls. */
    {.name = "calm_sequence", .functions = ONE_FUNCTION(2, 0, &sequence), .requests = 150, .events_per_request = 2, .calls_per_run = 5},
    {.name = "calm_nap", .functions = ONE_FUNCTION(2, 0, &nap), .requests = 150, .events_per_request = 2, .calls_per_run = 4},
    {.name = "calm_parallel_0", .functions = ONE_FUNCTION(0, 0, &three), .requests = 80, .events_per_request = 2, .calls_per_run = 8},
    {.name = "calm_parallel_1", .functions = ONE_FUNCTION(1, 0, &three), .requests = 80, .events_per_request = 2, .calls_per_run = 9},
    {.name = "calm_parallel_2", .functions = ONE_FUNCTION(2, 0, &three), .requests = 120, .events_per_request = 2, .calls_per_run = 6},
    {.name = "calm_chains_2", .functions = ONE_FUNCTION(2, 0, &chains), .requests = 80, .events_per_request = 2, .calls_per_run = 9},
    {.name = "calm_naps_2", .functions = ONE_FUNCTION(2, 0, &two_naps), .requests = 120, .events_per_request = 2, .calls_per_run = 4},
    {.name = "calm_naps_1", .functions = ONE_FUNCTION(1, 0, &two_naps), .requests = 100, .events_per_request = 2, .calls_per_run = 5},
    {.name = "calm_parallel_naps_2",
     .functions = ONE_FUNCTION(2, 0, &parallel_naps),
     .requests = 80,
     .events_per_request = 2,
     .calls_per_run = 5},
    {.name = "calm_checkpoints", .functions = ONE_FUNCTION(2, 1, &one), .requests = 200, .events_per_request = 2, .calls_per_run = 1},

    /* Events. */
    {.name = "empty_function", .functions = ONE_FUNCTION(2, 0, &nothing), .requests = 400, .events_per_request = 5, .faults = FAULTS_USUAL},
    {.name = "events_with_ids",
     .functions = ONE_FUNCTION(2, 0, &one),
     .requests = 200,
     .events_per_request = 5,
     .faults = FAULTS_USUAL,
     .has_shared_ids = true},
    {.name = "future_events",
     .functions = ONE_FUNCTION(1, 0, &one),
     .requests = 200,
     .events_per_request = 4,
     .faults = FAULTS_USUAL,
     .has_future_events = true},
    {.name = "many_functions",
     .functions = {{.slug = "exact", .event = "demo/go", .retries = 20, .version = 2, .script = &one},
                   {.slug = "wild", .event = "demo/*", .retries = 20, .version = 1, .script = &one},
                   {.slug = "above", .event = "demo/go other/go", .above = 5, .retries = 20, .version = 2, .script = &nothing},
                   {.slug = "late", .event = "demo/go", .retries = 20, .version = 2, .script = &one, .is_late = true}},
     .requests = 100,
     .events_per_request = 4,
     .faults = FAULTS_USUAL},
    {.name = "many_consumers",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .script = &nothing},
                   {.slug = "other", .event = "demo/*", .retries = 20, .version = 2, .script = &nothing}},
     .copies = 150,
     .requests = 6,
     .events_per_request = 2,
     .faults = FAULTS_USUAL,
     .has_shared_ids = true},

    /* Sequential functions. */
    {.name = "sequence_0", .functions = ONE_FUNCTION(0, 0, &sequence), .requests = 150, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "sequence_1", .functions = ONE_FUNCTION(1, 0, &sequence), .requests = 150, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "sequence_2", .functions = ONE_FUNCTION(2, 0, &sequence), .requests = 150, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "nap", .functions = ONE_FUNCTION(2, 0, &nap), .requests = 150, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "naps", .functions = ONE_FUNCTION(1, 0, &naps), .requests = 100, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "retries", .functions = ONE_FUNCTION(1, 0, &throwing), .requests = 120, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "retries_0", .functions = ONE_FUNCTION(0, 0, &throwing), .requests = 120, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "retries_quickly",
     .functions = ONE_FUNCTION(2, 0, &throwing),
     .requests = 120,
     .events_per_request = 3,
     .faults = FAULTS_USUAL,
     .retry_interval_ms = 1000},
    {.name = "body_throws",
     .functions = ONE_FUNCTION(1, 0, &body_throws),
     .requests = 150,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},

    /* Failures. */
    {.name = "failures",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 1, .version = 2, .script = &failing, .expected = EXPECT_FAILED},
                   {.slug = "fn-failure", .failure_of = "fn", .retries = 20, .version = 2, .script = &one},
                   {.slug = "good", .event = "demo/go", .retries = 20, .version = 2, .script = &one},
                   {.slug = "good-failure", .failure_of = "good", .retries = 1, .version = 2, .script = &one}},
     .requests = 80,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "failing_failures",
     .functions =
         {{.slug = "fn", .event = "demo/go", .retries = 0, .version = 1, .script = &always_throws, .expected = EXPECT_FAILED},
          {.slug = "fn-failure", .failure_of = "fn", .retries = 1, .version = 1, .script = &always_throws, .expected = EXPECT_FAILED}},
     .requests = 100,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "caught",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 2, .version = 2, .script = &caught, .expected = EXPECT_ANY}},
     .requests = 120,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "step_limit",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .script = &sequence, .expected = EXPECT_FAILED}},
     .requests = 150,
     .events_per_request = 3,
     .faults = FAULTS_USUAL,
     .steps_max = 3},

    /* Parallel functions. */
    {.name = "parallel_0", .functions = ONE_FUNCTION(0, 0, &three), .requests = 100, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "parallel_1", .functions = ONE_FUNCTION(1, 0, &three), .requests = 100, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "parallel_2", .functions = ONE_FUNCTION(2, 0, &three), .requests = 100, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "chains_1", .functions = ONE_FUNCTION(1, 0, &chains), .requests = 70, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "chains_2", .functions = ONE_FUNCTION(2, 0, &chains), .requests = 80, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "nested_1", .functions = ONE_FUNCTION(1, 0, &nested), .requests = 70, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "nested_2", .functions = ONE_FUNCTION(2, 0, &nested), .requests = 80, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "parallel_naps_1",
     .functions = ONE_FUNCTION(1, 0, &parallel_naps),
     .requests = 80,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "parallel_naps_2",
     .functions = ONE_FUNCTION(2, 0, &parallel_naps),
     .requests = 100,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "parallel_retries",
     .functions = ONE_FUNCTION(2, 0, &parallel_throws),
     .requests = 80,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "parallel_failures",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 2, .version = 2, .script = &parallel_caught, .expected = EXPECT_ANY}},
     .requests = 100,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "first_1", .functions = ONE_FUNCTION(1, 0, &first), .requests = 100, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "first_2", .functions = ONE_FUNCTION(2, 0, &first), .requests = 100, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "race", .functions = ONE_FUNCTION(2, 0, &race), .requests = 100, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "race_retries",
     .functions = ONE_FUNCTION(2, 0, &race_throws),
     .requests = 100,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "many_steps", .functions = ONE_FUNCTION(2, 0, &many), .requests = 15, .events_per_request = 2, .faults = FAULTS_USUAL},
    {.name = "very_many_steps",
     .functions = ONE_FUNCTION(2, 0, &very_many),
     .requests = 4,
     .events_per_request = 1,
     .faults = FAULTS_USUAL | FAULT_CANCEL,
     .crash_factor = 10},

    /* Checkpoints. */
    {.name = "checkpoints_unheard",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 0, .version = 2, .buffered_steps = 2, .script = &long_sequence}},
     .requests = 60,
     .events_per_request = 3,
     .faults = FAULT_CHECKPOINT_LOST},
    {.name = "checkpoints",
     .functions = ONE_FUNCTION(2, 1, &long_sequence),
     .requests = 80,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "checkpoints_buffered",
     .functions = ONE_FUNCTION(2, 3, &long_sequence),
     .requests = 100,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "checkpoints_retries",
     .functions = ONE_FUNCTION(2, 2, &throwing),
     .requests = 100,
     .events_per_request = 3,
     .faults = FAULTS_USUAL,
     .retry_interval_ms = 1000},
    {.name = "checkpoints_mixed", .functions = ONE_FUNCTION(2, 2, &mixed), .requests = 60, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "checkpoints_race", .functions = ONE_FUNCTION(2, 1, &race), .requests = 80, .events_per_request = 3, .faults = FAULTS_USUAL},

    /* Requests of steps. */
    {.name = "calm_fetch", .functions = ONE_FUNCTION(2, 0, &fetch_calm), .requests = 150, .events_per_request = 2, .calls_per_run = 4},
    {.name = "fetch_1", .functions = ONE_FUNCTION(1, 0, &fetch), .requests = 100, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "fetch_2", .functions = ONE_FUNCTION(2, 0, &fetch), .requests = 120, .events_per_request = 3, .faults = FAULTS_USUAL},
    {.name = "fetch_checkpoints",
     .functions = ONE_FUNCTION(2, 2, &fetch),
     .requests = 100,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "fetch_failures",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 2, .version = 2, .script = &fetch_caught, .expected = EXPECT_ANY},
                   {.slug = "once", .event = "demo/*", .retries = 0, .version = 1, .script = &fetch_fails, .expected = EXPECT_FAILED},
                   {.slug = "once-failure", .failure_of = "once", .retries = 20, .version = 2, .script = &one}},
     .requests = 100,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "parallel_fetches_1",
     .functions = ONE_FUNCTION(1, 0, &parallel_fetches),
     .requests = 70,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "parallel_fetches_2",
     .functions = ONE_FUNCTION(2, 0, &parallel_fetches),
     .requests = 80,
     .events_per_request = 3,
     .faults = FAULTS_USUAL,
     .retry_interval_ms = 1000},
    {.name = "race_fetches",
     .functions = ONE_FUNCTION(2, 0, &race_fetches),
     .requests = 80,
     .events_per_request = 3,
     .faults = FAULTS_USUAL},
    {.name = "cancels_fetches",
     .functions = ONE_FUNCTION(2, 0, &parallel_fetches),
     .requests = 70,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_CANCEL | FAULT_GARBAGE},
    {.name = "very_many_fetches",
     .functions = ONE_FUNCTION(2, 0, &very_many_fetches),
     .requests = 5,
     .events_per_request = 1,
     .faults = FAULTS_USUAL | FAULT_CANCEL,
     .crash_factor = 10},

    /* People. */
    {.name = "cancels",
     .functions = ONE_FUNCTION(2, 1, &mixed),
     .requests = 60,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_CANCEL},
    {.name = "cancels_parallel",
     .functions = ONE_FUNCTION(1, 0, &nested),
     .requests = 70,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_CANCEL},
    {.name = "cancels_in_bulk",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .buffered_steps = 2, .script = &mixed},
                   {.slug = "nap", .event = "demo/*", .retries = 20, .version = 1, .script = &nap},
                   {.slug = "fn-failure", .failure_of = "fn", .retries = 20, .version = 2, .script = &one}},
     .requests = 150,
     .events_per_request = 4,
     .faults = FAULTS_USUAL | FAULT_CANCEL_ALL | FAULT_CANCEL,
     .has_future_events = true},
    {.name = "cancels_in_many_slices",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .script = &nap}},
     .copies = 1,
     .requests = 40,
     .events_per_request = 10,
     .faults = FAULTS_USUAL | FAULT_CANCEL_ALL,
     .crash_factor = 2},
    {.name = "timeouts",
     .functions =
         {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .start_s = 20, .finish_s = 3700, .script = &mixed},
          {.slug = "slow", .event = "demo/*", .retries = 20, .version = 1, .buffered_steps = 2, .finish_s = 330, .script = &nested},
          {.slug = "fn-failure", .failure_of = "fn", .retries = 20, .version = 2, .script = &one}},
     .requests = 60,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_CANCEL,
     .has_future_events = true},
    {.name = "timeouts_change",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .start_s = 1800, .finish_s = 3700, .script = &mixed},
                   {.slug = "slow", .event = "demo/*", .retries = 20, .version = 2, .finish_s = 125, .script = &parallel_naps}},
     .requests = 60,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_REGISTER,
     .has_future_events = true},
    {.name = "timeouts_of_many_steps",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .finish_s = 20, .script = &very_many}},
     .requests = 8,
     .events_per_request = 2,
     .faults = FAULTS_USUAL,
     .retry_interval_ms = 1000,
     .crash_factor = 10},
    {.name = "registrations",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .script = &sequence},
                   {.slug = "late", .event = "demo/*", .retries = 20, .version = 1, .script = &nap, .is_late = true}},
     .requests = 80,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_REGISTER},
    {.name = "removals",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .script = &nap},
                   {.slug = "other", .event = "demo/*", .retries = 20, .version = 1, .script = &one}},
     .requests = 100,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_REGISTER | FAULT_REMOVE},
    {.name = "redeploys",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .script = &mixed, .other = &other_code},
                   {.slug = "fn-failure", .failure_of = "fn", .retries = 20, .version = 2, .script = &one}},
     .requests = 60,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_REDEPLOY},
    {.name = "garbage",
     .functions = ONE_FUNCTION(2, 0, &mixed),
     .requests = 60,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_GARBAGE},
    {.name = "garbage_checkpoints",
     .functions = ONE_FUNCTION(2, 2, &mixed),
     .requests = 60,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_GARBAGE},
    {.name = "garbage_1",
     .functions = ONE_FUNCTION(1, 0, &nested),
     .requests = 60,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_GARBAGE},

    /* The store. */
    {.name = "failed_loads",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .script = &mixed},
                   {.slug = "fn-failure", .failure_of = "fn", .retries = 20, .version = 2, .script = &nothing, .expected = EXPECT_ANY}},
     .requests = 60,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_LOAD | FAULT_CANCEL_ALL},
    {.name = "damaged_store",
     .functions = {{.slug = "fn", .event = "demo/go", .retries = 3, .version = 2, .script = &mixed, .expected = EXPECT_ANY},
                   {.slug = "many", .event = "demo/many", .retries = 3, .version = 2, .script = &many, .expected = EXPECT_ANY},
                   {.slug = "fn-failure", .failure_of = "fn", .retries = 3, .version = 2, .script = &one, .expected = EXPECT_ANY}},
     .requests = 20,
     .events_per_request = 2,
     .faults = FAULTS_USUAL | FAULT_DAMAGE,
     .crash_factor = 4},
    {.name = "everything",
     .functions =
         {{.slug = "fn", .event = "demo/go", .retries = 20, .version = 2, .buffered_steps = 2, .script = &mixed},
          {.slug = "old", .event = "demo/* other/go", .retries = 20, .version = 0, .script = &throwing},
          {.slug = "bad", .event = "other/*", .above = 3, .retries = 1, .version = 1, .script = &always_throws, .expected = EXPECT_FAILED},
          {.slug = "bad-failure", .failure_of = "bad", .retries = 20, .version = 1, .script = &one},
          {.slug = "race", .event = "demo/go", .above = 6, .retries = 20, .version = 2, .script = &race},
          {.slug = "late", .event = "demo/go", .retries = 20, .version = 1, .script = &nested, .is_late = true}},
     .requests = 40,
     .events_per_request = 3,
     .faults = FAULTS_USUAL | FAULT_REGISTER | FAULT_CANCEL | FAULT_CANCEL_ALL,
     .has_shared_ids = true,
     .has_future_events = true},
};

const int scenario_count = (int)(sizeof(scenarios) / sizeof(scenarios[0]));

const struct scenario *scenario_find(const char *name)
{
    for (int index = 0; index < scenario_count; index++)
        if (strcmp(scenarios[index].name, name) == 0)
            return &scenarios[index];
    return NULL;
}
