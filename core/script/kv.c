#include "script/kv.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "tls/crypto.h"

#define SHARDS 16
#define SLOTS 4096 /* per shard; entries of one slot are chained */

struct entry {
    struct moon_link slot;
    struct moon_link age; /* shard->ages, used last first */
    uint64_t hash;
    uint64_t expires; /* monotonic ms; 0: never */
    bool is_number;
    double number;
    size_t key_len;
    size_t len;
    char bytes[]; /* key, then text */
};

struct shard {
    pthread_mutex_t lock;
    struct moon_link slots[SLOTS];
    struct moon_link ages;
    size_t bytes;
};

struct moon_kv {
    size_t ceiling; /* per shard */
    uint64_t seed[2];
    struct shard shards[SHARDS];
};

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t rotate(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

#define ROUND                                                                                                          \
    do {                                                                                                               \
        v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);                                         \
        v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];                                                                  \
        v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];                                                                  \
        v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);                                         \
    } while (0)

/* SipHash-1-3, seeded: keys come from requests, and nobody outside may choose those of one slot. */
static uint64_t hash_of(const struct moon_kv *kv, const char *key, size_t len) {
    uint64_t v[4] = {kv->seed[0] ^ 0x736f6d6570736575, kv->seed[1] ^ 0x646f72616e646f6d,
                     kv->seed[0] ^ 0x6c7967656e657261, kv->seed[1] ^ 0x7465646279746573};
    uint64_t word;
    size_t at = 0;
    for (; at + 8 <= len; at += 8) {
        memcpy(&word, key + at, 8);
        v[3] ^= word;
        ROUND;
        v[0] ^= word;
    }
    word = (uint64_t)len << 56;
    for (size_t i = 0; at + i < len; i++)
        word |= (uint64_t)(unsigned char)key[at + i] << (8 * i);
    v[3] ^= word;
    ROUND;
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        ROUND;
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static size_t size_of(const struct entry *entry) {
    return sizeof *entry + entry->key_len + entry->len;
}

static void drop(struct shard *shard, struct entry *entry) {
    shard->bytes -= size_of(entry);
    moon_list_remove(&entry->slot);
    moon_list_remove(&entry->age);
    free(entry);
}

/* With the shard's lock held. An entry whose time has passed is dropped, not found. */
static struct entry *find(struct shard *shard, uint64_t hash, const char *key, size_t len, uint64_t now) {
    struct moon_link *slot = &shard->slots[hash / SHARDS % SLOTS];
    for (struct moon_link *link = slot->next; link != slot; link = link->next) {
        struct entry *entry = MOON_LINKED(link, struct entry, slot);
        if (entry->hash != hash || entry->key_len != len || memcmp(entry->bytes, key, len) != 0)
            continue;
        if (entry->expires && entry->expires <= now) {
            drop(shard, entry);
            return NULL;
        }
        moon_list_remove(&entry->age);
        moon_list_prepend(&shard->ages, &entry->age);
        return entry;
    }
    return NULL;
}

/* With the lock held. What was not used for longest goes until the new one fits. */
static struct entry *insert(struct moon_kv *kv, struct shard *shard, uint64_t hash, const char *key, size_t len,
                            const char *text, size_t text_len) {
    size_t size = sizeof(struct entry) + len + text_len;
    while (shard->bytes + size > kv->ceiling && !moon_list_is_empty(&shard->ages))
        drop(shard, MOON_LINKED(shard->ages.previous, struct entry, age));
    struct entry *entry = moon_alloc(size);
    entry->hash = hash;
    entry->key_len = len;
    entry->len = text_len;
    memcpy(entry->bytes, key, len);
    if (text_len)
        memcpy(entry->bytes + len, text, text_len);
    moon_list_init(&entry->slot);
    moon_list_init(&entry->age);
    moon_list_prepend(&shard->slots[hash / SHARDS % SLOTS], &entry->slot);
    moon_list_prepend(&shard->ages, &entry->age);
    shard->bytes += size;
    return entry;
}

bool moon_ffi_kv_get(struct moon_kv *kv, const char *key, size_t len, struct moon_kv_value *value, char *room) {
    uint64_t hash = hash_of(kv, key, len);
    struct shard *shard = &kv->shards[hash % SHARDS];
    pthread_mutex_lock(&shard->lock);
    const struct entry *entry = find(shard, hash, key, len, now_ms());
    if (entry) {
        value->is_number = entry->is_number;
        value->number = entry->number;
        value->len = entry->len;
        memcpy(room, entry->bytes + entry->key_len, entry->len);
    }
    pthread_mutex_unlock(&shard->lock);
    return entry != NULL;
}

bool moon_ffi_kv_set(struct moon_kv *kv, const char *key, size_t len, const char *text, size_t text_len, double number,
                     uint64_t expires_ms) {
    if (len > MOON_KV_KEY_MAX || text_len > MOON_KV_VALUE_MAX)
        return false;
    uint64_t hash = hash_of(kv, key, len), now = now_ms();
    struct shard *shard = &kv->shards[hash % SHARDS];
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = find(shard, hash, key, len, now);
    if (entry)
        drop(shard, entry);
    entry = insert(kv, shard, hash, key, len, text, text ? text_len : 0);
    entry->is_number = !text;
    entry->number = text ? 0 : number;
    entry->expires = expires_ms ? now + expires_ms : 0;
    pthread_mutex_unlock(&shard->lock);
    return true;
}

bool moon_ffi_kv_delete(struct moon_kv *kv, const char *key, size_t len) {
    uint64_t hash = hash_of(kv, key, len);
    struct shard *shard = &kv->shards[hash % SHARDS];
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = find(shard, hash, key, len, now_ms());
    if (entry)
        drop(shard, entry);
    pthread_mutex_unlock(&shard->lock);
    return entry != NULL;
}

int moon_ffi_kv_increase(struct moon_kv *kv, const char *key, size_t len, double by, uint64_t expires_ms, double *sum) {
    if (len > MOON_KV_KEY_MAX)
        return 2;
    uint64_t hash = hash_of(kv, key, len), now = now_ms();
    struct shard *shard = &kv->shards[hash % SHARDS];
    int rc = 0;
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = find(shard, hash, key, len, now);
    if (!entry) {
        entry = insert(kv, shard, hash, key, len, NULL, 0);
        entry->is_number = true;
        entry->expires = expires_ms ? now + expires_ms : 0;
    }
    if (entry->is_number)
        *sum = entry->number += by;
    else
        rc = 1;
    pthread_mutex_unlock(&shard->lock);
    return rc;
}

struct moon_kv *moon_kv_new(size_t bytes) {
    struct moon_kv *kv = moon_new(struct moon_kv);
    kv->ceiling = bytes / SHARDS;
    /* An entry of the largest size always finds room. */
    moon_assert(kv->ceiling > sizeof(struct entry) + MOON_KV_KEY_MAX + MOON_KV_VALUE_MAX);
    moon_random(kv->seed, sizeof kv->seed);
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &kv->shards[i];
        moon_assert(pthread_mutex_init(&shard->lock, NULL) == 0);
        moon_list_init(&shard->ages);
        for (int k = 0; k < SLOTS; k++)
            moon_list_init(&shard->slots[k]);
    }
    return kv;
}

void moon_kv_free(struct moon_kv **pointer) {
    struct moon_kv *kv = *pointer;
    *pointer = NULL;
    if (!kv)
        return;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &kv->shards[i];
        while (!moon_list_is_empty(&shard->ages))
            drop(shard, MOON_LINKED(shard->ages.next, struct entry, age));
        pthread_mutex_destroy(&shard->lock);
    }
    free(kv);
}

size_t moon_kv_bytes(struct moon_kv *kv) {
    size_t sum = 0;
    for (int i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&kv->shards[i].lock);
        sum += kv->shards[i].bytes;
        pthread_mutex_unlock(&kv->shards[i].lock);
    }
    return sum;
}
