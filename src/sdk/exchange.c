/*
 * A few exchanges at once, waited for.
 *
 * The model. The same exchange as the caller's, over libcurl's own poll instead of an epoll: the number is small and somebody
 * waits anyway. Whoever wants to leave calls sg_exchanger_stop from another thread; what is under way then ends as aborted.
 */
#include "sdk/exchange.h"

#include "base/check.h"

#define POLL_MS 1000 /* libcurl wakes earlier when there is something to do; this bounds nothing but a missed wake-up */

enum sg_status sg_exchanger_init(struct sg_exchanger *exchanger)
{
    atomic_init(&exchanger->is_stopped, false);
    exchanger->multi = curl_multi_init();
    return exchanger->multi == NULL ? SG_NO_MEMORY : SG_OK;
}

void sg_exchanger_free(struct sg_exchanger *exchanger)
{
    if (exchanger->multi != NULL)
        curl_multi_cleanup(exchanger->multi);
    exchanger->multi = NULL;
}

void sg_exchanger_stop(struct sg_exchanger *exchanger)
{
    atomic_store(&exchanger->is_stopped, true);
    curl_multi_wakeup(exchanger->multi);
}

static struct sg_exchange *find(struct sg_exchange *exchanges, size_t count, const CURL *easy)
{
    for (size_t i = 0; i < count; i++)
        if (exchanges[i].http->easy == easy)
            return &exchanges[i];
    return NULL;
}

/* Takes what has ended; returns how many are through. */
static size_t collect(struct sg_exchanger *exchanger, struct sg_exchange *exchanges, size_t count)
{
    size_t ended = 0;
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(exchanger->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        struct sg_exchange *exchange = find(exchanges, count, message->easy_handle);
        assert(exchange != NULL);
        curl_multi_remove_handle(exchanger->multi, exchange->http->easy);
        if (code == CURLE_OK && sg_http_redirect(exchange->http)) {
            if (curl_multi_add_handle(exchanger->multi, exchange->http->easy) == CURLM_OK)
                continue;
            code = CURLE_OUT_OF_MEMORY;
        }
        exchange->code = code;
        ended++;
    }
    return ended;
}

void sg_exchanger_run(struct sg_exchanger *exchanger, struct sg_exchange *exchanges, size_t count)
{
    size_t open = 0;
    for (size_t i = 0; i < count; i++) {
        exchanges[i].code = CURLE_ABORTED_BY_CALLBACK;
        if (curl_multi_add_handle(exchanger->multi, exchanges[i].http->easy) == CURLM_OK)
            open++;
        else
            exchanges[i].code = CURLE_OUT_OF_MEMORY;
    }
    while (open > 0 && !atomic_load(&exchanger->is_stopped)) {
        int running;
        if (curl_multi_perform(exchanger->multi, &running) != CURLM_OK)
            break;
        open -= collect(exchanger, exchanges, count);
        if (open > 0 && curl_multi_poll(exchanger->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
            break;
    }
    if (open > 0)
        for (size_t i = 0; i < count; i++)
            curl_multi_remove_handle(exchanger->multi, exchanges[i].http->easy); /* harmless for those that are out */
}
