#include "net/address.h"

#include <arpa/inet.h>
#include <stdio.h>

bool moon_address_read(struct moon_address *address, struct moon_str text) {
    char copy[MOON_ADDRESS_TEXT];
    memset(address, 0, sizeof *address);
    if (text.len >= sizeof copy || memchr(text.data ? text.data : "", 0, text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    char *colon = strrchr(copy, ':');
    uint64_t port = 0;
    if (!colon || !moon_str_to_uint63(moon_str_of(colon + 1), &port) || port > 65535)
        return false;
    *colon = 0;
    size_t len = (size_t)(colon - copy);
    if (len >= 2 && copy[0] == '[' && copy[len - 1] == ']') {
        copy[len - 1] = 0;
        address->sock.v6.sin6_family = AF_INET6;
        address->sock.v6.sin6_port = htons((uint16_t)port);
        address->len = sizeof address->sock.v6;
        return inet_pton(AF_INET6, copy + 1, &address->sock.v6.sin6_addr) == 1;
    }
    address->sock.v4.sin_family = AF_INET;
    address->sock.v4.sin_port = htons((uint16_t)port);
    address->len = sizeof address->sock.v4;
    return inet_pton(AF_INET, copy, &address->sock.v4.sin_addr) == 1;
}

int moon_address_ip(const struct moon_address *address, unsigned char bytes[16]) {
    if (address->sock.any.sa_family == AF_INET) {
        memcpy(bytes, &address->sock.v4.sin_addr, 4);
        return 4;
    }
    const struct in6_addr *ip = &address->sock.v6.sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(ip)) {
        memcpy(bytes, ip->s6_addr + 12, 4);
        return 4;
    }
    memcpy(bytes, ip->s6_addr, 16);
    return 16;
}

void moon_address_print_ip(const struct moon_address *address, char *out) {
    unsigned char bytes[16];
    int len = moon_address_ip(address, bytes);
    inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, out, MOON_ADDRESS_TEXT);
}

void moon_address_print(const struct moon_address *address, char *out) {
    char ip[INET6_ADDRSTRLEN];
    if (address->sock.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->sock.v4.sin_addr, ip, sizeof ip);
        snprintf(out, MOON_ADDRESS_TEXT, "%s:%u", ip, moon_address_port(address));
    } else {
        inet_ntop(AF_INET6, &address->sock.v6.sin6_addr, ip, sizeof ip);
        snprintf(out, MOON_ADDRESS_TEXT, "[%s]:%u", ip, moon_address_port(address));
    }
}

unsigned moon_address_port(const struct moon_address *address) {
    return ntohs(address->sock.any.sa_family == AF_INET ? address->sock.v4.sin_port : address->sock.v6.sin6_port);
}

bool moon_address_is_loopback(const struct moon_address *address) {
    unsigned char bytes[16];
    if (moon_address_ip(address, bytes) == 4)
        return bytes[0] == 127;
    return IN6_IS_ADDR_LOOPBACK(&address->sock.v6.sin6_addr);
}

static bool is_local_v4(const unsigned char *ip) {
    return ip[0] == 0 || ip[0] == 127 || (ip[0] == 169 && ip[1] == 254) || ip[0] >= 224;
}

bool moon_address_is_local(const struct moon_address *address) {
    static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b}, nothing[12];
    static const unsigned char metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54};
    unsigned char ip[16];
    if (moon_address_ip(address, ip) == 4)
        return is_local_v4(ip);
    if (memcmp(ip, nat64, sizeof nat64) == 0)
        return is_local_v4(ip + 12);
    return memcmp(ip, nothing, sizeof nothing) == 0 || memcmp(ip, metadata, sizeof metadata) == 0 || ip[0] == 0xff ||
           (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80);
}
