/*
 * One request of a step under way.
 *
 * The model. Every hop is a connection of its own, never used before or again: libcurl repeats a request when a kept connection breaks, and a request
 * of a step may have an effect. Redirects are followed here and not by libcurl, because method, body and headers go with them (reference/02 §10.1); but
 * what proves who asks does not go to another origin, where nobody meant it to be sent. Each socket is asked for with the address that it will
 * connect to, so an address that must not be reached is seen whatever name or redirect led to it.
 *
 * What it never does: write libcurl's own words about an error, which may hold parts of the URL; or use a proxy of the environment, behind which addresses
 * could not be seen.
 */
#include "sdk/fetch_transfer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/duration.h"
#include "sdk/address.h"
#include "sdk/fetch_result.h"
#include "sdk/http.h"
#include "sdk/url.h"

#define TRANSFER_MAGIC 0x66747266u
#define HEADER_BYTES_MAX (256 * 1024) /* ours: of all headers of one answer */
#define DNS_CACHE_S 5L

/* ---- what comes in ---- */

static size_t on_header(const char *bytes, size_t size, size_t count, void *context)
{
    struct sg_fetch_transfer *transfer = context;
    struct sg_str line = {bytes, size * count};
    if (sg_str_starts_with(line, SG_STR("HTTP/"))) { /* the next answer, e.g. after a 100 */
        transfer->has_status = true;
        sg_buf_clear(&transfer->headers);
        return line.len;
    }
    if (transfer->headers.len + line.len > HEADER_BYTES_MAX) {
        transfer->trouble = "the headers of the answer are too large";
        return 0;
    }
    sg_buf_append(&transfer->headers, line);
    return transfer->headers.is_failed ? 0 : line.len;
}

static size_t on_body(const char *bytes, size_t size, size_t count, void *context)
{
    struct sg_fetch_transfer *transfer = context;
    struct sg_fetch_maker *maker = transfer->maker;
    size_t len = size * count;
    if (transfer->body.len + len > maker->response_bytes_max) {
        transfer->trouble = "the answer is too large";
        return 0;
    }
    if (maker->responses_bytes + (int64_t)len > SG_LIMIT_FETCH_RESPONSES_BYTES) {
        transfer->trouble = "the gateway is reading too many large answers at a time";
        return 0;
    }
    size_t before = transfer->body.len;
    sg_buf_append(&transfer->body, (struct sg_str){bytes, len});
    maker->responses_bytes += (int64_t)(transfer->body.len - before);
    return transfer->body.is_failed ? 0 : len;
}

/* ---- where it goes ---- */

static void note_refusal(struct sg_fetch_transfer *transfer, const struct sockaddr *address, const char *what)
{
    transfer->refusal = what;
    const void *number = NULL;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof(in));
        number = &in.sin_addr;
    } else if (address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof(in6));
        number = &in6.sin6_addr;
    }
    if (number == NULL || inet_ntop(address->sa_family, number, transfer->refused_address, sizeof(transfer->refused_address)) == NULL)
        transfer->refused_address[0] = '\0';
}

static curl_socket_t on_socket_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct sg_fetch_transfer *transfer = context;
    (void)purpose;
    const char *refusal = transfer->maker->allows_private ? NULL : sg_address_refusal(&address->addr, (socklen_t)address->addrlen);
    if (refusal != NULL) {
        note_refusal(transfer, &address->addr, refusal);
        return CURL_SOCKET_BAD;
    }
    transfer->sockets++;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- the handle ---- */

/* What does not change from hop to hop. */
static bool set_up(struct sg_fetch_transfer *transfer)
{
    CURL *easy = transfer->easy;
    bool is_ok = true;
    is_ok &= curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK; /* everything that this libcurl can decode */
    is_ok &= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket_open) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)transfer->maker->connect_timeout_ms) == CURLE_OK;
    return is_ok;
}

/* Links the header lines of this hop; what libcurl would add by itself and nobody asked for is taken out. NULL if memory ran out. */
static struct curl_slist *header_list(struct sg_fetch_transfer *transfer)
{
    static const struct {
        const char *name;
        const char *line;
    } silenced[] = {{"Accept", "Accept:"}, {"Expect", "Expect:"}, {"Content-Type", "Content-Type:"}};
    const struct sg_fetch_request *request = &transfer->request;
    struct curl_slist *nodes = transfer->header_nodes;
    size_t count = 0;
    for (size_t i = 0; i < SG_ARRAY_LEN(silenced); i++)
        if (!sg_fetch_request_has_header(request, sg_str_from(silenced[i].name)))
            nodes[count++].data = (char *)(uintptr_t)silenced[i].line;
    for (size_t i = 0; i < request->header_count; i++)
        if (!request->headers[i].is_credential || !transfer->is_foreign)
            nodes[count++].data = (char *)(uintptr_t)request->headers[i].line.ptr;
    for (size_t i = 0; i < count; i++)
        nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
    return count > 0 ? nodes : NULL;
}

