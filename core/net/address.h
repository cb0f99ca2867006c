/* net/address.h — an endpoint: read from text, printed, compared. */
#ifndef MOON_NET_ADDRESS_H
#define MOON_NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/str.h"

#define MOON_ADDRESS_TEXT 64

struct moon_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } sock;
    socklen_t len;
};

/* "192.0.2.1:443" or "[2001:db8::1]:443"; port 0 is allowed (the system chooses). No names. False for anything else. */
bool moon_address_read(struct moon_address *address, struct moon_str text);

/* The IP as rules see it: 4 or 16 bytes, IPv4-mapped IPv6 turned into IPv4. Returns 4 or 16. */
int moon_address_ip(const struct moon_address *address, unsigned char bytes[16]);

/* The IP alone as text (mapped addresses as IPv4), or with the port; `out` has room for MOON_ADDRESS_TEXT. */
void moon_address_print_ip(const struct moon_address *address, char *out);
void moon_address_print(const struct moon_address *address, char *out);

unsigned moon_address_port(const struct moon_address *address);
bool moon_address_is_loopback(const struct moon_address *address);
/* Nothing out there: this machine (loopback, unspecified), its links (link-local, multicast), or where clouds keep the secrets of a
 * machine. IPv4 inside IPv6 counts as IPv4. */
bool moon_address_is_local(const struct moon_address *address);

#endif
