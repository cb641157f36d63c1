/* Names of opcodes and statuses as the protocol spells them (reference/02 §7, §13.3). */
#include <stepgate/engine.h>

static const char *const opcode_names[SG_OP_COUNT] = {
#define SG_OPCODE(NAME, wire, is_plan) [SG_OP_##NAME] = wire,
#include "opcodes.def"
#undef SG_OPCODE
};

const char *sg_opcode_name(enum sg_opcode code)
{
    return (unsigned)code < SG_OP_COUNT ? opcode_names[code] : "Unknown";
}

bool sg_opcode_parse(struct sg_str name, enum sg_opcode *code)
{
    if (name.len == 0) {
        *code = SG_OP_NONE;
        return true;
    }
    for (int index = 0; index < SG_OP_COUNT; index++)
        if (sg_str_eq_nocase(name, sg_str_from(opcode_names[index]))) {
            *code = (enum sg_opcode)index;
            return true;
        }
    return false;
}

bool sg_opcode_is_fetch(enum sg_opcode code)
{
    return code == SG_OP_GATEWAY || code == SG_OP_AI_GATEWAY;
}

const char *sg_run_status_name(enum sg_run_status status)
{
    switch (status) {
    case SG_RUN_RUNNING:
        return "Running";
    case SG_RUN_COMPLETED:
        return "Completed";
    case SG_RUN_FAILED:
        return "Failed";
    case SG_RUN_CANCELLED:
        return "Cancelled";
    case SG_RUN_SCHEDULED:
        return "Scheduled";
    }
    return "Unknown";
}

const char *sg_step_status_name(enum sg_step_status status)
{
    switch (status) {
    case SG_STEP_PLANNED:
        return "Scheduled";
    case SG_STEP_RUNNING:
        return "Running";
    case SG_STEP_WAITING:
        return "Waiting";
    case SG_STEP_ERRORED:
        return "Errored";
    case SG_STEP_COMPLETED:
        return "Completed";
    case SG_STEP_FAILED:
        return "Failed";
    case SG_STEP_CANCELLED:
        return "Cancelled";
    }
    return "Unknown";
}
