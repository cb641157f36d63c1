/*
 * sim: lives through simulated worlds and says whether anything was false that must never be.
 *
 *     sim [--seeds N] [--seed S] [--scenario NAME] [--jobs J] [--broken-max B] [--verbose] [--list]
 *
 * Seed S lives in scenario S modulo their number, unless one is named. A world that broke is printed with what replays it. Exit code 0: none broke.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "sim/world.h"

struct options {
    uint64_t first_seed;
    int64_t seeds;
    int jobs;
    int64_t broken_max; /* a job that has seen so many broken worlds gives up: more say nothing new */
    bool is_verbose;
    bool is_listing;
    const struct scenario *scenario;
};

/* What the handler of SIGABRT prints: an assertion in the engine is a finding, too. */
static const struct scenario *current_scenario;
static uint64_t current_seed;

static void aborted(int signal_number)
{
    char text[256];
    int len = snprintf(text, sizeof(text), "BROKEN: aborted\n  replay: sim --scenario %s --seed %llu --seeds 1 --verbose\n",
                       current_scenario->name, (unsigned long long)current_seed);
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        _exit(3);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static bool number_read(const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static bool options_read(int count, char **arguments, struct options *options)
{
    for (int index = 1; index < count; index++) {
        const char *name = arguments[index];
        uint64_t number = 0;
        if (strcmp(name, "--verbose") == 0) {
            options->is_verbose = true;
            continue;
        }
        if (strcmp(name, "--list") == 0) {
            options->is_listing = true;
            continue;
        }
        if (index + 1 == count)
            return false;
        const char *value = arguments[++index];
        if (strcmp(name, "--scenario") == 0) {
            options->scenario = scenario_find(value);
            if (options->scenario == NULL)
                return false;
        } else if (!number_read(value, &number)) {
            return false;
        } else if (strcmp(name, "--seeds") == 0) {
            options->seeds = (int64_t)number;
        } else if (strcmp(name, "--seed") == 0) {
            options->first_seed = number;
        } else if (strcmp(name, "--jobs") == 0) {
            options->jobs = (int)number;
        } else if (strcmp(name, "--broken-max") == 0) {
            options->broken_max = (int64_t)number;
        } else {
            return false;
        }
    }
    return options->jobs >= 1 && options->jobs <= 64;
}

static void totals_add(struct world_totals *sum, const struct world_totals *more)
{
    sum->seeds += more->seeds;
    sum->messages += more->messages;
    sum->crashes += more->crashes;
    sum->faults += more->faults;
    sum->runs += more->runs;
    sum->executions += more->executions;
    sum->calls += more->calls;
    sum->checkpoints += more->checkpoints;
    sum->fetches += more->fetches;
    sum->commits += more->commits;
    sum->actions += more->actions;
}

/* False if the world broke. */
static bool seed_live(const struct options *options, uint64_t seed, struct world_totals *totals)
{
    static struct world world; /* large */
    current_scenario = options->scenario != NULL ? options->scenario : &scenarios[seed % (uint64_t)scenario_count];
    current_seed = seed;
    sg_hash_seed(seed * 2 + 1); /* hash maps walk in the same order each time */
    world_live(&world, current_scenario, seed, options->is_verbose);
    bool is_broken = world.oracle.is_broken;
    if (is_broken)
        fprintf(stderr, "BROKEN: %s\n  replay: sim --scenario %s --seed %llu --seeds 1 --verbose\n", world.oracle.problem,
                current_scenario->name, (unsigned long long)seed);
    totals_add(totals, &world.totals);
    world_end(&world);
    return !is_broken;
}

/* Every jobs-th seed. */
static int64_t share_live(const struct options *options, int job, struct world_totals *totals)
{
    int64_t broken = 0;
    for (int64_t index = job; index < options->seeds && broken < options->broken_max; index += options->jobs)
        broken += !seed_live(options, options->first_seed + (uint64_t)index, totals);
    return broken;
}

struct share {
    struct world_totals totals;
    int64_t broken;
};

/* In processes of their own, so that an abort ends one share only. Returns the number of broken worlds. */
static int64_t shares_live(const struct options *options, struct world_totals *totals)
{
    int64_t broken = 0;
    int pipes[64][2];
    pid_t children[64];
    for (int job = 0; job < options->jobs; job++) {
        if (pipe(pipes[job]) != 0 || (children[job] = fork()) < 0) {
            fprintf(stderr, "sim: cannot start job %d: %s\n", job, strerror(errno));
            return 1;
        }
        if (children[job] == 0) {
            struct share share = {0};
            share.broken = share_live(options, job, &share.totals);
            _exit(write(pipes[job][1], &share, sizeof(share)) == (ssize_t)sizeof(share) ? 0 : 3);
        }
        close(pipes[job][1]);
    }
    for (int job = 0; job < options->jobs; job++) {
        struct share share;
        int status = 0;
        if (read(pipes[job][0], &share, sizeof(share)) == (ssize_t)sizeof(share)) {
            totals_add(totals, &share.totals);
            broken += share.broken;
        } else {
            broken++;
        }
        close(pipes[job][0]);
        waitpid(children[job], &status, 0);
    }
    return broken;
}

static void totals_print(const struct world_totals *totals, int64_t broken)
{
    int64_t seeds = totals->seeds > 0 ? totals->seeds : 1;
    printf("%lld seeds, %lld messages (%lld a seed), %lld faults (%.1f a seed), %lld of them crashes\n", (long long)totals->seeds,
           (long long)totals->messages, (long long)(totals->messages / seeds), (long long)totals->faults,
           (double)totals->faults / (double)seeds, (long long)totals->crashes);
    printf("%lld runs, %lld steps executed, %lld calls, %lld checkpoints, %lld requests, %lld commits, %lld actions\n",
           (long long)totals->runs, (long long)totals->executions, (long long)totals->calls, (long long)totals->checkpoints,
           (long long)totals->fetches, (long long)totals->commits, (long long)totals->actions);
    printf("%lld passed, %lld failed\n", (long long)(totals->seeds - broken > 0 ? totals->seeds - broken : 0), (long long)broken);
}

int main(int count, char **arguments)
{
    struct options options = {.first_seed = 1, .seeds = 6 * scenario_count, .jobs = 1, .broken_max = 10};
    if (!options_read(count, arguments, &options)) {
        fprintf(stderr, "usage: sim [--seeds N] [--seed S] [--scenario NAME] [--jobs J] [--broken-max B] [--verbose] [--list]\n");
        return 2;
    }
    if (options.is_listing) {
        for (int index = 0; index < scenario_count; index++)
            printf("%s\n", scenarios[index].name);
        return 0;
    }
    struct world_totals totals = {0};
    signal(SIGABRT, aborted);
    int64_t broken = options.jobs == 1 ? share_live(&options, 0, &totals) : shares_live(&options, &totals);
    totals_print(&totals, broken);
    return broken == 0 ? 0 : 1;
}
