/*
 * GET /health, /ready, /metrics and /v1/admin/status: what operators and orchestrators ask.
 *
 * /health says that the process answers, whatever else is wrong: restarting it would not help a full disk. /ready says
 * that it makes sense to send work: only once the store is open and the index rebuilt, not while commits fail, not
 * while draining (reference/11 §9).
 *
 * /metrics begins with the server's own figures, below; what the node has to tell follows (node/metrics.c). /v1/admin/status is the same for people:
 * every queue, pool and limit as a row with its present value.
 *
 *     stepgate_ready                                   1 while new work is taken
 *     stepgate_http_requests_total                     requests whose headers have been read
 *     stepgate_http_responses_total{class}             answers by class of status
 *     stepgate_http_refused_total, _unauthorized_total, _late_total, _connections_cut_total
 *     stepgate_events_received_total, _event_requests_total, _checkpoints_received_total, _registrations_received_total   posted to the engine
 *     stepgate_http_connections, _waiting, _body_bytes
 */
#include <stdio.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "base/prometheus.h"
#include "server/handlers.h"
#include "server/held.h"
#include "server/internal.h"
#include "server/limits.h"
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

void sg_handle_metrics(struct sg_request *request)
{
    static const char responses[] = "stepgate_http_responses_total";
    struct sg_server *server = request->server;
    struct sg_server_counters *counters = &server->counters;
    struct sg_server_status status;
    struct sg_buf *out = sg_respond_body(request, 200);
    const struct {
        const char *name;
        const char *help;
        atomic_llong *value;
    } rows[] = {
        {"stepgate_http_requests_total", "Requests whose headers have been read.", &counters->requests},
        {"stepgate_http_refused_total", "Answers 429 and 503.", &counters->refused},
        {"stepgate_http_unauthorized_total", "Requests with a wrong or missing key.", &counters->unauthorized},
        {"stepgate_http_late_total", "Requests that waited too long for their commit or read.", &counters->late},
        {"stepgate_http_connections_cut_total", "Connections that were closed because they were too slow.", &counters->cut},
        {"stepgate_events_received_total", "Events that were posted to the engine.", &counters->events},
        {"stepgate_event_requests_total", "Requests that these came in.", &counters->event_requests},
        {"stepgate_checkpoints_received_total", "Checkpoints that were posted to the engine.", &counters->checkpoints},
        {"stepgate_registrations_received_total", "Registrations that were posted to the engine.", &counters->registrations},
    };

    request->response.content_type = SG_PROMETHEUS_CONTENT_TYPE;
    read_status(server, &status);
    sg_prom_gauge(out, "stepgate_ready", "1 while new work is taken.", status.state == SG_SERVER_READY);
    for (size_t i = 0; i < SG_ARRAY_LEN(rows); i++)
        sg_prom_counter(out, rows[i].name, rows[i].help, atomic_load(rows[i].value));
    sg_prom_family(out, responses, "counter", "Answers by class of status.");
    for (int hundred = 2; hundred <= 5; hundred++) {
        char class[] = {(char)('0' + hundred), 'x', 'x', '\0'};
        sg_prom_int(out, responses, &(struct sg_prom_label){"class", sg_str_from(class)}, 1, atomic_load(&counters->responses[hundred]));
    }
    sg_prom_gauge(out, "stepgate_http_connections", "Open connections.", atomic_load(&counters->connections));
    sg_prom_gauge(out, "stepgate_http_waiting", "Requests that wait for their commit or read.", sg_server_waiting(server));
    sg_prom_gauge(out, "stepgate_http_body_bytes", "Bytes of request bodies in memory.", atomic_load(&server->body_bytes_held));
    if (server->hooks.metrics != NULL)
        server->hooks.metrics(server->hooks.context, out);
}

/* ---- GET /v1/admin/status ---- */

void sg_status_row(struct sg_buf *out, const char *name, int64_t value, int64_t limit, const char *text)
{
    if (out->len > 0 && out->ptr[out->len - 1] == '}')
        sg_buf_byte(out, ',');
    sg_buf_append(out, SG_STR("{\"limit\":"));
    if (limit > 0)
        sg_buf_int(out, limit);
    else
        sg_buf_append(out, SG_STR("null"));
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "name", sg_str_from(name));
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "text", sg_str_from(text));
    sg_buf_append(out, SG_STR(",\"value\":"));
    if (value >= 0)
        sg_buf_int(out, value);
    else
        sg_buf_append(out, SG_STR("null"));
    sg_buf_byte(out, '}');
}

void sg_handle_admin_status(struct sg_request *request)
{
    struct sg_server *server = request->server;
    struct sg_server_status status;
    struct sg_buf *out = sg_respond_envelope_begin(request);

    read_status(server, &status);
    sg_buf_append(out, SG_STR("{\"rows\":["));
    sg_status_row(out, "http.connections", atomic_load(&server->counters.connections), server->connections_max,
                  "open connections of clients");
    sg_status_row(out, "http.waiting", sg_server_waiting(server), 0, "requests that wait for their commit or read");
    sg_status_row(out, "http.waiting_clients", atomic_load(&server->held->count), server->held_max,
                  "clients that wait for outputs or follow streams; further ones get 429");
    sg_status_row(out, "http.body_bytes", atomic_load(&server->body_bytes_held), SG_LIMIT_SERVER_BODIES_BYTES,
                  "bodies of requests in memory; at the limit clients get 503");
    sg_status_row(out, "http.event_bytes_max", -1, server->event_bytes_max, "one event");
    sg_status_row(out, "http.event_body_bytes_max", -1, server->body_bytes_max, "a request with events");
    sg_status_row(out, "http.reply_ms_max", -1, server->phase_ms[SG_PHASE_WAIT], "how long a request waits for its commit or read");
    if (server->hooks.rows != NULL)
        server->hooks.rows(server->hooks.context, out);
    sg_buf_append(out, SG_STR("],\"state\":"));
    sg_json_quote(out, sg_str_from(status.state == SG_SERVER_READY ? "ready" : state_code(status.state)));
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "text", sg_str_from(status.text));
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "version", sg_str_from(server->version));
    sg_buf_byte(out, '}');
    sg_respond_envelope_end(request, 0);
}
