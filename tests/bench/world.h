/*
 * The world around a stepgate that is measured: an app whose functions do nothing, and clients that send events as fast as they are told. One
 * thread, one epoll, so that its own cost is small and the same in every measurement.
 */
#ifndef STEPGATE_BENCH_WORLD_H
#define STEPGATE_BENCH_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

enum world_protocol {
    WORLD_CLASSIC,      /* each step is a call of its own */
    WORLD_CHECKPOINTED, /* one call; each step is posted to /v1/checkpoint/{run}/async and awaited before the next */
};

struct world_counts {
    int64_t calls;    /* received by the app */
    int64_t steps;    /* that the app reported, and the server took */
    int64_t runs;     /* that the app ended */
    int64_t requests; /* of events, answered with 200 */
    int64_t refused;  /* answered with anything else */
};

/* Listens on 127.0.0.1, any port. NULL and a message on stderr if the system does not let it. */
struct world *world_create(void);
void world_free(struct world *world);
int world_port(const struct world *world);
/* The server's port, and how the app answers from now on. */
void world_aim(struct world *world, int server_port, enum world_protocol protocol, int steps_per_run, int checkpoint_connections);

/*
 * Sends `bodies` in turn over `connections` connections, each waiting for its reply before the next. With `runs_in_flight_max` > 0 an event is only
 * sent while fewer runs are in flight. 0 connections: no events.
 */
void world_load(struct world *world, int connections, const char *const *bodies, size_t body_count, int runs_in_flight_max);
/* Lets the world turn until `until_ns` (monotonic), or until as many runs have ended since world_load as `runs` says (0: no such end). */
void world_turn(struct world *world, int64_t until_ns, int64_t runs);
/* Since world_load. */
struct world_counts world_counts(const struct world *world);
/* Time from sending an answer to receiving the run's next call, of each pair since world_load, in nanoseconds; unordered. */
const int64_t *world_gaps(const struct world *world, size_t *count);

int64_t world_now_ns(void);
/* One request, blocking, with an answer of up to `size` bytes; the HTTP status, 0 if there was none. */
int world_request(int port, const char *method, const char *path, const char *body, char *answer, size_t size);

#endif
