#include "tls/ciphers.h"

#include <stdio.h>

#include "base/check.h"

/* In the order in which a server of ours prefers them. DES-CBC3-SHA is a name of the API; OpenSSL as it is built
 * today does not have it, and passes over it. */
static const struct cipher {
    const char *name;
    const char *tls13; /* OpenSSL's name of a suite of TLS 1.3 */
    bool is_default;
} ciphers[] = {
    {"AEAD-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256", true},
    {"AEAD-AES256-GCM-SHA384", "TLS_AES_256_GCM_SHA384", true},
    {"AEAD-CHACHA20-POLY1305-SHA256", "TLS_CHACHA20_POLY1305_SHA256", true},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", NULL, true},
    {"ECDHE-RSA-AES128-GCM-SHA256", NULL, true},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", NULL, true},
    {"ECDHE-RSA-AES256-GCM-SHA384", NULL, true},
    {"ECDHE-ECDSA-CHACHA20-POLY1305", NULL, true},
    {"ECDHE-RSA-CHACHA20-POLY1305", NULL, true},
    {"ECDHE-ECDSA-AES128-SHA256", NULL, false},
    {"ECDHE-RSA-AES128-SHA256", NULL, false},
    {"ECDHE-ECDSA-AES256-SHA384", NULL, false},
    {"ECDHE-RSA-AES256-SHA384", NULL, false},
    {"ECDHE-ECDSA-AES128-SHA", NULL, false},
    {"ECDHE-RSA-AES128-SHA", NULL, false},
    {"ECDHE-RSA-AES256-SHA", NULL, false},
    {"AES128-GCM-SHA256", NULL, false},
    {"AES256-GCM-SHA384", NULL, false},
    {"AES128-SHA256", NULL, false},
    {"AES256-SHA256", NULL, false},
    {"AES128-SHA", NULL, false},
    {"AES256-SHA", NULL, false},
    {"DES-CBC3-SHA", NULL, false},
};

static void append(char *list, size_t room, const char *name) {
    size_t len = strlen(list);
    int more = snprintf(list + len, room - len, "%s%s", len ? ":" : "", name);
    moon_assert(more > 0 && (size_t)more < room - len);
}

static bool mark(bool wanted[MOON_COUNT(ciphers)], struct moon_str name) {
    for (size_t i = 0; i < MOON_COUNT(ciphers); i++) {
        if (!moon_str_equal(name, moon_str_of(ciphers[i].name)))
            continue;
        wanted[i] = true;
        return true;
    }
    return false;
}

int moon_tls_ciphers_read(struct moon_tls_ciphers *out, const struct moon_str *names, size_t count,
                          struct moon_diag *diag) {
    bool wanted[MOON_COUNT(ciphers)] = {false}, chooses_tls13 = false;
    *out = (struct moon_tls_ciphers){0};
    for (size_t i = 0; i < count; i++) {
        if (!mark(wanted, names[i])) {
            int shown = (int)(names[i].len < 64 ? names[i].len : 64);
            moon_diag_set(diag, "ciphers", "\"%.*s\" is no cipher suite that is known here", shown, names[i].data);
            return MOON_EREFUSED;
        }
    }
    for (size_t i = 0; i < MOON_COUNT(ciphers); i++)
        chooses_tls13 |= wanted[i] && ciphers[i].tls13;
    for (size_t i = 0; i < MOON_COUNT(ciphers); i++) {
        const struct cipher *cipher = &ciphers[i];
        bool is_default = cipher->is_default && (count == 0 || (cipher->tls13 && !chooses_tls13));
        if (!wanted[i] && !is_default)
            continue;
        if (cipher->tls13)
            append(out->tls13, sizeof out->tls13, cipher->tls13);
        else
            append(out->up_to_tls12, sizeof out->up_to_tls12, cipher->name);
    }
    return 0;
}

bool moon_tls_ciphers_need_rsa(const struct moon_str *names, size_t count) {
    bool rsa = false;
    for (size_t i = 0; i < count; i++) {
        if (moon_str_starts_with(names[i], MOON_STR("ECDHE-ECDSA-")))
            return false;
        rsa |= !moon_str_starts_with(names[i], MOON_STR("AEAD-"));
    }
    return rsa;
}
