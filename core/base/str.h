/* base/str.h — a borrowed view of bytes. Not NUL terminated, may hold any byte, owns nothing: whoever hands one out
 * says until when it is valid. Comparison without case is ASCII only, on purpose (protocol elements). */
#ifndef MOON_BASE_STR_H
#define MOON_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ffi: begin */
struct moon_str {
    const char *data;
    size_t len;
};
/* ffi: end */

#define MOON_STR(literal) ((struct moon_str){"" literal, sizeof(literal) - 1})
#define MOON_STR_NONE ((struct moon_str){NULL, 0})

static inline struct moon_str moon_str(const char *data, size_t len) {
    return (struct moon_str){data, len};
}

static inline struct moon_str moon_str_of(const char *text) {
    return (struct moon_str){text, text ? strlen(text) : 0};
}

static inline bool moon_str_equal(struct moon_str a, struct moon_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline char moon_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline bool moon_is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* -1 when `c` is no hex digit. */
int moon_hex_digit(char c);

bool moon_bytes_equal_nocase(const char *a, const char *b, size_t len);

/* Most comparisons end at the length. */
static inline bool moon_str_equal_nocase(struct moon_str a, struct moon_str b) {
    return a.len == b.len && moon_bytes_equal_nocase(a.data, b.data, a.len);
}
bool moon_str_starts_with(struct moon_str text, struct moon_str prefix);
bool moon_str_ends_with(struct moon_str text, struct moon_str suffix);

/* Without spaces and tabs at both ends. Borrows from `text`. */
struct moon_str moon_str_trim(struct moon_str text);

/* Takes the next comma-separated element off `*list` (RFC 9110 section 5.6.1), trimmed; empty elements are passed over.
 * False at the end. Borrows from `*list`. */
bool moon_str_next_element(struct moon_str *list, struct moon_str *element);

/* 1*DIGIT up to 2^63-1. False for anything else, an empty text included. */
bool moon_str_to_uint63(struct moon_str text, uint64_t *value);

/* Writes 2*len hex digits and a NUL. `out` has room for 2*len+1. */
void moon_hex_write(char *out, const unsigned char *bytes, size_t len, bool upper);

/* FNV-1a, 64 bit; for tables whose keys are not chosen by strangers. */
uint64_t moon_hash(struct moon_str text);

#endif
