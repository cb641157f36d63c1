/*
 * One HTTP exchange with an app.
 *
 * The model. An easy handle is set up once with what never changes and gets URL, body and headers for each exchange. The answer
 * is collected under two limits (bytes of headers, bytes of decoded body), so whatever an app sends costs bounded memory.
 * Redirects are followed by us and not by libcurl, because a call must stay a POST with its body and its query wherever it
 * goes: as a GET it would be answered with the app's introspection, which looks like a finished run (reference/09 §4.6).
 *
 * Compression is neither asked for nor refused: the request says `identity`, because compressors swallow the heartbeats of a stream, but
 * what comes compressed all the same is decoded. `Expect:` is sent empty: nobody should wait for a 100.
 *
 * Proxies of the environment are not used: apps are called where they are registered.
 */
#include "sdk/http.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "sdk/url.h"

#define HTTP_MAGIC 0x68747470u
#define HEADER_BYTES_MAX (256 * 1024)    /* ours: of all headers of one answer */
#define RESPONSE_BYTES_KEPT (256 * 1024) /* a larger buffer is given back after the exchange */
/* A connection that was idle for longer is not used again: servers close theirs after 2 to 5 s, and a call must not run into that. */
#define CONNECTION_IDLE_S 1L
#define DNS_CACHE_S 5L /* reference/01 §7.8 */

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_code;

int64_t sg_http_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t sg_http_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct timespec sg_http_deadline(int64_t timeout_ms)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += timeout_ms % 1000 * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

int64_t sg_http_monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int sg_quiet_thread_create(pthread_t *thread, void *(*run)(void *context), void *context)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a thread inherits the mask */
    int code = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static void global_init(void)
{
    global_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

enum sg_status sg_http_global_init(struct sg_error *error)
{
    pthread_once(&global_once, global_init);
    if (global_code != CURLE_OK)
        return sg_error_set(error, SG_SYSTEM, "libcurl cannot be initialised: %s", curl_easy_strerror(global_code));
    return SG_OK;
}

/* ---- what comes in ---- */

static size_t on_header(const char *bytes, size_t size, size_t count, void *context)
{
    struct sg_http *http = context;
    size_t len = size * count;
    http->header_bytes += len;
    if (http->header_bytes > HEADER_BYTES_MAX) {
        http->is_too_long = true;
        return 0;
    }
    struct sg_str line = {bytes, len};
    if (sg_str_starts_with(line, SG_STR("HTTP/"))) { /* the next answer, e.g. after a 100 */
        http->headers = (struct sg_headers){0};
        http->has_status = true;
        return len;
    }
    ptrdiff_t colon = sg_str_index(line, ':');
    enum sg_header header;
    if (colon <= 0 || !sg_header_find((struct sg_str){bytes, (size_t)colon}, &header))
        return len;
    struct sg_str value = sg_arena_copy(&http->arena, sg_str_trim((struct sg_str){bytes + colon + 1, len - (size_t)colon - 1}));
    if (value.ptr == NULL)
        return 0;
    http->headers.values[header] = value;
    return len;
}

static size_t on_body(const char *bytes, size_t size, size_t count, void *context)
{
    struct sg_http *http = context;
    size_t len = size * count;
    if (http->response.len + len > http->response_bytes_max) {
        http->is_too_large = true;
        return 0;
    }
    sg_buf_append(&http->response, (struct sg_str){bytes, len});
    return http->response.is_failed ? 0 : len;
}

/* ---- what goes out ---- */

static size_t on_read(char *room, size_t size, size_t count, void *context)
{
    struct sg_http *http = context;
    size_t len = size * count;
    size_t left = http->body.len - http->body_sent;
    if (len > left)
        len = left;
    if (len > 0)
        memcpy(room, http->body.ptr + http->body_sent, len);
    http->body_sent += len;
    return len;
}

/*
 * libcurl wants to send the body once more, because a connection that it had kept broke before any byte of an answer came. The
 * app may well have run the step: only the engine may repeat a call, as an attempt that counts. So nothing is sent twice from
 * here.
 */
static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct sg_http *http = context;
    return origin == SEEK_SET && offset == 0 && http->body_sent == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* ---- the handle ---- */

/* What never changes. */
static bool set_up(struct sg_http *http)
{
    CURL *easy = http->easy;
    bool is_ok = true;
    is_ok &= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error_text) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_PRIVATE, http) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_USERAGENT, "Inngest") == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S) == CURLE_OK;
    /* Everything that this libcurl can decode; the header that says so is replaced by our own. */
    is_ok &= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_HEADERDATA, http) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_WRITEDATA, http) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_READDATA, http) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_SEEKDATA, http) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, CONNECTION_IDLE_S) == CURLE_OK;
    return is_ok;
}

