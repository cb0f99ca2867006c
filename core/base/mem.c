#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

struct moon_arena_block {
    struct moon_arena_block *older;
    _Alignas(16) char bytes[];
};

__attribute__((noreturn, cold)) static void out_of_memory(size_t size) {
    fprintf(stderr, "moongate: out of memory (%zu bytes asked for)\n", size);
    abort();
}

void *moon_alloc(size_t size) {
    void *block = calloc(1, size ? size : 1);
    if (!block)
        out_of_memory(size);
    return block;
}

void *moon_realloc(void *block, size_t size) {
    void *moved = realloc(block, size ? size : 1);
    if (!moved)
        out_of_memory(size);
    return moved;
}

char *moon_strdup(struct moon_str text) {
    char *copy = moon_alloc(text.len + 1);
    if (text.len)
        memcpy(copy, text.data, text.len);
    return copy;
}

void moon_arena_init(struct moon_arena *arena, size_t ceiling) {
    arena->blocks = NULL;
    arena->next = arena->first;
    arena->left = sizeof arena->first;
    arena->total = 0;
    arena->ceiling = ceiling;
}

void *moon_arena_take(struct moon_arena *arena, size_t size) {
    size_t skew = (size_t)(-(intptr_t)arena->next & 15);
    if (size > arena->ceiling || arena->total > arena->ceiling - size)
        return NULL;
    if (arena->left < size + skew) {
        size_t room = size > 4096 ? size : 4096;
        struct moon_arena_block *block = malloc(sizeof *block + room);
        if (!block)
            out_of_memory(room);
        block->older = arena->blocks;
        arena->blocks = block;
        arena->next = block->bytes;
        arena->left = room;
        skew = 0;
    }
    void *taken = arena->next + skew;
    arena->next += skew + size;
    arena->left -= skew + size;
    arena->total += size;
    return taken;
}

struct moon_str moon_arena_copy(struct moon_arena *arena, struct moon_str text) {
    char *copy = moon_arena_take(arena, text.len + 1);
    if (!copy)
        return MOON_STR_NONE;
    if (text.len)
        memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    return moon_str(copy, text.len);
}

void moon_arena_reset(struct moon_arena *arena) {
    while (arena->blocks) {
        struct moon_arena_block *older = arena->blocks->older;
        free(arena->blocks);
        arena->blocks = older;
    }
    moon_arena_init(arena, arena->ceiling);
}
