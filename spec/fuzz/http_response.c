/* An origin's bytes: heads (interim ones too) and bodies, as the proxy reads them. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct moon_http_head head;
    struct moon_http_limits limits;
    moon_http_limits_init(&limits);
    if (size < 1)
        return 0;
    bool to_head = data[0] & 1;
    size_t step = 1 + (data[0] >> 3);
    if (data[0] & 2)
        limits = (struct moon_http_limits){.start_line = 40, .field = 30, .fields = 200, .field_count = 5};
    struct moon_str rest = moon_str((const char *)data + 1, size - 1);
    for (;;) {
        int length = fuzz_scan(rest, &limits, step);
        if (length <= 0)
            break;
        const char *reason = NULL;
        struct moon_str bytes = fuzz_copy(moon_str(rest.data, (size_t)length));
        int status = moon_http_parse_response(&head, bytes, &limits, to_head, &reason);
        FUZZ_CHECK(status == 0 ? !reason : reason && status == 502);
        if (status == 0) {
            fuzz_check_head(&head, bytes);
            FUZZ_CHECK(head.status >= 100 && head.status <= 999);
            bool bodiless = to_head || head.status < 200 || head.status == 204 || head.status == 304;
            FUZZ_CHECK(bodiless == (head.framing == MOON_HTTP_NO_BODY));
            FUZZ_CHECK(head.framing != MOON_HTTP_UNTIL_CLOSE || !head.keep_alive);
            FUZZ_CHECK(!head.upgrade_websocket || head.status == 101);
        }
        enum moon_http_framing framing = head.framing;
        uint64_t content_length = head.content_length;
        free((void *)bytes.data);
        if (status)
            break;
        rest = moon_str(rest.data + length, rest.len - (size_t)length);
        struct fuzz_body body = fuzz_check_body(framing, content_length, rest, step);
        free(body.payload);
        if (body.code || !body.reader.done)
            break;
        rest = moon_str(rest.data + body.read, rest.len - body.read);
    }
    return 0;
}
