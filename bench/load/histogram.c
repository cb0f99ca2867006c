#include "histogram.h"

static unsigned bucket_of(uint64_t us) {
    if (us < MOON_LOAD_STEPS)
        return (unsigned)us;
    if (us > UINT32_MAX)
        us = UINT32_MAX;
    unsigned doubling = 63u - (unsigned)__builtin_clzll(us) - 6u; /* 64 to 127: 0 */
    return (doubling + 1) * MOON_LOAD_STEPS + (unsigned)((us >> doubling) - MOON_LOAD_STEPS);
}

static uint64_t upper_end(unsigned bucket) {
    if (bucket < MOON_LOAD_STEPS)
        return bucket;
    unsigned doubling = bucket / MOON_LOAD_STEPS - 1;
    return (((uint64_t)(bucket % MOON_LOAD_STEPS + MOON_LOAD_STEPS) + 1) << doubling) - 1;
}

void moon_load_histogram_add(struct moon_load_histogram *histogram, uint64_t us) {
    histogram->total++;
    histogram->buckets[bucket_of(us)]++;
}

void moon_load_histogram_merge(struct moon_load_histogram *into, const struct moon_load_histogram *from) {
    into->total += from->total;
    for (unsigned i = 0; i < MOON_LOAD_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t moon_load_histogram_at(const struct moon_load_histogram *histogram, double share) {
    uint64_t wanted = (uint64_t)(share * (double)histogram->total);
    uint64_t seen = 0;
    for (unsigned i = 0; i < MOON_LOAD_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (histogram->buckets[i] && seen >= wanted)
            return upper_end(i);
    }
    return 0;
}
