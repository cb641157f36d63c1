/*
 * Time zone files of the system.
 *
 * Names come from strangers (they stand in expressions), so only what can be a zone's name reaches the file system: letters,
 * digits, "_", "+", "-" and single slashes inside, nothing that begins with a dot.
 */
#include "base/os_zone.h"

#include <stdio.h>

/* The largest zone file is below 4 KB; one that is not is no zone file. */
#define FILE_BYTES_MAX 65536

static bool is_name(struct sg_str name)
{
    if (name.len == 0 || name.len > 64)
        return false;
    char last = '/';
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_' ||
                        byte == '+' || byte == '-';
        if (!is_plain && (byte != '/' || last == '/'))
            return false;
        last = byte;
    }
    return last != '/';
}

static enum sg_status read_file(FILE *file, struct sg_buf *out)
{
    size_t start = out->len;
    for (;;) {
        if (!sg_buf_reserve(out, 4096))
            return SG_NO_MEMORY;
        size_t count = fread(out->ptr + out->len, 1, 4096, file);
        out->len += count;
        if (count == 0)
            break;
        if (out->len - start > FILE_BYTES_MAX)
            return SG_NOT_FOUND;
    }
    return ferror(file) ? SG_NOT_FOUND : SG_OK;
}

enum sg_status sg_os_zone_read(struct sg_str name, struct sg_buf *out)
{
    static const char *const directories[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"};
    if (!is_name(name))
        return SG_NOT_FOUND;
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%.*s", directories[i], SG_FMT(name));
        FILE *file = fopen(path, "rbe");
        if (file == NULL)
            continue;
        enum sg_status status = read_file(file, out);
        (void)fclose(file); /* it was only read */
        return status;
    }
    return SG_NOT_FOUND;
}
