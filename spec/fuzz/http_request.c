/* A client's bytes, as a connection reads them: scan, parse, target, body, and on to the next request. Checks what must
 * hold for every accepted request, and that writing it out and reading it again gives the same request. */
#include "fuzz.h"
#include "http/target.h"
#include "http/write.h"

static void check_target(const struct moon_http_head *head, bool tls, struct moon_str bytes) {
    struct moon_http_target target;
    const char *reason = NULL;
    int status = moon_http_read_target(&target, head, tls, &reason);
    FUZZ_CHECK(status == 0 ? !reason : reason && (status == 400 || status == 405));
    if (status)
        return;
    char again[MOON_HOSTNAME_MAX + 1];
    FUZZ_CHECK(target.host_len == strlen(target.host) && target.port <= 65535);
    FUZZ_CHECK(target.host_len || head->minor_version == 0);
    if (target.host_len) {
        int len = moon_hostname_normalise(again, moon_str(target.host, target.host_len), true);
        FUZZ_CHECK(len == (int)target.host_len && strcmp(again, target.host) == 0);
    }
    FUZZ_CHECK(target.uri.len && (target.uri.data[0] == '/' || moon_str_equal(target.uri, MOON_STR("*"))));
    FUZZ_CHECK(fuzz_is_inside(target.uri, bytes) || target.uri.len == 1);
    FUZZ_CHECK(target.path.data == target.uri.data && !memchr(target.path.data, '?', target.path.len));
    FUZZ_CHECK(target.path.len + (target.has_query ? target.query.len + 1 : 0) == target.uri.len);
}

static void check_rewritten(const struct moon_http_head *head, const struct moon_http_limits *limits) {
    static struct moon_http_head again;
    struct moon_buf out;
    const char *reason;
    moon_buf_init(&out, 1 << 20);
    FUZZ_CHECK(moon_http_write_request_line(&out, head->method, head->target) == 0);
    for (size_t i = 0; i < head->field_count; i++)
        FUZZ_CHECK(moon_http_write_field(&out, head->fields[i].name, head->fields[i].value) == 0);
    FUZZ_CHECK(moon_http_write_end(&out) == 0);
    struct moon_str bytes = moon_buf_view(&out);
    size_t scanned = 0;
    /* An added space after a colon may pass a limit; a missing Host may be a matter of the version. */
    if (head->minor_version == 1 && moon_http_scan(bytes, &scanned, limits) == (int)bytes.len) {
        FUZZ_CHECK(moon_http_parse_request(&again, bytes, limits, &reason) == 0);
        FUZZ_CHECK(again.field_count == head->field_count && again.framing == head->framing);
        FUZZ_CHECK(again.content_length == head->content_length && again.keep_alive == head->keep_alive);
        for (size_t i = 0; i < head->field_count; i++)
            FUZZ_CHECK(moon_str_equal(again.fields[i].value, head->fields[i].value));
    }
    moon_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct moon_http_head head;
    struct moon_http_limits limits;
    moon_http_limits_init(&limits);
    if (size < 1)
        return 0;
    bool tls = data[0] & 1;
    size_t step = 1 + (data[0] >> 3);
    if (data[0] & 2)
        limits = (struct moon_http_limits){.start_line = 40, .field = 30, .fields = 200, .field_count = 5};
    struct moon_str rest = moon_str((const char *)data + 1, size - 1);
    for (;;) {
        int length = fuzz_scan(rest, &limits, step);
        FUZZ_CHECK(length >= 0 || length == -400 || length == -414 || length == -431);
        if (length <= 0)
            break;
        const char *reason = NULL;
        struct moon_str bytes = fuzz_copy(moon_str(rest.data, (size_t)length));
        int status = moon_http_parse_request(&head, bytes, &limits, &reason);
        FUZZ_CHECK(status == 0 ? !reason : reason && status >= 400 && status <= 505);
        if (status == 0) {
            fuzz_check_head(&head, bytes);
            FUZZ_CHECK(head.framing != MOON_HTTP_UNTIL_CLOSE);
            check_target(&head, tls, bytes);
            check_rewritten(&head, &limits);
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
