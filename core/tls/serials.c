#include "tls/serials.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/mem.h"

void moon_serials_deinit(struct moon_serials *serials) {
    free(serials->pool);
    free(serials->order);
    *serials = (struct moon_serials){0};
}

static void strip(const unsigned char **number, size_t *len) {
    while (*len && **number == 0) {
        (*number)++;
        (*len)--;
    }
}

static size_t grown(size_t room, size_t needed) {
    size_t size = room ? room : 64;
    while (size < needed)
        size *= 2;
    return size;
}

bool moon_serials_add(struct moon_serials *serials, const unsigned char *number, size_t len) {
    strip(&number, &len);
    if (len > MOON_SERIAL_BYTES || serials->len + len + 1 > UINT32_MAX)
        return false;
    if (serials->len + len + 1 > serials->room) {
        serials->room = grown(serials->room, serials->len + len + 1);
        serials->pool = moon_realloc(serials->pool, serials->room);
    }
    if (serials->count == serials->order_room) {
        serials->order_room = grown(serials->order_room, serials->count + 1);
        serials->order = moon_realloc(serials->order, serials->order_room * sizeof *serials->order);
    }
    serials->order[serials->count++] = (uint32_t)serials->len;
    serials->pool[serials->len++] = (unsigned char)len;
    if (len)
        memcpy(serials->pool + serials->len, number, len);
    serials->len += len;
    return true;
}

/* In hex two digits a byte, in decimal some more: beyond that no number fits. */
#define TEXT_MAX (3 * MOON_SERIAL_BYTES)

bool moon_serials_add_text(struct moon_serials *serials, struct moon_str text) {
    char digits[TEXT_MAX + 1];
    unsigned char number[TEXT_MAX];
    BIGNUM *value = NULL;
    bool hex = moon_str_starts_with(text, MOON_STR("0x"));
    if (hex)
        text = moon_str(text.data + 2, text.len - 2);
    if (!text.len || text.len > TEXT_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (hex ? moon_hex_digit(text.data[i]) < 0 : !moon_is_digit(text.data[i]))
            return false;
    memcpy(digits, text.data, text.len);
    digits[text.len] = 0;
    if (!(hex ? BN_hex2bn(&value, digits) : BN_dec2bn(&value, digits)))
        return false;
    bool added = BN_num_bytes(value) <= MOON_SERIAL_BYTES &&
                 moon_serials_add(serials, number, (size_t)BN_bn2bin(value, number));
    BN_free(value);
    return added;
}

static int compare(const unsigned char *a, size_t a_len, const unsigned char *b, size_t b_len) {
    if (a_len != b_len)
        return a_len < b_len ? -1 : 1;
    return a_len ? memcmp(a, b, a_len) : 0;
}

static int compare_entries(const void *a, const void *b, void *pool) {
    const unsigned char *left = (const unsigned char *)pool + *(const uint32_t *)a;
    const unsigned char *right = (const unsigned char *)pool + *(const uint32_t *)b;
    return compare(left + 1, left[0], right + 1, right[0]);
}

void moon_serials_seal(struct moon_serials *serials) {
    size_t kept = 0;
    if (!serials->count)
        return;
    qsort_r(serials->order, serials->count, sizeof *serials->order, compare_entries, serials->pool);
    for (size_t i = 0; i < serials->count; i++)
        if (!kept || compare_entries(&serials->order[kept - 1], &serials->order[i], serials->pool) != 0)
            serials->order[kept++] = serials->order[i];
    serials->count = kept;
}

bool moon_serials_have(const struct moon_serials *serials, const unsigned char *number, size_t len) {
    size_t low = 0, high = serials->count;
    strip(&number, &len);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const unsigned char *entry = serials->pool + serials->order[middle];
        int order = compare(number, len, entry + 1, entry[0]);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
