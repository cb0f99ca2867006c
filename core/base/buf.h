/* base/buf.h — growable bytes, born with a ceiling. Appending beyond the ceiling changes nothing and returns
 * MOON_ETOOBIG. Consumed from the front without moving; the memory goes back with moon_buf_free. Not thread safe. */
#ifndef MOON_BASE_BUF_H
#define MOON_BASE_BUF_H

#include <stddef.h>

#include "base/str.h"

struct moon_buf {
    char *data; /* NULL while nothing was ever stored */
    size_t start;
    size_t len; /* bytes from data + start */
    size_t capacity;
    size_t ceiling;
};

void moon_buf_init(struct moon_buf *buf, size_t ceiling);
/* Gives the memory back; the buffer is empty and may be used again. */
void moon_buf_free(struct moon_buf *buf);

/* Room for at least `size` more bytes after the present ones: pointer to write to, or NULL beyond the ceiling.
 * What was written counts only after moon_buf_commit. The pointer is valid until the next call on `buf`. */
char *moon_buf_reserve(struct moon_buf *buf, size_t size);
void moon_buf_commit(struct moon_buf *buf, size_t size);

int moon_buf_append(struct moon_buf *buf, const void *data, size_t len);
static inline int moon_buf_append_str(struct moon_buf *buf, struct moon_str text) {
    return moon_buf_append(buf, text.data, text.len);
}
int moon_buf_printf(struct moon_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops `len` bytes from the front (at most all). */
void moon_buf_consume(struct moon_buf *buf, size_t len);
/* Keeps the memory. */
static inline void moon_buf_clear(struct moon_buf *buf) {
    buf->start = 0;
    buf->len = 0;
}

/* Borrows until the next call on `buf`. */
static inline struct moon_str moon_buf_view(const struct moon_buf *buf) {
    return moon_str(buf->data ? buf->data + buf->start : "", buf->len);
}

#endif