/* Sets URL, method, body and headers of the next hop. */
static bool aim(struct sg_fetch_transfer *transfer, int64_t timeout_ms)
{
    CURL *easy = transfer->easy;
    const char *method = transfer->is_get ? "GET" : transfer->request.method.ptr;
    struct sg_str body = transfer->is_get ? SG_STR_NULL : transfer->request.body;
    transfer->sockets = 0;
    transfer->refusal = NULL;
    bool is_head = strcmp(method, "HEAD") == 0;
    bool has_body = body.ptr != NULL && !is_head;
    bool expects_body = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
    bool is_ok = curl_easy_setopt(easy, CURLOPT_URL, transfer->target.ptr) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, header_list(transfer)) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_NOBODY, is_head ? 1L : 0L) == CURLE_OK;
    if (has_body || expects_body) { /* without a body: "Content-Length: 0" */
        is_ok &= curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK;
        is_ok &= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) == CURLE_OK;
        is_ok &= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.len > 0 ? body.ptr : "") == CURLE_OK;
    } else if (!is_head) {
        is_ok &= curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    }
    is_ok &= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK;
    return is_ok;
}

void sg_fetch_transfer_free(struct sg_fetch_transfer *transfer)
{
    if (transfer == NULL)
        return;
    SG_CHECK(transfer, TRANSFER_MAGIC);
    transfer->maker->responses_bytes -= (int64_t)transfer->body.len;
    if (transfer->easy != NULL)
        curl_easy_cleanup(transfer->easy);
    sg_fetch_free(transfer->fetch);
    sg_arena_free(&transfer->arena);
    sg_buf_free(&transfer->headers);
    sg_buf_free(&transfer->body);
    transfer->magic = 0;
    sg_free(transfer);
}

struct sg_fetch_transfer *sg_fetch_transfer_begin(struct sg_fetch_maker *maker, struct sg_fetch *fetch, struct sg_message **message)
{
    *message = NULL;
    struct sg_fetch_transfer *transfer = sg_calloc(1, sizeof(*transfer));
    if (transfer == NULL)
        return NULL;
    transfer->magic = TRANSFER_MAGIC;
    transfer->maker = maker;
    sg_arena_init(&transfer->arena);
    sg_buf_init(&transfer->headers);
    sg_buf_init(&transfer->body);
    struct sg_error error = {0};
    enum sg_status status = sg_fetch_request_read(fetch->code, fetch->opts, &transfer->arena, &transfer->request, &error);
    if (status == SG_OK) {
        status = SG_NO_MEMORY;
        transfer->started_at_ms = sg_http_monotonic_ms();
        transfer->target = transfer->request.target;
        transfer->header_nodes = sg_arena_zalloc(&transfer->arena, (transfer->request.header_count + 3) * sizeof(*transfer->header_nodes));
        transfer->easy = transfer->header_nodes != NULL ? curl_easy_init() : NULL;
        if (transfer->easy != NULL && set_up(transfer) && aim(transfer, maker->timeout_ms))
            status = SG_OK;
    }
    if (status == SG_OK) {
        transfer->fetch = fetch;
        return transfer;
    }
    if (status == SG_INVALID_ARGUMENT)
        *message = sg_fetch_message_fail(fetch, sg_str_from(error.message), true);
    sg_fetch_transfer_free(transfer);
    return NULL;
}

/* ---- redirects ---- */

bool sg_fetch_transfer_redirect(struct sg_fetch_transfer *transfer)
{
    SG_CHECK(transfer, TRANSFER_MAGIC);
    long status = 0;
    char *next = NULL;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
        return false;
    if (curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &next) != CURLE_OK || next == NULL)
        return false; /* without a place to go it is an answer like any other */
    struct sg_url parts;
    if (transfer->redirects >= SG_LIMIT_REDIRECTS) {
        transfer->trouble = "it was redirected too often";
        return false;
    }
    if (!sg_url_parse(sg_str_from(next), &parts) || !sg_url_is_http(&parts)) {
        transfer->trouble = "it was redirected to something that is no http or https URL";
        return false;
    }
    int64_t left_ms = transfer->maker->timeout_ms - (sg_http_monotonic_ms() - transfer->started_at_ms);
    struct sg_str target = sg_arena_copy(&transfer->arena, sg_str_from(next));
    if (target.ptr == NULL || left_ms <= 0) {
        transfer->trouble = left_ms <= 0 ? "it took too long" : "the gateway had no memory for it";
        return false;
    }
    transfer->is_foreign = transfer->is_foreign || !sg_fetch_is_same_origin(transfer->target, target);
    if (status == 303 && strcmp(transfer->request.method.ptr, "HEAD") != 0)
        transfer->is_get = true; /* the one that means "look there" and not "ask there" */
    transfer->target = target;
    transfer->redirects++;
    transfer->maker->responses_bytes -= (int64_t)transfer->body.len;
    sg_buf_clear(&transfer->headers);
    sg_buf_clear(&transfer->body);
    transfer->has_status = false;
    if (aim(transfer, left_ms))
        return true;
    transfer->trouble = "the gateway had no memory for it";
    return false;
}

