/* Time zone files of the system. */
#ifndef STEPGATE_BASE_OS_ZONE_H
#define STEPGATE_BASE_OS_ZONE_H

#include <stepgate/base.h>

/*
 * Appends the TZif file of an IANA zone ("Europe/Berlin") to `out`. SG_NOT_FOUND if the name is no name of a zone or the
 * system does not have it (package tzdata), SG_NO_MEMORY.
 */
enum sg_status sg_os_zone_read(struct sg_str name, struct sg_buf *out);

#endif
