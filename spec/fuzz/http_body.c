/* A chunked body in pieces of any size; and what is read is framed again and read back. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    struct moon_str bytes = moon_str((const char *)data + 1, size - 1);
    size_t step = 1 + data[0] % 40;
    struct fuzz_body body = fuzz_check_body(MOON_HTTP_CHUNKED, 0, bytes, step);
    if (!body.code && body.reader.done) {
        struct moon_buf out;
        moon_buf_init(&out, 1 << 24);
        for (size_t at = 0; at < body.payload_len; at += step) {
            size_t len = body.payload_len - at < step ? body.payload_len - at : step;
            FUZZ_CHECK(moon_http_write_chunk(&out, moon_str(body.payload + at, len)) == 0);
        }
        FUZZ_CHECK(moon_http_write_last_chunk(&out) == 0);
        struct fuzz_body again = fuzz_read_body(MOON_HTTP_CHUNKED, 0, moon_buf_view(&out), out.len);
        FUZZ_CHECK(!again.code && again.reader.done && again.read == out.len);
        FUZZ_CHECK(
            moon_str_equal(moon_str(again.payload, again.payload_len), moon_str(body.payload, body.payload_len)));
        free(again.payload);
        moon_buf_free(&out);
    }
    free(body.payload);
    return 0;
}
