#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"

void moon_buf_init(struct moon_buf *buf, size_t ceiling) {
    *buf = (struct moon_buf){.ceiling = ceiling};
}

void moon_buf_free(struct moon_buf *buf) {
    free(buf->data);
    moon_buf_init(buf, buf->ceiling);
}

char *moon_buf_reserve(struct moon_buf *buf, size_t size) {
    if (size > buf->ceiling || buf->len > buf->ceiling - size)
        return NULL;
    if (buf->capacity - buf->start - buf->len < size) {
        if (buf->start && buf->capacity - buf->len >= size && buf->start >= buf->len) {
            memmove(buf->data, buf->data + buf->start, buf->len); /* cheap: the gap is larger than what moves */
        } else {
            size_t capacity = buf->capacity ? buf->capacity : 1024;
            while (capacity < buf->len + size)
                capacity *= 2;
            if (capacity > buf->ceiling)
                capacity = buf->ceiling;
            char *moved = moon_realloc(NULL, capacity);
            if (buf->len)
                memcpy(moved, buf->data + buf->start, buf->len);
            free(buf->data);
            buf->data = moved;
            buf->capacity = capacity;
        }
        buf->start = 0;
    }
    return buf->data + buf->start + buf->len;
}

void moon_buf_commit(struct moon_buf *buf, size_t size) {
    moon_assert(buf->capacity - buf->start - buf->len >= size);
    buf->len += size;
}

int moon_buf_append(struct moon_buf *buf, const void *data, size_t len) {
    if (!len)
        return 0;
    char *room = moon_buf_reserve(buf, len);
    if (!room)
        return MOON_ETOOBIG;
    memcpy(room, data, len);
    buf->len += len;
    return 0;
}

int moon_buf_printf(struct moon_buf *buf, const char *format, ...) {
    char small[512];
    va_list args;
    va_start(args, format);
    int need = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    moon_assert(need >= 0);
    if ((size_t)need < sizeof small)
        return moon_buf_append(buf, small, (size_t)need);
    char *room = moon_buf_reserve(buf, (size_t)need + 1);
    if (!room)
        return MOON_ETOOBIG;
    va_start(args, format);
    vsnprintf(room, (size_t)need + 1, format, args);
    va_end(args);
    buf->len += (size_t)need;
    return 0;
}

void moon_buf_consume(struct moon_buf *buf, size_t len) {
    if (len >= buf->len) {
        moon_buf_clear(buf);
        return;
    }
    buf->start += len;
    buf->len -= len;
}
