/* The one reading of a hostname: what it accepts is a fixed point, and looks like a name. */
#include "base/hostname.h"

#include "fuzz.h"

static void check_name(struct moon_str name, bool literal) {
    char out[MOON_HOSTNAME_MAX + 1], again[MOON_HOSTNAME_MAX + 1];
    int len = moon_hostname_normalise(out, name, literal);
    FUZZ_CHECK(len == -1 || (len > 0 && len <= MOON_HOSTNAME_MAX));
    if (len < 0)
        return;
    FUZZ_CHECK(strlen(out) == (size_t)len);
    FUZZ_CHECK(moon_hostname_normalise(again, moon_str(out, (size_t)len), literal) == len && !strcmp(out, again));
    FUZZ_CHECK(literal || out[0] != '[');
    FUZZ_CHECK(out[0] != '.' && out[len - 1] != '.' && !strstr(out, ".."));
    for (int i = 0; i < len; i++) {
        bool lower = (out[i] >= 'a' && out[i] <= 'z') || (out[i] >= '0' && out[i] <= '9');
        FUZZ_CHECK(lower || strchr(out[0] == '[' ? "[]:." : "-_.", out[i]));
    }
    if (out[0] != '[') /* nothing but case and one dot may differ */
        FUZZ_CHECK(moon_str_equal_nocase(moon_str(out, (size_t)len), moon_str(name.data, (size_t)len)) &&
                   name.len - (size_t)len <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct moon_str text = fuzz_copy(moon_str((const char *)data, size)), host;
    unsigned port;
    check_name(text, false);
    check_name(text, true);
    if (moon_authority_split(text, &host, &port)) {
        FUZZ_CHECK(host.len > 0 && host.data == text.data && host.len <= text.len && port <= 65535);
        FUZZ_CHECK(host.len == text.len || text.data[host.len] == ':');
        check_name(host, true);
    }
    free((void *)text.data);
    return 0;
}
