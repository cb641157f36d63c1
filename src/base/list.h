/*
 * A doubly linked list whose nodes live inside the things that are listed. Nothing is allocated; a node is in at most one
 * list; a zeroed node is in none.
 *
 *     for (struct sg_list_node *node = list.first; node != NULL; node = node->next)
 *         struct sg_job *job = SG_CONTAINER_OF(node, struct sg_job, in_line);
 *
 * To remove while walking, read `next` before removing.
 */
#ifndef STEPGATE_BASE_LIST_H
#define STEPGATE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct sg_list_node {
    struct sg_list_node *prev;
    struct sg_list_node *next;
};

struct sg_list {
    struct sg_list_node *first;
    struct sg_list_node *last;
};

static inline void sg_list_init(struct sg_list *list)
{
    *list = (struct sg_list){NULL, NULL};
}

static inline bool sg_list_is_empty(const struct sg_list *list)
{
    return list->first == NULL;
}

/* Whether `node` is in `list`, given that it is in no other list. */
static inline bool sg_list_has(const struct sg_list *list, const struct sg_list_node *node)
{
    return node->prev != NULL || node->next != NULL || list->first == node;
}

/* Puts `node` behind `before`, or at the front if that is NULL. */
static inline void sg_list_insert_after(struct sg_list *list, struct sg_list_node *before, struct sg_list_node *node)
{
    assert(!sg_list_has(list, node));
    node->prev = before;
    node->next = before != NULL ? before->next : list->first;
    if (node->next != NULL)
        node->next->prev = node;
    else
        list->last = node;
    if (before != NULL)
        before->next = node;
    else
        list->first = node;
}

static inline void sg_list_push_back(struct sg_list *list, struct sg_list_node *node)
{
    sg_list_insert_after(list, list->last, node);
}

static inline void sg_list_push_front(struct sg_list *list, struct sg_list_node *node)
{
    sg_list_insert_after(list, NULL, node);
}

static inline void sg_list_remove(struct sg_list *list, struct sg_list_node *node)
{
    assert(sg_list_has(list, node));
    if (node->prev != NULL)
        node->prev->next = node->next;
    else
        list->first = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
    else
        list->last = node->prev;
    *node = (struct sg_list_node){NULL, NULL};
}

/* Takes the first node out; NULL if the list is empty. */
static inline struct sg_list_node *sg_list_pop_front(struct sg_list *list)
{
    struct sg_list_node *node = list->first;
    if (node != NULL)
        sg_list_remove(list, node);
    return node;
}

#endif
