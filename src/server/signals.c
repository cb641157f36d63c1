/*
 * POST /v1/signals: a signal for a run that waits for it (reference/03 §3.5).
 *
 * The model. Signals are not queued: one that nobody waits for is answered with 404, which SDKs take as "no run id". No step that waits for a
 * signal is supported yet (the engine fails such a run by name), so that is the answer to every well-formed one.
 */
#include <stepgate/json.h>

#include "server/handlers.h"
#include "server/respond.h"

void sg_handle_signal(struct sg_request *request)
{
    struct sg_buf canonical;
    sg_buf_init(&canonical);
    enum sg_status status = sg_json_canonicalize(sg_buf_str(&request->body), NULL, &canonical, NULL);
    struct sg_str signal = sg_json_get(sg_buf_str(&canonical), SG_STR("signal"));
    if (status == SG_NO_MEMORY)
        sg_respond_status(request, status, "");
    else if (status != SG_OK || sg_json_kind_of(sg_buf_str(&canonical)) != SG_JSON_OBJECT)
        sg_respond_error(request, 400, NULL, "Invalid signal data");
    else if (sg_json_kind_of(signal) != SG_JSON_STRING || signal.len <= 2)
        sg_respond_error(request, 500, NULL, "Failed to receive signal");
    else
        sg_respond_error(request, 404, NULL, "No signal found");
    sg_buf_free(&canonical);
}
