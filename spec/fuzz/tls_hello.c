/* A ClientHello for its description: whatever is accepted has texts of their forms, the same each time. */
#include "fuzz.h"
#include "tls/crypto.h"
#include "tls/hello_trace.h"

static bool is_of(struct moon_str text, size_t len, const char *characters) {
    for (size_t i = 0; i < text.len; i++)
        if (!text.data[i] || !strchr(characters, text.data[i]))
            return false;
    return text.len == len;
}

static void check_ja4(struct moon_str text) {
    FUZZ_CHECK(text.len == 36 && text.data[0] == 't' && text.data[10] == '_' && text.data[23] == '_');
    FUZZ_CHECK(text.data[3] == 'd' || text.data[3] == 'i');
    FUZZ_CHECK(is_of(moon_str(text.data + 4, 4), 4, "0123456789"));
    FUZZ_CHECK(is_of(moon_str(text.data + 11, 12), 12, "0123456789abcdef"));
    FUZZ_CHECK(is_of(moon_str(text.data + 24, 12), 12, "0123456789abcdef"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    moon_crypto_init();
    struct moon_str message = fuzz_copy(moon_str((const char *)data, size));
    struct moon_hello_trace *trace = moon_hello_trace_new(message), *other = moon_hello_trace_new(message);
    free((void *)message.data); /* nothing of the message is needed afterwards */
    FUZZ_CHECK(!trace == !other);
    if (trace) {
        check_ja4(moon_hello_trace_ja4(trace));
        FUZZ_CHECK(moon_str_equal(moon_hello_trace_ja4(trace), moon_hello_trace_ja4(other)));
        FUZZ_CHECK(is_of(moon_hello_trace_ja3(trace), 32, "0123456789abcdef"));
        FUZZ_CHECK(is_of(moon_hello_trace_ciphers(trace), 28, base64));
        FUZZ_CHECK(is_of(moon_hello_trace_extensions(trace, false), 28, base64));
        FUZZ_CHECK(is_of(moon_hello_trace_extensions(trace, true), 28, base64));
    }
    moon_hello_trace_free(&trace);
    moon_hello_trace_free(&other);
    return 0;
}
