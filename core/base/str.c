#include "base/str.h"

int moon_hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool moon_bytes_equal_nocase(const char *a, const char *b, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (moon_lower(a[i]) != moon_lower(b[i]))
            return false;
    return true;
}

bool moon_str_starts_with(struct moon_str text, struct moon_str prefix) {
    return text.len >= prefix.len && (prefix.len == 0 || memcmp(text.data, prefix.data, prefix.len) == 0);
}

bool moon_str_ends_with(struct moon_str text, struct moon_str suffix) {
    return text.len >= suffix.len &&
           (suffix.len == 0 || memcmp(text.data + text.len - suffix.len, suffix.data, suffix.len) == 0);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

struct moon_str moon_str_trim(struct moon_str text) {
    while (text.len && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

bool moon_str_next_element(struct moon_str *list, struct moon_str *element) {
    while (list->len) {
        const char *comma = memchr(list->data, ',', list->len);
        size_t taken = comma ? (size_t)(comma - list->data) : list->len;
        *element = moon_str_trim(moon_str(list->data, taken));
        size_t step = comma ? taken + 1 : taken;
        list->data += step;
        list->len -= step;
        if (element->len)
            return true;
    }
    return false;
}

bool moon_str_to_uint63(struct moon_str text, uint64_t *value) {
    uint64_t sum = 0;
    if (!text.len)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!moon_is_digit(text.data[i]))
            return false;
        unsigned digit = (unsigned)(text.data[i] - '0');
        if (sum > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

void moon_hex_write(char *out, const unsigned char *bytes, size_t len, bool upper) {
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = 0;
}

uint64_t moon_hash(struct moon_str text) {
    uint64_t hash = 14695981039346656037ull;
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * 1099511628211ull;
    return hash;
}