enum sg_status sg_http_init(struct sg_http *http, size_t response_bytes_max)
{
    *http = (struct sg_http){.magic = HTTP_MAGIC, .response_bytes_max = response_bytes_max};
    sg_arena_init(&http->arena);
    sg_buf_init(&http->url);
    sg_buf_init(&http->header_text);
    sg_buf_init(&http->response);
    http->easy = curl_easy_init();
    if (http->easy == NULL || !set_up(http)) {
        sg_http_free(http);
        return SG_NO_MEMORY;
    }
    return SG_OK;
}

void sg_http_free(struct sg_http *http)
{
    SG_CHECK(http, HTTP_MAGIC);
    if (http->easy != NULL)
        curl_easy_cleanup(http->easy);
    sg_arena_free(&http->arena);
    sg_buf_free(&http->url);
    sg_buf_free(&http->header_text);
    sg_buf_free(&http->response);
    http->easy = NULL;
    http->magic = 0;
}

static void response_reset(struct sg_http *http)
{
    sg_arena_reset(&http->arena);
    http->headers = (struct sg_headers){0};
    http->header_bytes = 0;
    http->has_status = false;
    http->is_too_large = false;
    http->is_too_long = false;
    http->error_text[0] = '\0';
    if (http->response.capacity > RESPONSE_BYTES_KEPT)
        sg_buf_free(&http->response);
    sg_buf_clear(&http->response);
}

void sg_http_reset(struct sg_http *http)
{
    SG_CHECK(http, HTTP_MAGIC);
    response_reset(http);
    sg_buf_clear(&http->url);
    sg_buf_clear(&http->header_text);
    http->header_count = 0;
    http->redirects = 0;
    http->body = SG_STR_NULL;
}

void sg_http_header(struct sg_http *http, const char *name, struct sg_str value)
{
    SG_CHECK(http, HTTP_MAGIC);
    assert(http->header_count < SG_HTTP_HEADERS_MAX);
    http->header_offsets[http->header_count++] = http->header_text.len;
    sg_buf_append(&http->header_text, sg_str_from(name));
    sg_buf_byte(&http->header_text, ':');
    if (value.len > 0) { /* "Name:" alone keeps libcurl from sending its own */
        sg_buf_byte(&http->header_text, ' ');
        sg_buf_append(&http->header_text, value);
    }
    sg_buf_byte(&http->header_text, '\0');
}

/* The list that libcurl reads, in our own memory: nothing is allocated for it. */
static struct curl_slist *header_list(struct sg_http *http)
{
    for (size_t i = 0; i < http->header_count; i++) {
        http->header_nodes[i].data = http->header_text.ptr + http->header_offsets[i];
        http->header_nodes[i].next = i + 1 < http->header_count ? &http->header_nodes[i + 1] : NULL;
    }
    return http->header_count > 0 ? http->header_nodes : NULL;
}

/* Sets method, URL and body for the next hop. */
static bool aim(struct sg_http *http, int64_t timeout_ms)
{
    CURL *easy = http->easy;
    http->body_sent = 0;
    bool is_ok = curl_easy_setopt(easy, CURLOPT_URL, http->url.ptr) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms) == CURLE_OK;
    is_ok &= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms) == CURLE_OK;
    if (strcmp(http->method, "GET") == 0) {
        is_ok &= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL) == CURLE_OK;
        is_ok &= curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    } else {
        is_ok &= curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK;
        is_ok &= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, strcmp(http->method, "POST") == 0 ? NULL : http->method) == CURLE_OK;
        is_ok &= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)http->body.len) == CURLE_OK;
    }
    return is_ok;
}

