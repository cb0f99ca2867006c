/* base/mem.h — allocation and arenas. Our own small allocations do not return NULL: without memory the process cannot
 * keep its promises and aborts (the supervisor restarts it from the last good snapshot). Whatever a stranger can make
 * large has a ceiling of its own long before (base/buf.h). */
#ifndef MOON_BASE_MEM_H
#define MOON_BASE_MEM_H

#include <stddef.h>

#include "base/str.h"

/* Zeroed memory; aborts when there is none. Freed with free(). */
__attribute__((malloc, returns_nonnull)) void *moon_alloc(size_t size);
__attribute__((returns_nonnull)) void *moon_realloc(void *block, size_t size);
/* A NUL-terminated copy; the caller frees it. */
__attribute__((returns_nonnull)) char *moon_strdup(struct moon_str text);

#define moon_new(type) ((type *)moon_alloc(sizeof(type)))

/* An arena: many small pieces, one end. Not thread safe. The first block is inside the struct, so that a usual request
 * costs no allocation at all. */
#define MOON_ARENA_INLINE 2048

struct moon_arena_block;

struct moon_arena {
    struct moon_arena_block *blocks; /* newest first; only those on the heap */
    char *next;
    size_t left;
    size_t total;   /* bytes handed out since the last reset */
    size_t ceiling; /* moon_arena_take returns NULL beyond it */
    char first[MOON_ARENA_INLINE];
};

void moon_arena_init(struct moon_arena *arena, size_t ceiling);
/* Aligned to 16 bytes, not zeroed; NULL once the ceiling would be passed. Valid until reset. */
void *moon_arena_take(struct moon_arena *arena, size_t size);
/* A copy in the arena, NUL terminated beyond its length; {NULL,0} when the ceiling would be passed. */
struct moon_str moon_arena_copy(struct moon_arena *arena, struct moon_str text);
/* Gives everything back; the arena may be used again. Also its deinit. */
void moon_arena_reset(struct moon_arena *arena);

#endif
