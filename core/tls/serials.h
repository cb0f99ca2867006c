/* tls/serials.h — a set of certificate serial numbers: filled once, sorted, then only asked. A CRL of 10 MiB holds
 * some hundred thousand of them, so each takes its own length and no allocation. Not thread safe while it is
 * filled; afterwards any number of threads may ask. */
#ifndef MOON_TLS_SERIALS_H
#define MOON_TLS_SERIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define MOON_SERIAL_BYTES 255 /* RFC 5280 section 4.1.2.2 allows 20 */

struct moon_serials {
    unsigned char *pool; /* one byte of length, then the number without leading zeros */
    size_t len, room;
    uint32_t *order; /* offsets in `pool`, sorted once sealed */
    size_t count, order_room;
};

void moon_serials_deinit(struct moon_serials *serials);
/* Adds a non-negative number in network order. False when it is longer than MOON_SERIAL_BYTES or the set has 4 GiB. */
bool moon_serials_add(struct moon_serials *serials, const unsigned char *number, size_t len);
/* The same from text: decimal, or "0x" and hex digits. False for any other text. */
bool moon_serials_add_text(struct moon_serials *serials, struct moon_str text);
/* Sorts and drops duplicates; before the first question, and after it nothing is added. */
void moon_serials_seal(struct moon_serials *serials);
bool moon_serials_have(const struct moon_serials *serials, const unsigned char *number, size_t len);

#endif
