/* JSON as values: documents, and the function json_parse(). */
#ifndef STEPGATE_CEL_JSON_H
#define STEPGATE_CEL_JSON_H

#include "cel/value.h"

/* See sg_cel_document_parse. */
enum sg_status sg_cel_json_parse(struct sg_str json, struct sg_arena *arena, struct sg_cel_value *value, struct sg_error *error);

#endif
