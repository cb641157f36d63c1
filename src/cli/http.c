/*
 * HTTP for the command line, over one libcurl handle.
 *
 * What it never does: follow redirects (a key would go along), or take more than ANSWER_BYTES_MAX.
 */
#include "cli/http.h"

#include <curl/curl.h>
#include <string.h>

#include "base/check.h"

#define ANSWER_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define URL_BYTES_MAX 4096

static size_t take(char *bytes, size_t size, size_t count, void *context);

enum sg_status sg_http_open(struct sg_http *http, const char *base_url, const char *signing_key, int64_t timeout_ms, struct sg_error *error)
{
    *http = (struct sg_http){.base_url = base_url, .signing_key = signing_key, .timeout_ms = timeout_ms};
    http->curl = curl_easy_init();
    if (http->curl == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for an HTTP client");
    return SG_OK;
}

void sg_http_close(struct sg_http *http)
{
    if (http->curl != NULL)
        curl_easy_cleanup(http->curl);
    http->curl = NULL;
}

enum sg_status sg_http_request(struct sg_http *http, const char *path, const struct sg_str *body, int *http_status, struct sg_buf *out,
                               struct sg_error *error)
{
    CURL *curl = http->curl;
    char url[URL_BYTES_MAX];
    struct sg_str base = sg_str_from(http->base_url);
    while (base.len > 0 && base.ptr[base.len - 1] == '/')
        base.len--;
    if ((size_t)snprintf(url, sizeof(url), "%.*s%s", SG_FMT(base), path) >= sizeof(url))
        return sg_error_set(error, SG_TOO_LARGE, "the URL is longer than %d bytes", URL_BYTES_MAX);

    struct curl_slist *headers = NULL;
    char authorization[1024];
    if (http->signing_key != NULL &&
        (size_t)snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", http->signing_key) < sizeof(authorization))
        headers = curl_slist_append(headers, authorization);
    if (body != NULL)
        headers = curl_slist_append(headers, "Content-Type: application/json");

    sg_buf_clear(out);
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)http->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->len > 0 ? body->ptr : "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    }
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return sg_error_set(error, SG_UNREACHABLE, "no answer from %.*s (%s); is stepgate running there? --url says where to look",
                            SG_FMT(base), curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    *http_status = (int)status;
    return SG_OK;
}

/* The type is libcurl's: CURLOPT_WRITEFUNCTION. */
static size_t take(char *bytes, size_t size, size_t count, void *context) // NOLINT(readability-non-const-parameter)
{
    struct sg_buf *out = context;
    assert(size == 1);
    if (out->len + count > ANSWER_BYTES_MAX)
        return 0;
    sg_buf_append(out, (struct sg_str){bytes, count});
    return out->is_failed ? 0 : count;
}
