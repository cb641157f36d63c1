/*
 * Discovery.
 *
 * The model. The first path is asked for on every usual port at once; ports where nobody listens refuse at once and are out;
 * those that answered, but not as an SDK, are asked for the next path. What answers with the header of an SDK, whatever the
 * status, is an app.
 *
 * The address is `localhost`, so that apps on either loopback address are found. Nothing else is ever contacted, and with
 * --no-discovery this file is not called at all (reference/11 §1).
 */
#include "sdk/discovery.h"

#include "base/alloc.h"
#include "base/check.h"

#define PROBE_TIMEOUT_MS 2000             /* reference/01 §4.9 */
#define PROBE_RESPONSE_BYTES (256 * 1024) /* only headers matter */

static const int usual_ports[] = {80,   443,  3000, 3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008, 3009, 3010, 4321,
                                  5000, 5173, 8000, 8080, 8081, 8787, 8888, 8910, 8911, 8912, 8913, 8914, 8915};
static const char *const usual_paths[] = {"/api/inngest", "/x/inngest", "/.netlify/functions/inngest", "/.redwood/functions/inngest"};

struct probe {
    struct sg_http http;
    int port;
    bool is_out; /* nobody listens, or found */
};

static enum sg_status probe_prepare(struct probe *probe, const char *path, const struct sg_discovery_options *options)
{
    struct sg_http *http = &probe->http;
    char signature[SG_SIGNATURE_MAX + 1];
    sg_http_reset(http);
    sg_buf_printf(&http->url, "%s://localhost", probe->port == 443 ? "https" : "http");
    if (probe->port != 80 && probe->port != 443)
        sg_buf_printf(&http->url, ":%d", probe->port);
    sg_buf_append(&http->url, sg_str_from(path));
    sg_http_header(http, "X-Inngest-Server-Kind", sg_str_from(options->server_kind));
    if (options->key != NULL) {
        size_t len = sg_signature_make(options->key, SG_STR_NULL, sg_http_wall_ms() / 1000, signature);
        sg_http_header(http, "X-Inngest-Signature", (struct sg_str){signature, len});
    }
    return sg_http_prepare(http, "GET", SG_STR_NULL, PROBE_TIMEOUT_MS, PROBE_TIMEOUT_MS);
}

/* One path on all ports that are left. */
static enum sg_status sweep(struct sg_exchanger *exchanger, struct probe *probes, size_t count, const char *path,
                            const struct sg_discovery_options *options, void (*found)(void *, struct sg_str, bool), void *context)
{
    struct sg_exchange *exchanges = sg_calloc(count + 1, sizeof(*exchanges));
    if (exchanges == NULL)
        return SG_NO_MEMORY;
    size_t asked = 0;
    enum sg_status status = SG_OK;
    for (size_t i = 0; i < count && status == SG_OK; i++) {
        if (probes[i].is_out)
            continue;
        status = probe_prepare(&probes[i], path, options);
        exchanges[asked++].http = &probes[i].http;
    }
    if (status == SG_OK)
        sg_exchanger_run(exchanger, exchanges, asked);
    for (size_t i = 0; i < asked && status == SG_OK; i++) {
        struct probe *probe = SG_CONTAINER_OF(exchanges[i].http, struct probe, http);
        bool is_sdk = probe->http.headers.values[SG_HEADER_SDK].len > 0;
        bool is_closed = !is_sdk && probe->http.headers.values[SG_HEADER_SDK_HANDLED].len > 0;
        if (probe->http.has_status && (is_sdk || is_closed))
            found(context, sg_buf_str(&probe->http.url), is_closed);
        probe->is_out = !probe->http.has_status || is_sdk || is_closed;
    }
    sg_free(exchanges);
    return status;
}

enum sg_status sg_discovery_run(struct sg_exchanger *exchanger, const struct sg_discovery_options *options,
                                void (*found)(void *context, struct sg_str url, bool is_closed), void *context)
{
    const int *ports = options->ports != NULL ? options->ports : usual_ports;
    size_t port_count = options->ports != NULL ? options->port_count : SG_ARRAY_LEN(usual_ports);
    struct probe *probes = sg_calloc(port_count + 1, sizeof(*probes));
    if (probes == NULL)
        return SG_NO_MEMORY;

    size_t count = 0;
    enum sg_status status = SG_OK;
    bool is_extra_known = options->port_extra <= 0;
    for (size_t i = 0; i <= port_count && status == SG_OK; i++) {
        int port = i < port_count ? ports[i] : options->port_extra;
        is_extra_known = is_extra_known || (i < port_count && port == options->port_extra);
        if (port == options->port_own || (i == port_count && is_extra_known))
            continue;
        status = sg_http_init(&probes[count].http, PROBE_RESPONSE_BYTES);
        if (status != SG_OK)
            break;
        probes[count++].port = port;
    }
    for (size_t i = 0; i < SG_ARRAY_LEN(usual_paths) && status == SG_OK; i++)
        status = sweep(exchanger, probes, count, usual_paths[i], options, found, context);
    for (size_t i = 0; i < count; i++)
        sg_http_free(&probes[i].http);
    sg_free(probes);
    return status;
}
