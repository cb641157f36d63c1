/*
 * The last step of a request: its answer becomes a response of libmicrohttpd.
 *
 * Every answer carries X-Inngest-Server-Kind (reference/03 §0.3) and, if a browser asked from another origin, what lets
 * it read the answer: any origin may, without credentials, since keys are the protection and not the browser
 * (reference/03 §0.4).
 *
 * An answer whose memory ran out half-way is never sent in part: a fixed 503 goes out instead.
 */
#include "server/send.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "server/internal.h"
#include "server/limits.h"

/* Smaller bodies are copied by the library, larger ones handed over. */
#define COPIED_BYTES_MAX 2048

static const char no_memory_body[] = "{\"code\":\"no_memory\",\"data\":null,\"error\":\"out of memory\",\"ids\":[],\"status\":503}\n";

static bool add(struct MHD_Response *out, const char *name, const char *value)
{
    return MHD_add_response_header(out, name, value) == MHD_YES;
}

/* Echoes a header of the request; what the library refuses in a value (line breaks cannot occur) is left out. */
static void echo(struct sg_request *request, struct MHD_Response *out, const char *asked, const char *name)
{
    const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, asked);

    if (value != NULL && value[0] != '\0')
        (void)add(out, name, value);
}

static bool is_permitted_method(const char *method)
{
    static const char *const permitted[] = {"GET", "POST", "PUT", "DELETE", "OPTIONS"};

    for (size_t i = 0; i < SG_ARRAY_LEN(permitted); i++)
        if (strcmp(method, permitted[i]) == 0)
            return true;
    return false;
}

static bool add_cors(struct sg_request *request, struct MHD_Response *out)
{
    const char *origin = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);

    if (request->is_preflight) {
        if (!add(out, MHD_HTTP_HEADER_VARY, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"))
            return false;
        const char *method = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Access-Control-Request-Method");
        if (origin == NULL || method == NULL || !is_permitted_method(method))
            return true;
        echo(request, out, MHD_HTTP_HEADER_ORIGIN, "Access-Control-Allow-Origin");
        echo(request, out, "Access-Control-Request-Headers", "Access-Control-Allow-Headers");
        return add(out, "Access-Control-Allow-Methods", method) && add(out, "Access-Control-Max-Age", "3600");
    }
    if (origin == NULL || origin[0] == '\0')
        return true;
    return add(out, "Access-Control-Allow-Origin", origin) && add(out, "Access-Control-Expose-Headers", "Link, Mcp-Session-Id") &&
           add(out, MHD_HTTP_HEADER_VARY, "Origin");
}

static bool add_headers(struct sg_request *request, const struct sg_response *response, struct MHD_Response *out)
{
    struct sg_server *server = request->server;
    char number[16];

    if (!add(out, "X-Inngest-Server-Kind", server->kind))
        return false;
    if (response->body.len > 0 || response->content_type != NULL) {
        const char *type = response->content_type != NULL ? response->content_type : "application/json";
        if (!add(out, MHD_HTTP_HEADER_CONTENT_TYPE, type))
            return false;
    }
    if (response->cache_control != NULL && !add(out, MHD_HTTP_HEADER_CACHE_CONTROL, response->cache_control))
        return false;
    if (response->allow != NULL && !add(out, MHD_HTTP_HEADER_ALLOW, response->allow))
        return false;
    if (response->retry_after_s > 0) {
        (void)snprintf(number, sizeof(number), "%d", response->retry_after_s);
        if (!add(out, MHD_HTTP_HEADER_RETRY_AFTER, number))
            return false;
    }
    if ((response->is_closing || atomic_load(&server->is_draining)) && !add(out, MHD_HTTP_HEADER_CONNECTION, "close"))
        return false;
    return add_cors(request, out);
}

static struct MHD_Response *make(struct sg_response *response)
{
    if (response->body.len > COPIED_BYTES_MAX) {
        struct MHD_Response *out = MHD_create_response_from_buffer_with_free_callback(response->body.len, response->body.ptr, sg_free);
        if (out != NULL)
            sg_buf_init(&response->body); /* the library's now */
        return out;
    }
    return MHD_create_response_from_buffer(response->body.len, response->body.len > 0 ? response->body.ptr : "", MHD_RESPMEM_MUST_COPY);
}

static void count(struct sg_server *server, int status)
{
    atomic_fetch_add(&server->counters.responses[status / 100 % 6], 1);
    if (status == 429 || status == 503)
        atomic_fetch_add(&server->counters.refused, 1);
}

enum MHD_Result sg_send(struct sg_request *request, struct sg_response *response)
{
    struct MHD_Response *out = NULL;
    int status = response->status;

    assert(status >= 200 && status < 600);
    sg_watch_enter(request->server, request->peer, SG_PHASE_SEND);
    if (!response->body.is_failed)
        out = make(response);
    if (out != NULL && !add_headers(request, response, out)) {
        MHD_destroy_response(out);
        out = NULL;
    }
    if (out == NULL) {
        status = 503;
        out = MHD_create_response_from_buffer(sizeof(no_memory_body) - 1, (void *)no_memory_body, MHD_RESPMEM_PERSISTENT);
        if (out == NULL)
            return MHD_NO;
        (void)add(out, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
        (void)add(out, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    }
    count(request->server, status);
    enum MHD_Result result = MHD_queue_response(request->connection, (unsigned int)status, out);
    MHD_destroy_response(out);
    return result;
}
