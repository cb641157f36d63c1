/*
 * Walking scripts.
 *
 * The model. A branch goes on past a step that has a memo and is blocked at one that has none; that step is then one of those found. All branches of a
 * parallel node are walked, whatever becomes of the others, as a JavaScript engine would run them; a race is over when one branch is.
 */
#include "sim/script.h"

#include <stdio.h>
#include <string.h>

struct walk {
    const struct script_view *view; /* NULL: only `wanted` is looked for */
    struct script_result *result;
    const char *wanted;
    struct script_found *hit;
    bool is_hit;
};

static enum script_outcome branch_walk(struct walk *walk, const struct script_branch *branch, bool is_race);

static void id_of(const struct script_node *node, int index, char id[SCRIPT_ID_MAX])
{
    if (node->kind == SCRIPT_MANY)
        snprintf(id, SCRIPT_ID_MAX, "%s%04d", node->id, index);
    else
        snprintf(id, SCRIPT_ID_MAX, "%s", node->id);
}

static bool is_fetch(const struct script_node *node, int index)
{
    return node->kind == SCRIPT_FETCH || (node->fetch_every > 0 && index % node->fetch_every == 0);
}

static enum script_outcome step_walk(struct walk *walk, const struct script_node *node, int index, bool is_race)
{
    char id[SCRIPT_ID_MAX];
    id_of(node, index, id);
    if (walk->wanted != NULL) {
        if (!walk->is_hit && strcmp(id, walk->wanted) == 0) {
            walk->is_hit = true;
            memcpy(walk->hit->id, id, sizeof(id));
            walk->hit->node = node;
            walk->hit->is_race = is_race;
            walk->hit->is_fetch = is_fetch(node, index);
        }
        return SCRIPT_RETURNS;
    }
    enum script_memo memo = walk->view->memo(walk->view->context, id);
    if (memo == SCRIPT_ERROR)
        return node->is_caught ? SCRIPT_RETURNS : SCRIPT_THROWS_STEP;
    if (memo == SCRIPT_DATA)
        return SCRIPT_RETURNS;
    struct script_result *result = walk->result;
    if (result->found_count < SCRIPT_FOUND_MAX) {
        struct script_found *found = &result->found[result->found_count++];
        memcpy(found->id, id, sizeof(id));
        found->node = node;
        found->is_race = is_race;
        found->is_fetch = is_fetch(node, index);
    }
    return SCRIPT_BLOCKED;
}

static enum script_outcome all_walk(struct walk *walk, const struct script_node *node, bool is_race)
{
    enum script_outcome outcome = SCRIPT_RETURNS;
    int count = node->kind == SCRIPT_MANY ? node->count : node->branch_count;
    for (int index = 0; index < count; index++) {
        enum script_outcome one =
            node->kind == SCRIPT_MANY ? step_walk(walk, node, index, is_race) : branch_walk(walk, &node->branches[index], is_race);
        if (one == SCRIPT_THROWS_STEP || one == SCRIPT_THROWS_BODY)
            outcome = one;
        else if (one == SCRIPT_BLOCKED && outcome == SCRIPT_RETURNS)
            outcome = one;
    }
    return outcome;
}

static enum script_outcome first_walk(struct walk *walk, const struct script_node *node, bool is_race)
{
    enum script_outcome outcome = SCRIPT_BLOCKED;
    for (int index = 0; index < node->branch_count; index++) {
        enum script_outcome one = branch_walk(walk, &node->branches[index], is_race || node->is_race);
        if (one != SCRIPT_BLOCKED && outcome == SCRIPT_BLOCKED)
            outcome = one;
    }
    return outcome;
}

static enum script_outcome branch_walk(struct walk *walk, const struct script_branch *branch, bool is_race)
{
    for (int index = 0; index < branch->count; index++) {
        const struct script_node *node = &branch->nodes[index];
        enum script_outcome outcome = SCRIPT_RETURNS;
        switch (node->kind) {
        case SCRIPT_STEP:
        case SCRIPT_NAP:
        case SCRIPT_FETCH:
            outcome = step_walk(walk, node, 0, is_race);
            break;
        case SCRIPT_PARALLEL:
        case SCRIPT_MANY:
            outcome = all_walk(walk, node, is_race);
            break;
        case SCRIPT_FIRST:
            outcome = first_walk(walk, node, is_race);
            break;
        case SCRIPT_THROW:
            if (walk->view != NULL && walk->view->throws(walk->view->context, node))
                outcome = SCRIPT_THROWS_BODY;
            break;
        }
        if (outcome != SCRIPT_RETURNS && walk->wanted == NULL)
            return outcome;
    }
    return SCRIPT_RETURNS;
}

void script_walk(const struct script *script, const struct script_view *view, struct script_result *result)
{
    struct walk walk = {.view = view, .result = result};
    result->found_count = 0;
    result->outcome = branch_walk(&walk, &script->body, false);
    if (result->outcome == SCRIPT_RETURNS && script->is_failing)
        result->outcome = SCRIPT_THROWS_BODY;
}

bool script_find(const struct script *script, const char *id, struct script_found *found)
{
    struct walk walk = {.wanted = id, .hit = found};
    branch_walk(&walk, &script->body, false);
    return walk.is_hit;
}
