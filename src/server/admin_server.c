/*
 * GET /v1/admin/server: who answers here. Mode, version, which keys, where the data is and how much room is left, and what time it is on this machine:
 * the gateway's half of what `stepgate doctor` compares (reference/11 §1, §2).
 *
 * What it never does: show a key. A fingerprint is the first digits of a key's hash.
 */
#include <limits.h>
#include <stdlib.h>

#include <stepgate/json.h>

#include "base/os_disk.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/respond.h"

static void append_keys(struct sg_buf *out, const struct sg_auth_keys *auth)
{
    char fingerprint[SG_KEY_FINGERPRINT_LEN + 1];

    sg_buf_printf(out, "\"event_key_count\":%zu,\"signing_keys\":[", auth->event_key_count);
    for (size_t i = 0; i < auth->key_count; i++) {
        sg_signing_key_fingerprint(&auth->keys[i], fingerprint);
        sg_buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", fingerprint);
    }
    sg_buf_append(out, SG_STR("],"));
}

static const char *flag(bool claim)
{
    return claim ? "true" : "false";
}

/* null: everything is in memory. */
static void append_data(struct sg_buf *out, const char *directory)
{
    char whole[PATH_MAX];
    struct sg_disk disk;

    if (directory == NULL) {
        sg_json_member_raw(out, "data", SG_STR_NULL);
        return;
    }
    bool is_known = sg_disk_read(directory, &disk);
    sg_buf_append(out, SG_STR("\"data\":{"));
    sg_json_member_str(out, "directory", sg_str_from(realpath(directory, whole) != NULL ? whole : directory));
    sg_buf_printf(out, ",\"is_ephemeral\":%s,\"is_known\":%s,\"is_read_only\":%s,\"is_remote\":%s,", flag(disk.is_ephemeral),
                  flag(is_known), flag(disk.is_read_only), flag(disk.is_remote));
    sg_json_member_str(out, "file_system", sg_str_from(disk.kind));
    sg_buf_byte(out, ',');
    sg_json_member_int(out, "free_bytes", disk.free_bytes);
    sg_buf_byte(out, ',');
    sg_json_member_int(out, "total_bytes", disk.total_bytes);
    sg_buf_byte(out, '}');
}

void sg_handle_admin_server(struct sg_request *request)
{
    const struct sg_server *server = request->server;
    struct sg_buf *out = sg_respond_envelope_begin(request);

    sg_buf_byte(out, '{');
    append_data(out, server->data_dir);
    sg_buf_byte(out, ',');
    append_keys(out, &server->auth);
    sg_buf_printf(out, "\"is_dev\":%s,", flag(server->is_dev));
    sg_json_member_str(out, "kind", sg_str_from(server->kind));
    sg_buf_byte(out, ',');
    sg_json_member_int(out, "now_ms", sg_server_wall_ms());
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "version", sg_str_from(server->version));
    sg_buf_byte(out, '}');
    sg_respond_envelope_end(request, 0);
}
