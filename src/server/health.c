/*
 * GET /health, /ready and /metrics: what operators and orchestrators ask.
 *
 * /health says that the process answers, whatever else is wrong: restarting it would not help a full disk. /ready says
 * that it makes sense to send work: only once the store is open and the index rebuilt, not while commits fail, not
 * while draining (reference/11 §9).
 */
#include <stdio.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/respond.h"

void sg_handle_health(struct sg_request *request)
{
    sg_buf_append(sg_respond_body(request, 200), SG_STR("{\"message\":\"OK\",\"status\":200}\n"));
}

static const char *state_code(enum sg_server_state state)
{
    static const char *const codes[] = {"starting", "ready", "store_failing", "draining"};

    assert((size_t)state < SG_ARRAY_LEN(codes));
    return codes[state];
}

static const char *state_text(enum sg_server_state state)
{
    static const char *const texts[] = {"the gateway is starting", "OK", "the store cannot commit", "the gateway is shutting down"};

    assert((size_t)state < SG_ARRAY_LEN(texts));
    return texts[state];
}

static void read_status(struct sg_server *server, struct sg_server_status *status)
{
    *status = (struct sg_server_status){.state = SG_SERVER_READY};
    if (server->hooks.status != NULL)
        server->hooks.status(server->hooks.context, status);
    if (status->state == SG_SERVER_READY && atomic_load(&server->is_draining))
        *status = (struct sg_server_status){.state = SG_SERVER_DRAINING};
    status->text[sizeof(status->text) - 1] = '\0';
    if (status->text[0] == '\0')
        (void)snprintf(status->text, sizeof(status->text), "%s", state_text(status->state));
}

void sg_handle_ready(struct sg_request *request)
{
    struct sg_server_status status;

    read_status(request->server, &status);
    if (status.state != SG_SERVER_READY) {
        sg_respond_error(request, 503, state_code(status.state), "%s", status.text);
        return;
    }
    struct sg_buf *out = sg_respond_body(request, 200);
    sg_buf_byte(out, '{');
    sg_json_member_str(out, "message", sg_str_from(status.text));
    sg_buf_append(out, SG_STR(",\"status\":200}\n"));
}

static void counter(struct sg_buf *out, const char *name, const char *help, atomic_llong *value)
{
    sg_buf_printf(out, "# HELP stepgate_%s %s\n# TYPE stepgate_%s counter\nstepgate_%s %lld\n", name, help, name, name,
                  (long long)atomic_load(value));
}

static void gauge(struct sg_buf *out, const char *name, const char *help, long long value)
{
    sg_buf_printf(out, "# HELP stepgate_%s %s\n# TYPE stepgate_%s gauge\nstepgate_%s %lld\n", name, help, name, name, value);
}

void sg_handle_metrics(struct sg_request *request)
{
    struct sg_server *server = request->server;
    struct sg_server_counters *counters = &server->counters;
    struct sg_server_status status;
    struct sg_buf *out = sg_respond_body(request, 200);

    request->response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    read_status(server, &status);
    gauge(out, "ready", "1 while new work is taken.", status.state == SG_SERVER_READY);
    counter(out, "http_requests_total", "Requests whose headers have been read.", &counters->requests);
    sg_buf_append(
        out, SG_STR("# HELP stepgate_http_responses_total Answers by class of status.\n# TYPE stepgate_http_responses_total counter\n"));
    for (int hundred = 2; hundred <= 5; hundred++)
        sg_buf_printf(out, "stepgate_http_responses_total{class=\"%dxx\"} %lld\n", hundred,
                      (long long)atomic_load(&counters->responses[hundred]));
    counter(out, "http_refused_total", "Answers 429 and 503.", &counters->refused);
    counter(out, "http_unauthorized_total", "Requests with a wrong or missing key.", &counters->unauthorized);
    counter(out, "http_late_total", "Requests that waited too long for their commit or read.", &counters->late);
    counter(out, "http_connections_cut_total", "Connections that were closed because they were too slow.", &counters->cut);
    counter(out, "events_received_total", "Events that were posted to the engine.", &counters->events);
    counter(out, "event_requests_total", "Requests that these came in.", &counters->event_requests);
    counter(out, "checkpoints_received_total", "Checkpoints that were posted to the engine.", &counters->checkpoints);
    counter(out, "registrations_received_total", "Registrations that were posted to the engine.", &counters->registrations);
    gauge(out, "http_connections", "Open connections.", atomic_load(&counters->connections));
    gauge(out, "http_waiting", "Requests that wait for their commit or read.", sg_server_waiting(server));
    gauge(out, "http_body_bytes", "Bytes of request bodies in memory.", atomic_load(&server->body_bytes_held));
    if (server->hooks.metrics != NULL)
        server->hooks.metrics(server->hooks.context, out);
}
