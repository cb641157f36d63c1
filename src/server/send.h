/* An answer handed to libmicrohttpd: headers that every answer has, CORS, counters. */
#ifndef STEPGATE_SERVER_SEND_H
#define STEPGATE_SERVER_SEND_H

#include <microhttpd.h>

#include "server/request.h"

/* Sends `response`, whose body it takes. MHD_NO closes the connection: there was not even memory for a 503. */
enum MHD_Result sg_send(struct sg_request *request, struct sg_response *response);

#endif
