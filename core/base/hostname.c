#include "base/hostname.h"

#include <arpa/inet.h>

static bool is_label_byte(char c) {
    return (c >= 'a' && c <= 'z') || moon_is_digit(c) || c == '-' || c == '_';
}

static int normalise_ip_literal(char *out, struct moon_str name) {
    char text[INET6_ADDRSTRLEN + 1];
    unsigned char bytes[16];
    if (name.len < 4 || name.len - 2 >= sizeof text || name.data[name.len - 1] != ']')
        return -1;
    if (memchr(name.data, 0, name.len)) /* inet_pton would read up to it and call the rest an address */
        return -1;
    memcpy(text, name.data + 1, name.len - 2);
    text[name.len - 2] = 0;
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return -1;
    inet_ntop(AF_INET6, bytes, text, sizeof text);
    out[0] = '[';
    size_t len = strlen(text);
    memcpy(out + 1, text, len);
    out[len + 1] = ']';
    out[len + 2] = 0;
    return (int)len + 2;
}

int moon_hostname_normalise(char *out, struct moon_str name, bool allow_ip_literal) {
    if (name.len && name.data[0] == '[')
        return allow_ip_literal ? normalise_ip_literal(out, name) : -1;
    if (name.len && name.data[name.len - 1] == '.')
        name.len--;
    if (!name.len || name.len > MOON_HOSTNAME_MAX)
        return -1;
    size_t label = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = moon_lower(name.data[i]);
        if (c == '.') {
            if (!label)
                return -1;
            label = 0;
        } else if (!is_label_byte(c) || ++label > 63) {
            return -1;
        }
        out[i] = c;
    }
    if (!label)
        return -1;
    out[name.len] = 0;
    return (int)name.len;
}

bool moon_authority_split(struct moon_str authority, struct moon_str *host, unsigned *port) {
    size_t end = authority.len;
    *port = 0;
    if (authority.len && authority.data[0] == '[') {
        const char *close = memchr(authority.data, ']', authority.len);
        if (!close)
            return false;
        end = (size_t)(close - authority.data) + 1;
    } else {
        const char *colon = memchr(authority.data, ':', authority.len);
        if (colon)
            end = (size_t)(colon - authority.data);
    }
    *host = moon_str(authority.data, end);
    if (end == authority.len)
        return host->len > 0;
    if (authority.data[end] != ':')
        return false;
    struct moon_str digits = moon_str(authority.data + end + 1, authority.len - end - 1);
    uint64_t number = 0;
    if (digits.len && (digits.len > 5 || !moon_str_to_uint63(digits, &number) || number < 1 || number > 65535))
        return false;
    *port = (unsigned)number;
    return host->len > 0;
}
