/* script/kv.h — a small table of keys and values that all workers share: counters, sessions, caches of policy files. In
 * memory only, bounded: when a part of it is full, what was not used for longest makes room. Split into shards with a
 * lock each, held for one copy; requests that do not ask for it never come near. Time is monotonic. Any thread. */
#ifndef MOON_SCRIPT_KV_H
#define MOON_SCRIPT_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "script/ffi.h"

#define MOON_KV_KEY_MAX 512
#define MOON_KV_VALUE_MAX (64 * 1024)

/* ffi: begin */
struct moon_kv;

struct moon_kv_value {
    bool is_number;
    double number;
    size_t len; /* of the text, which is in the caller's room */
};

/* `room` has MOON_KV_VALUE_MAX bytes. False when there is no such key, or its time has passed. */
MOON_FFI bool moon_ffi_kv_get(struct moon_kv *kv, const char *key, size_t len, struct moon_kv_value *value, char *room);
/* Text when `text` is not NULL, else the number. `expires_ms` 0: never. False when key or value are too large: nothing
 * changes then. Copies. */
MOON_FFI bool moon_ffi_kv_set(struct moon_kv *kv, const char *key, size_t len, const char *text, size_t text_len,
                              double number, uint64_t expires_ms);
/* True when there was such a key. */
MOON_FFI bool moon_ffi_kv_delete(struct moon_kv *kv, const char *key, size_t len);
/* Adds to a number as one step and gives the sum; a key that is not there begins at 0 and lives `expires_ms` (0: for
 * good); of one that is there the time does not change. 0; 1 when the value is a text (nothing changes); 2 when the key
 * is too large. */
MOON_FFI int moon_ffi_kv_increase(struct moon_kv *kv, const char *key, size_t len, double by, uint64_t expires_ms,
                                  double *sum);
/* ffi: end */

/* `bytes`: what all entries together may take, their bookkeeping included. */
struct moon_kv *moon_kv_new(size_t bytes);
/* When no thread uses it any more; clears *kv; NULL inside is fine. */
void moon_kv_free(struct moon_kv **kv);
/* Bytes in use. */
size_t moon_kv_bytes(struct moon_kv *kv);

#endif
