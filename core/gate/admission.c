#include "gate/admission.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/crypto.h"

/* On the admin listener. */
#define CONTROL_CONNECTIONS 256

/* Open addressing; a slot with count 0 is free. Grows so that it stays at most half full: as many slots as there can be
 * addresses, that is connections. Seeded, because strangers choose the keys. */
struct slot {
    uint64_t key;
    unsigned count;
};

struct moon_admission {
    struct slot *slots;
    size_t mask;
    size_t used;
    uint64_t seed;
};

/* The address as 64 bits: IPv4 whole, IPv6 its /64. Never 0. */
static uint64_t key_of(const struct moon_address *peer) {
    unsigned char bytes[16];
    uint64_t key = 0;
    if (moon_address_ip(peer, bytes) == 4) {
        memcpy(&key, bytes, 4);
        return key | 0xffffULL << 48;
    }
    memcpy(&key, bytes, 8);
    return key ? key : 1;
}

static size_t slot_for(const struct moon_admission *admission, uint64_t key) {
    uint64_t mixed = (key ^ admission->seed) * 0x9e3779b97f4a7c15ULL;
    mixed ^= mixed >> 32;
    return (size_t)mixed & admission->mask;
}

static struct slot *find(struct moon_admission *admission, uint64_t key) {
    size_t i = slot_for(admission, key);
    while (admission->slots[i].count && admission->slots[i].key != key)
        i = (i + 1) & admission->mask;
    return &admission->slots[i];
}

static void grow(struct moon_admission *admission) {
    struct slot *old = admission->slots;
    size_t size = admission->mask + 1;
    admission->mask = size * 2 - 1;
    admission->slots = moon_alloc(size * 2 * sizeof *admission->slots);
    for (size_t i = 0; i < size; i++)
        if (old[i].count)
            *find(admission, old[i].key) = old[i];
    free(old);
}

/* Takes a slot out and moves back those that were pushed behind it. */
static void remove_slot(struct moon_admission *admission, struct slot *slot) {
    size_t hole = (size_t)(slot - admission->slots);
    size_t i = hole;
    admission->used--;
    for (;;) {
        i = (i + 1) & admission->mask;
        if (!admission->slots[i].count)
            break;
        size_t home = slot_for(admission, admission->slots[i].key);
        if (((i - home) & admission->mask) >= ((i - hole) & admission->mask)) {
            admission->slots[hole] = admission->slots[i];
            hole = i;
        }
    }
    admission->slots[hole].count = 0;
}

void moon_admission_init(struct moon_worker *worker) {
    struct moon_admission *admission = moon_new(struct moon_admission);
    admission->mask = 255;
    admission->slots = moon_alloc(256 * sizeof *admission->slots);
    moon_random(&admission->seed, sizeof admission->seed);
    worker->admission = admission;
}

void moon_admission_deinit(struct moon_worker *worker) {
    if (worker->admission)
        free(worker->admission->slots);
    free(worker->admission);
    worker->admission = NULL;
}

enum moon_admitted moon_admission_enter(struct moon_worker *worker, const struct moon_address *peer) {
    struct moon_admission *admission = worker->admission;
    const struct moon_limits *limits = &worker->options->limits;
    unsigned *total = moon_gateway_connections(worker->gateway);
    if (worker->is_control)
        return worker->conn_count < CONTROL_CONNECTIONS ? MOON_ADMITTED : MOON_ADMITTED_FULL;
    uint64_t key = key_of(peer);
    struct slot *slot = find(admission, key);
    if (slot->count >= limits->connections_per_address)
        return MOON_ADMITTED_NOT;
    if (__atomic_add_fetch(total, 1, __ATOMIC_RELAXED) > limits->connections) {
        __atomic_sub_fetch(total, 1, __ATOMIC_RELAXED);
        return MOON_ADMITTED_FULL;
    }
    if (!slot->count) {
        if (++admission->used * 2 > admission->mask) {
            grow(admission);
            slot = find(admission, key);
        }
        slot->key = key;
    }
    slot->count++;
    return MOON_ADMITTED;
}

void moon_admission_leave(struct moon_worker *worker, const struct moon_address *peer) {
    struct moon_admission *admission = worker->admission;
    if (worker->is_control)
        return;
    struct slot *slot = find(admission, key_of(peer));
    moon_assert(slot->count > 0);
    __atomic_sub_fetch(moon_gateway_connections(worker->gateway), 1, __ATOMIC_RELAXED);
    if (slot->count == 1)
        remove_slot(admission, slot);
    else
        slot->count--;
}
