#include "tls/verified.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

struct slot {
    unsigned char key[32];
    int64_t until; /* 0: free */
    struct moon_verification found;
};

struct moon_verified {
    EVP_MD_CTX *digest;
    EVP_MD *sha256;
    struct slot slots[MOON_VERIFIED_SLOTS];
};

struct moon_verified *moon_verified_new(void) {
    struct moon_verified *verified = moon_new(struct moon_verified);
    verified->digest = EVP_MD_CTX_new();
    verified->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    moon_assert(verified->digest && verified->sha256);
    return verified;
}

void moon_verified_free(struct moon_verified **pointer) {
    struct moon_verified *verified = *pointer;
    *pointer = NULL;
    if (!verified)
        return;
    EVP_MD_CTX_free(verified->digest);
    EVP_MD_free(verified->sha256);
    free(verified);
}

/* Each certificate with its length in front, so that no two lists of certificates read alike. */
static bool add(struct moon_verified *verified, const X509 *certificate) {
    unsigned char *der = NULL;
    int len = i2d_X509((X509 *)certificate, &der);
    uint64_t size = len > 0 ? (uint64_t)len : 0;
    bool ok = len > 0 && EVP_DigestUpdate(verified->digest, &size, sizeof size) &&
              EVP_DigestUpdate(verified->digest, der, (size_t)len);
    OPENSSL_free(der);
    return ok;
}

static bool make_key(struct moon_verified *verified, const struct moon_trust *trust, const X509 *leaf,
                     const STACK_OF(X509) *chain, unsigned char key[32]) {
    bool ok = EVP_DigestInit_ex2(verified->digest, verified->sha256, NULL) &&
              EVP_DigestUpdate(verified->digest, moon_trust_revision(trust), MOON_TRUST_IDENTITY) &&
              add(verified, leaf);
    for (int i = 0; ok && i < sk_X509_num(chain); i++)
        ok = add(verified, sk_X509_value(chain, i));
    return ok && EVP_DigestFinal_ex(verified->digest, key, NULL);
}

void moon_verified_check(struct moon_verified *verified, const struct moon_trust *trust, X509 *leaf,
                         STACK_OF(X509) *chain, int64_t now, struct moon_verification *out) {
    unsigned char key[32];
    size_t index;
    if (!verified || !make_key(verified, trust, leaf, chain, key)) {
        moon_trust_verify(trust, leaf, chain, now, out);
        return;
    }
    memcpy(&index, key, sizeof index);
    struct slot *slot = &verified->slots[index % MOON_VERIFIED_SLOTS];
    if (slot->until > now && memcmp(slot->key, key, sizeof key) == 0 && now >= slot->found.not_before &&
        now < slot->found.not_after) {
        *out = slot->found;
        return;
    }
    moon_trust_verify(trust, leaf, chain, now, out);
    if (!out->ok)
        return;
    memcpy(slot->key, key, sizeof key);
    slot->found = *out;
    slot->until = now + MOON_VERIFIED_SECONDS;
}
