/* spec/fuzz/fuzz.h — what the fuzz targets share: a check that is always on, copies of exactly the needed size (so that
 * reading beyond an end is seen by ASan), and the properties that any scan, head and body must have. */
#ifndef MOON_FUZZ_H
#define MOON_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "http/body.h"
#include "http/chars.h"
#include "http/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: property broken: %s\n", __FILE__, __LINE__, #condition);                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The caller frees .data. */
static inline struct moon_str fuzz_copy(struct moon_str text) {
    char *copy = malloc(text.len ? text.len : 1);
    if (!copy)
        abort();
    if (text.len)
        memcpy(copy, text.data, text.len);
    return moon_str(copy, text.len);
}

static inline bool fuzz_is_inside(struct moon_str part, struct moon_str whole) {
    return !part.data || (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

/* Both scans, at once and in growing pieces of `step` bytes, say the same. */
static inline int fuzz_scan(struct moon_str bytes, const struct moon_http_limits *limits, size_t step) {
    size_t scanned = 0, portable = 0;
    int said = moon_http_scan(bytes, &scanned, limits);
    FUZZ_CHECK(moon_http_scan_portable(bytes, &portable, limits) == said);
    FUZZ_CHECK(said != 0 || scanned == portable);
    FUZZ_CHECK(said <= 0 || (size_t)said <= bytes.len);
    size_t grown = 0;
    int growing = 0;
    for (size_t len = 0; !growing && len < bytes.len;) {
        len = bytes.len - len > step ? len + step : bytes.len;
        struct moon_str piece = fuzz_copy(moon_str(bytes.data, len));
        growing = moon_http_scan(piece, &grown, limits);
        free((void *)piece.data);
    }
    FUZZ_CHECK(growing == said);
    return said;
}

/* What any accepted head keeps to. */
static inline void fuzz_check_head(const struct moon_http_head *head, struct moon_str bytes) {
    FUZZ_CHECK(head->minor_version <= 1 && head->field_count <= MOON_HTTP_FIELDS_MAX);
    FUZZ_CHECK(fuzz_is_inside(head->method, bytes) && fuzz_is_inside(head->target, bytes));
    FUZZ_CHECK(fuzz_is_inside(head->reason, bytes) && fuzz_is_inside(head->host, bytes));
    for (size_t i = 0; i < head->field_count; i++) {
        struct moon_str name = head->fields[i].name, value = head->fields[i].value;
        FUZZ_CHECK(name.len > 0 && fuzz_is_inside(name, bytes) && moon_http_are_chars(name, MOON_HTTP_TOKEN));
        FUZZ_CHECK(fuzz_is_inside(value, bytes) && moon_http_are_chars(value, MOON_HTTP_VALUE));
        struct moon_str trimmed = moon_str_trim(value);
        FUZZ_CHECK(trimmed.data == value.data && trimmed.len == value.len);
    }
    FUZZ_CHECK(head->framing == MOON_HTTP_LENGTH || head->content_length == 0);
    FUZZ_CHECK(head->content_length <= INT64_MAX);
}

struct fuzz_body {
    struct moon_http_body reader;
    char *payload; /* the caller frees it */
    size_t payload_len;
    size_t read; /* bytes of the input that belong to the body */
    int code;
};

/* Reads a body that arrives in pieces of at most `step` bytes. */
static inline struct fuzz_body fuzz_read_body(enum moon_http_framing framing, uint64_t length, struct moon_str bytes,
                                              size_t step) {
    struct fuzz_body body = {.payload = malloc(bytes.len ? bytes.len : 1)};
    if (!body.payload)
        abort();
    moon_http_body_init(&body.reader, framing, length);
    while (!body.code && !body.reader.done && body.read < bytes.len) {
        size_t len = bytes.len - body.read < step ? bytes.len - body.read : step;
        struct moon_str piece = fuzz_copy(moon_str(bytes.data + body.read, len));
        struct moon_str input = piece, payload;
        while (!body.code && !body.reader.done && input.len) {
            size_t before = input.len;
            body.code = moon_http_body_read(&body.reader, &input, &payload);
            FUZZ_CHECK(body.code == 0 || body.code == MOON_EBODY);
            FUZZ_CHECK(body.code || input.len < before);
            FUZZ_CHECK(fuzz_is_inside(payload, piece));
            FUZZ_CHECK(body.payload_len + payload.len <= bytes.len);
            if (payload.len)
                memcpy(body.payload + body.payload_len, payload.data, payload.len);
            body.payload_len += payload.len;
        }
        body.read += len - input.len;
        free((void *)piece.data);
    }
    FUZZ_CHECK(body.reader.payload == body.payload_len);
    return body;
}

/* The same body at once and in small pieces; returns the reading at once. */
static inline struct fuzz_body fuzz_check_body(enum moon_http_framing framing, uint64_t length, struct moon_str bytes,
                                               size_t step) {
    struct fuzz_body whole = fuzz_read_body(framing, length, bytes, bytes.len ? bytes.len : 1);
    struct fuzz_body pieces = fuzz_read_body(framing, length, bytes, step);
    FUZZ_CHECK(whole.code == pieces.code && whole.read == pieces.read);
    FUZZ_CHECK(whole.reader.done == pieces.reader.done);
    FUZZ_CHECK(
        moon_str_equal(moon_str(whole.payload, whole.payload_len), moon_str(pieces.payload, pieces.payload_len)));
    free(pieces.payload);
    return whole;
}

#endif
