/*
 * A few exchanges at once, waited for.
 *
 * The model. The same exchange as the caller's, over libcurl's own poll instead of an epoll: the number is small and somebody
 * waits anyway. Whoever wants to leave calls sg_fetcher_stop from another thread; what is under way then ends as aborted.
 */
#include "sdk/fetch.h"

#include "base/check.h"

#define POLL_MS 1000 /* libcurl wakes earlier when there is something to do; this bounds nothing but a missed wake-up */

enum sg_status sg_fetcher_init(struct sg_fetcher *fetcher)
{
    atomic_init(&fetcher->is_stopped, false);
    fetcher->multi = curl_multi_init();
    return fetcher->multi == NULL ? SG_NO_MEMORY : SG_OK;
}

void sg_fetcher_free(struct sg_fetcher *fetcher)
{
    if (fetcher->multi != NULL)
        curl_multi_cleanup(fetcher->multi);
    fetcher->multi = NULL;
}

void sg_fetcher_stop(struct sg_fetcher *fetcher)
{
    atomic_store(&fetcher->is_stopped, true);
    curl_multi_wakeup(fetcher->multi);
}

static struct sg_fetch *find(struct sg_fetch *fetches, size_t count, const CURL *easy)
{
    for (size_t i = 0; i < count; i++)
        if (fetches[i].http->easy == easy)
            return &fetches[i];
    return NULL;
}

/* Takes what has ended; returns how many are through. */
static size_t collect(struct sg_fetcher *fetcher, struct sg_fetch *fetches, size_t count)
{
    size_t ended = 0;
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(fetcher->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        struct sg_fetch *fetch = find(fetches, count, message->easy_handle);
        assert(fetch != NULL);
        curl_multi_remove_handle(fetcher->multi, fetch->http->easy);
        if (code == CURLE_OK && sg_http_redirect(fetch->http)) {
            if (curl_multi_add_handle(fetcher->multi, fetch->http->easy) == CURLM_OK)
                continue;
            code = CURLE_OUT_OF_MEMORY;
        }
        fetch->code = code;
        ended++;
    }
    return ended;
}

void sg_fetcher_run(struct sg_fetcher *fetcher, struct sg_fetch *fetches, size_t count)
{
    size_t open = 0;
    for (size_t i = 0; i < count; i++) {
        fetches[i].code = CURLE_ABORTED_BY_CALLBACK;
        if (curl_multi_add_handle(fetcher->multi, fetches[i].http->easy) == CURLM_OK)
            open++;
        else
            fetches[i].code = CURLE_OUT_OF_MEMORY;
    }
    while (open > 0 && !atomic_load(&fetcher->is_stopped)) {
        int running;
        if (curl_multi_perform(fetcher->multi, &running) != CURLM_OK)
            break;
        open -= collect(fetcher, fetches, count);
        if (open > 0 && curl_multi_poll(fetcher->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
            break;
    }
    if (open > 0)
        for (size_t i = 0; i < count; i++)
            curl_multi_remove_handle(fetcher->multi, fetches[i].http->easy); /* harmless for those that are out */
}
