/* Reading ahead at start-up, so that a cold disk is asked for many pages at a time. */
#ifndef STEPGATE_NODE_WARM_H
#define STEPGATE_NODE_WARM_H

#include <stepgate/store.h>

struct sg_warm;

/*
 * Begins to read the large live kinds in several places at once, on threads and readers of its own. Never fails: what cannot be begun is read by
 * the scan itself, later. NULL if there is nothing worth it. sg_warm_end stops what is still running and frees it.
 */
struct sg_warm *sg_warm_begin(struct sg_store *store);
void sg_warm_end(struct sg_warm *warm);

#endif
