/* base/word.h — eight bytes of a text looked at in one step, for loops that mostly find nothing. An answer "none" is
 * exact; an answer "some" is exact about the word, not about which byte. */
#ifndef MOON_BASE_WORD_H
#define MOON_BASE_WORD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MOON_WORD 8
#define MOON_WORD_ONES 0x0101010101010101ull
#define MOON_WORD_HIGHS 0x8080808080808080ull

/* MOON_WORD bytes from `text`. */
static inline uint64_t moon_word(const char *text) {
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return word;
}

/* Some byte is below `limit` (at most 0x80). */
static inline bool moon_word_has_below(uint64_t word, unsigned char limit) {
    return ((word - MOON_WORD_ONES * limit) & ~word & MOON_WORD_HIGHS) != 0;
}

static inline bool moon_word_has(uint64_t word, unsigned char byte) {
    return moon_word_has_below(word ^ (MOON_WORD_ONES * byte), 1);
}

/* Some byte is beyond ASCII. */
static inline bool moon_word_has_high(uint64_t word) {
    return (word & MOON_WORD_HIGHS) != 0;
}

#endif
