#include "http/normalise.h"

static bool is_unreserved(int c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

/* The byte that an escape at `at` stands for; -1 when there is none. */
static int escaped_byte(struct moon_str path, size_t at) {
    if (at + 2 >= path.len)
        return -1;
    int high = moon_hex_digit(path.data[at + 1]), low = moon_hex_digit(path.data[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool moon_http_path_is_normal(struct moon_str path) {
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] == '%')
            return false;
        if (path.data[i] == '.' && i > 0 && path.data[i - 1] == '/') {
            size_t next = i + 1;
            if (next < path.len && path.data[next] == '.')
                next++;
            if (next == path.len || path.data[next] == '/')
                return false;
        }
    }
    return true;
}

/* Decodes and upper-cases; returns the length. */
static size_t decode(char *out, struct moon_str path) {
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] != '%') {
            out[len++] = path.data[i];
            continue;
        }
        int byte = escaped_byte(path, i);
        if (byte >= 0)
            i += 2;
        else
            byte = '%';
        if (is_unreserved(byte)) {
            out[len++] = (char)byte;
        } else {
            out[len++] = '%';
            out[len++] = digits[byte >> 4];
            out[len++] = digits[byte & 15];
        }
    }
    return len;
}

/* RFC 3986 section 5.2.4 in place: what is kept only ever moves to the front. */
static size_t remove_dot_segments(char *path, size_t len) {
    size_t kept = 0, i = 0;
    while (i < len) {
        size_t end = i + 1; /* of the segment that begins with the slash at i */
        while (end < len && path[end] != '/')
            end++;
        size_t size = end - i;
        bool last = end == len;
        if (size == 2 && path[i + 1] == '.') {
            if (last)
                path[kept++] = '/';
        } else if (size == 3 && path[i + 1] == '.' && path[i + 2] == '.') {
            while (kept > 0 && path[--kept] != '/')
                ;
            if (last)
                path[kept++] = '/';
        } else {
            memmove(path + kept, path + i, size);
            kept += size;
        }
        i = end;
    }
    if (!kept)
        path[kept++] = '/';
    return kept;
}

size_t moon_http_normalise_path(char *out, struct moon_str path) {
    size_t len = decode(out, path);
    return len && out[0] == '/' ? remove_dot_segments(out, len) : len;
}
