/*
 * Addresses that a request made for a step must not reach.
 *
 * The model. A function's author chooses the URLs that the gateway requests, and often takes them from his users; the gateway stands in a network where
 * other things can be reached than from outside: databases, its own API, the metadata service of the cloud that hands out credentials. So a table
 * says which addresses are not of the public Internet, by the registries of special-purpose addresses (RFC 6890 and its successors). IPv6 is the other
 * way round: only global unicast is allowed, less what in it is special. Addresses of IPv6 that carry one of IPv4 (mapped, NAT64, 6to4) are judged by
 * that one.
 *
 * It is asked at the moment at which a socket is made, with the address that will be connected to, so that no name, however often it is resolved, can be
 * one thing when it is checked and another when it is used.
 */
#include "sdk/address.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"

struct v4_range {
    uint32_t network;
    int bits;
    const char *what;
};

#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static const struct v4_range v4_ranges[] = {
    {V4(0, 0, 0, 0), 8, "an address of this network"},
    {V4(10, 0, 0, 0), 8, "a private address"},
    {V4(100, 64, 0, 0), 10, "a shared (carrier-grade NAT) address"}, /* also the metadata service of Alibaba: 100.100.100.200 */
    {V4(127, 0, 0, 0), 8, "a loopback address"},
    {V4(168, 63, 129, 16), 32, "a metadata address"}, /* of Azure's hosts: public by its number, local by its meaning */
    {V4(169, 254, 0, 0), 16, "a link-local (metadata) address"},
    {V4(172, 16, 0, 0), 12, "a private address"},
    {V4(192, 0, 0, 0), 24, "a special-purpose address"}, /* also the metadata service of Oracle: 192.0.0.192 */
    {V4(192, 0, 2, 0), 24, "a documentation address"},
    {V4(192, 88, 99, 0), 24, "a special-purpose address"},
    {V4(192, 168, 0, 0), 16, "a private address"},
    {V4(198, 18, 0, 0), 15, "a benchmarking address"},
    {V4(198, 51, 100, 0), 24, "a documentation address"},
    {V4(203, 0, 113, 0), 24, "a documentation address"},
    {V4(224, 0, 0, 0), 4, "a multicast address"},
    {V4(240, 0, 0, 0), 4, "a reserved address"}, /* and broadcast */
};

struct v6_range {
    uint8_t network[16];
    int bits;
    const char *what; /* NULL: judged by the IPv4 address at `v4_at` */
    int v4_at;
};

/* The first that fits counts. */
static const struct v6_range v6_ranges[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, "a loopback address", 0},
    {{0}, 128, "the unspecified address", 0},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, NULL, 12}, /* mapped */
    {{0}, 96, "a deprecated IPv4-compatible address", 0},
    {{0x00, 0x64, 0xff, 0x9b}, 96, NULL, 12}, /* NAT64 */
    {{0x00, 0x64, 0xff, 0x9b, 0, 1}, 48, "a local NAT64 address", 0},
    {{0xfc}, 7, "a unique-local address", 0}, /* also the metadata service of AWS: fd00:ec2::254 */
    {{0xfe, 0x80}, 10, "a link-local address", 0},
    {{0xfe, 0xc0}, 10, "a site-local address", 0},
    {{0xff}, 8, "a multicast address", 0},
    {{0x20, 0x02}, 16, NULL, 2}, /* 6to4 */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "a documentation address", 0},
    {{0x20, 0x01}, 23, "a special-purpose address", 0}, /* Teredo, ORCHID, benchmarking, ... */
    {{0x3f, 0xff}, 20, "a documentation address", 0},
};

static bool has_prefix(const uint8_t *address, const uint8_t *network, int bits)
{
    int bytes = bits / 8;
    if (memcmp(address, network, (size_t)bytes) != 0)
        return false;
    int rest = bits % 8;
    return rest == 0 || ((address[bytes] ^ network[bytes]) & (0xff << (8 - rest) & 0xff)) == 0;
}

static const char *v4_refusal(const uint8_t bytes[4])
{
    uint32_t number = V4(bytes[0], bytes[1], bytes[2], bytes[3]);
    for (size_t i = 0; i < SG_ARRAY_LEN(v4_ranges); i++)
        if ((number ^ v4_ranges[i].network) >> (32 - v4_ranges[i].bits) == 0)
            return v4_ranges[i].what;
    return NULL;
}

static const char *v6_refusal(const uint8_t bytes[16])
{
    for (size_t i = 0; i < SG_ARRAY_LEN(v6_ranges); i++)
        if (has_prefix(bytes, v6_ranges[i].network, v6_ranges[i].bits))
            return v6_ranges[i].what != NULL ? v6_ranges[i].what : v4_refusal(bytes + v6_ranges[i].v4_at);
    return (bytes[0] & 0xe0) == 0x20 ? NULL : "no public address";
}

const char *sg_address_refusal(const struct sockaddr *address, socklen_t len)
{
    if (address->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        uint8_t bytes[4];
        memcpy(bytes, &in.sin_addr, sizeof(bytes));
        return v4_refusal(bytes);
    }
    if (address->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof(in));
        uint8_t bytes[16];
        memcpy(bytes, &in.sin6_addr, sizeof(bytes));
        return v6_refusal(bytes);
    }
    return "no Internet address";
}
