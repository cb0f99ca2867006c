/* load/histogram.h — times in microseconds, counted in steps of at most 1.6 %: exact below 64 µs, then 64 steps to each
 * doubling. One per thread, merged when the threads are gone. */
#ifndef MOON_LOAD_HISTOGRAM_H
#define MOON_LOAD_HISTOGRAM_H

#include <stdint.h>

#define MOON_LOAD_STEPS 64
#define MOON_LOAD_BUCKETS (MOON_LOAD_STEPS * 27) /* up to 2^32 µs */

struct moon_load_histogram {
    uint64_t total;
    uint64_t buckets[MOON_LOAD_BUCKETS];
};

void moon_load_histogram_add(struct moon_load_histogram *histogram, uint64_t us);
void moon_load_histogram_merge(struct moon_load_histogram *into, const struct moon_load_histogram *from);

/* The time that `share` (0 to 1) of the entries do not exceed; 0 when there are none. */
uint64_t moon_load_histogram_at(const struct moon_load_histogram *histogram, double share);

#endif
