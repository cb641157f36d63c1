/* Addresses that a request made for a step must not reach (reference/02 §10.1). */
#ifndef STEPGATE_SDK_ADDRESS_H
#define STEPGATE_SDK_ADDRESS_H

#include <sys/socket.h>

/*
 * NULL if the address is one of the public Internet, else what it is instead: "a loopback address", "a private address", ... Everything that is not known to
 * be public is refused.
 */
const char *sg_address_refusal(const struct sockaddr *address, socklen_t len);

#endif