/* ---- outcomes ---- */

static struct sg_message *message_for(const struct sg_fetch *fetch)
{
    SG_CHECK(fetch, SG_FETCH_MAGIC);
    struct sg_message *message = sg_message_create(SG_MESSAGE_FETCHED);
    if (message == NULL)
        return NULL;
    message->as.fetched.run_id = fetch->run_id;
    message->as.fetched.job_id = fetch->job_id;
    message->as.fetched.generation = fetch->generation;
    message->as.fetched.step_id = sg_arena_copy(&message->arena, fetch->step_id);
    if (message->as.fetched.step_id.ptr == NULL) {
        sg_message_free(message);
        return NULL;
    }
    return message;
}

struct sg_message *sg_fetch_message_fail(const struct sg_fetch *fetch, struct sg_str why, bool is_final)
{
    struct sg_message *message = message_for(fetch);
    if (message == NULL)
        return NULL;
    message->as.fetched.is_final = is_final;
    if (sg_fetch_failure(fetch->code, why, &message->arena, &message->as.fetched.error) == SG_OK)
        return message;
    sg_message_free(message);
    return NULL;
}

/* Whether nothing but addresses that must not be reached was found behind the name. */
static bool is_refused(const struct sg_fetch_transfer *transfer)
{
    return transfer->refusal != NULL && transfer->sockets == 0;
}

/* Why there is no answer, for people. NULL bytes if memory ran out. */
static struct sg_str failure_text(struct sg_fetch_transfer *transfer, CURLcode code, struct sg_arena *arena)
{
    struct sg_str place = sg_fetch_place(transfer->target, arena);
    if (place.ptr == NULL)
        return SG_STR_NULL;
    if (is_refused(transfer))
        return sg_arena_printf(arena, "%.*s is refused: %s is %s, and this gateway requests public addresses only (--allow-private-fetch)",
                               SG_FMT(place), transfer->refused_address, transfer->refusal);
    if (transfer->trouble != NULL)
        return sg_arena_printf(arena, "%s (%.*s)", transfer->trouble, SG_FMT(place));
    long system_error = 0;
    char reason[128] = "";
    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &system_error);
    const char *words = system_error != 0 ? strerror_r((int)system_error, reason, sizeof(reason)) : "no connection";
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return sg_arena_printf(arena, "the host of %.*s cannot be found", SG_FMT(place));
    case CURLE_COULDNT_CONNECT:
        return sg_arena_printf(arena, "%.*s cannot be reached (%s)", SG_FMT(place), words);
    case CURLE_OPERATION_TIMEDOUT:
        return sg_arena_printf(arena, "%.*s did not answer in time", SG_FMT(place));
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return sg_arena_printf(arena, "the connection to %.*s broke before the answer was complete", SG_FMT(place));
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return sg_arena_printf(arena, "what %.*s answered is not HTTP", SG_FMT(place));
    default:
        return sg_arena_printf(arena, "%s (%.*s)", curl_easy_strerror(code), SG_FMT(place)); /* these are fixed texts */
    }
}

static struct sg_message *failure(struct sg_fetch_transfer *transfer, CURLcode code)
{
    struct sg_arena arena;
    sg_arena_init(&arena);
    struct sg_str text = failure_text(transfer, code, &arena);
    struct sg_message *message = text.ptr != NULL ? sg_fetch_message_fail(transfer->fetch, text, is_refused(transfer)) : NULL;
    sg_arena_free(&arena);
    return message;
}

struct sg_message *sg_fetch_transfer_outcome(struct sg_fetch_transfer *transfer, CURLcode code)
{
    SG_CHECK(transfer, TRANSFER_MAGIC);
    if (code != CURLE_OK || transfer->trouble != NULL || !transfer->has_status)
        return failure(transfer, code == CURLE_OK ? CURLE_GOT_NOTHING : code);
    struct sg_message *message = message_for(transfer->fetch);
    if (message == NULL)
        return NULL;
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    struct sg_fetch_response response = {.status = (int)status,
                                         .url = transfer->redirects > 0 ? transfer->target : transfer->request.url,
                                         .headers = sg_buf_str(&transfer->headers),
                                         .body = sg_buf_str(&transfer->body)};
    if (sg_fetch_result(&transfer->request, &response, &message->arena, &message->as.fetched.data, &message->as.fetched.error) == SG_OK)
        return message;
    sg_message_free(message);
    return NULL;
}
