/* net/text_lookup.h — the TXT records of a name, asked of a resolver on a thread of the loop's pool. The loop's thread; the
 * answer comes on it too. Nobody waits longer than some ten seconds: two tries of a resolver that stays silent. */
#ifndef MOON_NET_TEXT_LOOKUP_H
#define MOON_NET_TEXT_LOOKUP_H

#include <uv.h>

#include "base/str.h"
#include "net/address.h"

#define MOON_TEXT_BYTES 4096 /* of all records together; what is beyond is left out, whole records at a time */

struct moon_text_lookup;

/* Called once, last, and never from within begin. The lookup may be freed in it. */
typedef void (*moon_text_lookup_fn)(void *data);

/* Copies `name`. `server`: an IPv4 resolver with its port, copied; NULL: those of the system. */
struct moon_text_lookup *moon_text_lookup_begin(uv_loop_t *loop, struct moon_str name,
                                                const struct moon_address *server, moon_text_lookup_fn done,
                                                void *data);
/* Ends it, whatever its state; `done` is not called any more. What is under way keeps the loop running until it is over.
 * Clears; NULL inside is fine. */
void moon_text_lookup_free(struct moon_text_lookup **lookup);

/* Of one that is done. The records, a line each (control characters in them are "?"); empty when there are none.
 * Borrowed. */
struct moon_str moon_text_lookup_lines(const struct moon_text_lookup *lookup);
/* Why there is no answer; NULL when there is one, be it empty. */
const char *moon_text_lookup_failure(const struct moon_text_lookup *lookup);

/* The records of a DNS message, as moon_text_lookup_lines has them; `room` has MOON_TEXT_BYTES. Returns their length, or -1
 * for a message that cannot be read. For specs and the lookup itself. */
int moon_text_records_read(char *room, struct moon_str message);

#endif
