/* The router: one line a route. */
#ifndef STEPGATE_SERVER_ROUTER_H
#define STEPGATE_SERVER_ROUTER_H

#include "server/request.h"
#include "server/respond.h"

enum sg_auth {
    SG_AUTH_NONE,
    SG_AUTH_EVENT_KEY,  /* the first path parameter */
    SG_AUTH_SIGNING_KEY /* the Authorization header, if signing keys are configured */
};

struct sg_route {
    enum sg_method method;
    const char *pattern; /* "/v1/runs/{id}/jobs": a part in braces is one segment of any text */
    enum sg_auth auth;
    enum sg_shape shape;
    size_t body_bytes_max; /* 0: a body is read and ignored */
    bool is_new_work;      /* refused while the server stops */
    void (*handle)(struct sg_request *request);
};

enum sg_route_match { SG_ROUTE_FOUND, SG_ROUTE_UNKNOWN, SG_ROUTE_OTHER_METHOD, SG_ROUTE_BAD_PATH, SG_ROUTE_NO_MEMORY };

/* Finds the route of a path and decodes its parameters into the arena. HEAD is asked for as GET. */
enum sg_route_match sg_router_find(enum sg_method method, struct sg_str path, struct sg_arena *arena, const struct sg_route **route,
                                   struct sg_str parameters[SG_REQUEST_PARAMETERS_MAX]);
/* "GET, DELETE": the methods that the path has, for 405. In the arena; NULL if memory ran out. */
const char *sg_router_methods(struct sg_str path, struct sg_arena *arena);
/* In which shape errors below a path are told, also where there is no route. */
enum sg_shape sg_router_shape(struct sg_str path);
/* The JSON array of all routes ("GET /v1/events"). */
void sg_router_list(struct sg_buf *out);
size_t sg_router_count(void);
const struct sg_route *sg_router_at(size_t index);

#endif