enum sg_status sg_http_prepare(struct sg_http *http, const char *method, struct sg_str body, int64_t timeout_ms, int64_t connect_timeout_ms)
{
    SG_CHECK(http, HTTP_MAGIC);
    sg_http_header(http, "Accept", SG_STR_NULL);
    sg_http_header(http, "Expect", SG_STR_NULL);
    sg_http_header(http, "Accept-Encoding", SG_STR("identity"));
    sg_buf_byte(&http->url, '\0');
    if (http->url.is_failed || http->header_text.is_failed)
        return SG_NO_MEMORY;
    http->url.len--;
    if (memchr(http->url.ptr, '\0', http->url.len) != NULL || memchr(http->url.ptr, '\n', http->url.len) != NULL)
        return SG_INVALID_ARGUMENT;
    http->method = method;
    http->body = body;
    http->timeout_ms = timeout_ms;
    http->connect_timeout_ms = connect_timeout_ms;
    http->started_at_ms = sg_http_monotonic_ms();
    if (curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, header_list(http)) != CURLE_OK)
        return SG_NO_MEMORY;
    return aim(http, timeout_ms) ? SG_OK : SG_NO_MEMORY;
}

/* ---- afterwards ---- */

int sg_http_status(const struct sg_http *http)
{
    long status = 0;
    if (!http->has_status || curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
        return 0;
    return (int)status;
}

bool sg_http_redirect(struct sg_http *http)
{
    SG_CHECK(http, HTTP_MAGIC);
    int status = sg_http_status(http);
    if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
        return false;
    char *target = NULL;
    if (curl_easy_getinfo(http->easy, CURLINFO_REDIRECT_URL, &target) != CURLE_OK || target == NULL)
        return false;
    struct sg_url parts;
    if (!sg_url_parse(sg_str_from(target), &parts) || !sg_url_is_http(&parts) || http->redirects >= SG_LIMIT_REDIRECTS)
        return false;
    int64_t left_ms = 0;
    if (http->timeout_ms > 0) {
        left_ms = http->timeout_ms - (sg_http_monotonic_ms() - http->started_at_ms);
        if (left_ms <= 0)
            return false;
    }

    struct sg_buf next;
    sg_buf_init(&next);
    sg_url_query_merge(sg_str_from(target), sg_buf_str(&http->url), &next);
    sg_buf_byte(&next, '\0');
    if (next.is_failed) {
        sg_buf_free(&next);
        return false;
    }
    next.len--;
    sg_buf_free(&http->url);
    http->url = next;
    http->redirects++;
    if (status == 303) { /* the one that means "look there" and not "ask there" */
        http->method = "GET";
        http->body = SG_STR_NULL;
    }
    response_reset(http);
    return aim(http, left_ms);
}

enum sg_transport_failure sg_http_failure(struct sg_http *http, CURLcode code, struct sg_arena *arena, struct sg_str *detail)
{
    SG_CHECK(http, HTTP_MAGIC);
    const char *text = http->error_text[0] != '\0' ? http->error_text : curl_easy_strerror(code);
    if (http->is_too_large) {
        *detail = sg_arena_printf(arena, "The answer has more than %zu bytes.", http->response_bytes_max);
        return SG_TRANSPORT_TOO_LARGE;
    }
    if (http->is_too_long) {
        *detail = sg_arena_printf(arena, "the headers of the answer have more than %d bytes", HEADER_BYTES_MAX);
        return SG_TRANSPORT_OTHER;
    }
    long system_error = 0;
    curl_easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &system_error);
    char reason[128] = "";
    if (system_error != 0) {
        const char *words = strerror_r((int)system_error, reason, sizeof(reason));
        *detail = sg_arena_printf(arena, "%s (%s)", text, words);
    } else {
        *detail = sg_arena_copy(arena, sg_str_from(text));
    }
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_FAIL_REWIND:
        return SG_TRANSPORT_UNREACHABLE;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return http->has_status ? SG_TRANSPORT_RESET : SG_TRANSPORT_UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT: {
        double connected_s = 0;
        curl_easy_getinfo(http->easy, CURLINFO_CONNECT_TIME, &connected_s);
        return connected_s > 0 ? SG_TRANSPORT_OTHER : SG_TRANSPORT_UNREACHABLE;
    }
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        *detail = sg_arena_printf(arena, "the answer is not HTTP: %s", text);
        return SG_TRANSPORT_OTHER;
    default:
        return SG_TRANSPORT_OTHER;
    }
}
