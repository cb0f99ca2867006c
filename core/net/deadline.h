/* net/deadline.h — many deadlines on one timer. Moving a deadline later is one store: an entry stays in the slot it was put in
 * and is looked at again when that slot comes up. One clock per loop; the loop's thread only. Resolution: a quarter
 * second; a deadline is never early. Time is the loop's monotonic clock in milliseconds. */
#ifndef MOON_NET_DEADLINE_H
#define MOON_NET_DEADLINE_H

#include <stdint.h>
#include <uv.h>

#include "base/list.h"

#define MOON_CLOCK_SLOTS 256
#define MOON_CLOCK_TICK_MS 250

struct moon_deadline;
/* Called on the loop's thread; may set, clear and free any entry, this one included. */
typedef void (*moon_deadline_fn)(struct moon_deadline *deadline);

struct moon_deadline {
    struct moon_link link;
    moon_deadline_fn passed;
    uint64_t at;     /* loop time in ms; 0: off */
    unsigned linked; /* slot + 1; 0: in none */
};

struct moon_clock {
    uv_timer_t timer;
    uv_loop_t *loop;
    struct moon_link slots[MOON_CLOCK_SLOTS];
    uint64_t slot_time; /* loop time of the slot looked at last, in ticks */
};

void moon_clock_open(struct moon_clock *clock, uv_loop_t *loop);
/* The clock's memory is valid until the loop has run its closing callbacks. */
void moon_clock_close(struct moon_clock *clock);

static inline void moon_deadline_init(struct moon_deadline *deadline, moon_deadline_fn passed) {
    moon_list_init(&deadline->link);
    deadline->passed = passed;
    deadline->at = 0;
    deadline->linked = 0;
}
void moon_deadline_set(struct moon_clock *clock, struct moon_deadline *deadline, uint64_t after_ms);
/* Before the owner's memory goes away. */
void moon_deadline_clear(struct moon_deadline *deadline);

#endif
