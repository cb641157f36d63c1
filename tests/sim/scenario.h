/*
 * Scenarios: what the simulated world consists of, by name. Each says which functions there are, how their SDKs behave, what clients do, and which faults
 * may happen; the seed decides when.
 */
#ifndef STEPGATE_TESTS_SCENARIO_H
#define STEPGATE_TESTS_SCENARIO_H

#include "sim/script.h"

enum fault {
    FAULT_CRASH = 1 << 0,           /* the process dies, anywhere between two actions, and before or after a commit */
    FAULT_COMMIT = 1 << 1,          /* a commit fails: tried again, or the process ends if nobody knows */
    FAULT_LOST = 1 << 2,            /* the answer to a call, or the call, is lost: the caller times out */
    FAULT_HANG = 1 << 3,            /* a call is never answered, until the process dies or two hours have passed */
    FAULT_TWICE = 1 << 4,           /* an answer is delivered twice */
    FAULT_RESEND = 1 << 5,          /* a client does not hear the reply and sends again */
    FAULT_CHECKPOINT_LOST = 1 << 6, /* the reply to a checkpoint is lost: the SDK sends it again */
    FAULT_JUMP = 1 << 7,            /* the clock jumps forward */
    FAULT_GARBAGE = 1 << 8,         /* an answer that makes no sense */
    FAULT_LOAD = 1 << 9,            /* a load fails for good */
    FAULT_REDEPLOY = 1 << 10,       /* the functions' code changes under their runs */
    FAULT_REGISTER = 1 << 11,       /* functions are registered again, changed; a sync fails */
    FAULT_CANCEL = 1 << 12,         /* somebody cancels runs */
    FAULT_UNKNOWN_COMMIT = 1 << 13, /* the outcome of a commit is not known: the process ends */
    FAULT_REMOVE = 1 << 14,         /* the app is removed and comes back */
    FAULT_MEMORY = 1 << 15,         /* an allocation fails while the engine handles something: the process ends */
    FAULT_CANCEL_ALL = 1 << 17,     /* somebody cancels runs in bulk, or counts them */
    FAULT_DAMAGE = 1 << 16          /* a live record is lost or spoilt while no process runs; then only peace is claimed, not justice */
};
#define FAULT_COUNT 18
#define FAULTS_OF_PROCESS (FAULT_CRASH | FAULT_COMMIT | FAULT_UNKNOWN_COMMIT | FAULT_MEMORY)
#define FAULTS_OF_NETWORK (FAULT_LOST | FAULT_HANG | FAULT_TWICE | FAULT_RESEND | FAULT_CHECKPOINT_LOST)
#define FAULTS_USUAL (FAULTS_OF_PROCESS | FAULTS_OF_NETWORK | FAULT_JUMP)

enum expectation { EXPECT_COMPLETED, EXPECT_FAILED, EXPECT_ANY };

struct scenario_function {
    const char *slug;
    const char *event;      /* trigger; see struct rig_function */
    int above;              /* the trigger's expression: event.data.n > above; 0: none */
    const char *failure_of; /* an onFailure function of this slug; `event` is NULL then */
    int retries;
    int version;        /* request version that its SDK speaks */
    int buffered_steps; /* checkpoints after so many steps; 0: none */
    int start_s;        /* timeouts, in seconds; 0: none. Registered again, they may be longer, or gone */
    int finish_s;
    const struct script *script;
    const struct script *other; /* after a redeploy; NULL: the same */
    enum expectation expected;
    bool is_late; /* registered some time after the start */
};

#define SCENARIO_FUNCTIONS_MAX 8

struct scenario {
    const char *name;
    struct scenario_function functions[SCENARIO_FUNCTIONS_MAX];
    int requests;           /* that clients send */
    int events_per_request; /* at most */
    int faults;
    int copies;            /* so many more functions like the first, for events with many consumers */
    int calls_per_run;     /* without faults: exactly so many calls; 0: not checked */
    int steps_max;         /* limit of steps per run; 0: the usual one */
    int retry_interval_ms; /* 0: the table */
    int crash_factor;      /* so many times more crashes than usual, for short worlds; 0: as usual */
    bool has_future_events;
    bool has_shared_ids; /* different events with the same id */
};

extern const struct scenario scenarios[];
extern const int scenario_count;
/* NULL if there is none of this name. */
const struct scenario *scenario_find(const char *name);

#endif
