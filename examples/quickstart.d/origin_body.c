#include "origin_body.h"

#include <string.h>

#define LINE_MAX_BYTES 1024

void origin_body_start(struct origin_body *body, bool chunked, uint64_t length) {
    memset(body, 0, sizeof(*body));
    body->left = chunked ? 0 : length;
    body->state = chunked ? BODY_SIZE : length ? BODY_LENGTH : BODY_DONE;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* A line that ends in CRLF: its length with the CRLF, or 0 when it is not complete yet. */
static size_t line_length(const char *data, size_t len) {
    const char *end = memmem(data, len, "\r\n", 2);
    return end ? (size_t)(end - data) + 2 : 0;
}

static size_t take_size(struct origin_body *body, const char *data, size_t len) {
    size_t line = line_length(data, len);
    if (!line) {
        if (len > LINE_MAX_BYTES) body->state = BODY_BAD;
        return 0;
    }
    uint64_t size = 0;
    size_t digits = 0;
    while (digits < line - 2 && digits < 16 && hex_digit(data[digits]) >= 0) {
        size = size << 4 | (uint64_t)hex_digit(data[digits]);
        digits++;
    }
    /* The gateway writes its own chunks: neither extensions nor anything else may follow the digits. */
    if (digits == 0 || digits != line - 2) {
        body->state = BODY_BAD;
        return 0;
    }
    body->left = size;
    body->state = size ? BODY_DATA : BODY_TRAILER;
    return line;
}

static size_t take_data(struct origin_body *body, size_t len) {
    size_t run = len < body->left ? len : (size_t)body->left;
    body->left -= run;
    body->seen += run;
    if (body->left == 0) body->state = body->state == BODY_LENGTH ? BODY_DONE : BODY_DATA_END;
    return run;
}

size_t origin_body_take(struct origin_body *body, const char *data, size_t len, const char **piece, size_t *piece_len) {
    size_t taken = 0;
    *piece = data;
    *piece_len = 0;
    if (len == 0) return 0;
    switch (body->state) {
        case BODY_LENGTH:
        case BODY_DATA:
            taken = take_data(body, len);
            *piece_len = taken;
            break;
        case BODY_SIZE:
            taken = take_size(body, data, len);
            break;
        case BODY_DATA_END:
            if (len < 2) break;
            if (memcmp(data, "\r\n", 2) != 0) {
                body->state = BODY_BAD;
                break;
            }
            body->state = BODY_SIZE;
            taken = 2;
            break;
        case BODY_TRAILER:
            taken = line_length(data, len);
            if (taken == 2) body->state = BODY_DONE;
            if (taken == 0 && len > LINE_MAX_BYTES) body->state = BODY_BAD;
            break;
        case BODY_DONE:
        case BODY_BAD:
            break;
    }
    return taken;
}
