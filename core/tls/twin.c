#include "tls/twin.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "tls/crypto.h"

/* (r, s) → (r, n-s), in DER; the caller frees it (OPENSSL_free). */
static int negate(unsigned char **out, const ASN1_BIT_STRING *signature, const EVP_PKEY *key) {
    const unsigned char *der = ASN1_STRING_get0_data(signature);
    ECDSA_SIG *given = d2i_ECDSA_SIG(NULL, &der, ASN1_STRING_length(signature));
    ECDSA_SIG *other = ECDSA_SIG_new();
    BIGNUM *order = NULL, *r = NULL, *s = BN_new();
    int len = -1;
    *out = NULL;
    if (!given || !other || !s || !EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_ORDER, &order) ||
        !(r = BN_dup(ECDSA_SIG_get0_r(given))) || !BN_sub(s, order, ECDSA_SIG_get0_s(given)))
        goto out;
    if (ECDSA_SIG_set0(other, r, s)) { /* has both now */
        r = s = NULL;
        len = i2d_ECDSA_SIG(other, out);
    }
out:
    BN_free(r);
    BN_free(s);
    BN_free(order);
    ECDSA_SIG_free(given);
    ECDSA_SIG_free(other);
    return len;
}

bool moon_twin_digest(unsigned char digest[32], const X509 *certificate, const X509 *issuer) {
    const EVP_PKEY *key = X509_get0_pubkey(issuer);
    const ASN1_BIT_STRING *signature = NULL;
    unsigned char *der = NULL;
    if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC)
        return false;
    X509 *copy = X509_dup(certificate);
    if (copy)
        X509_get0_signature(&signature, NULL, copy);
    int len = signature ? negate(&der, signature, key) : -1;
    /* The copy is ours alone; what is signed stays in it byte by byte. */
    bool made = len > 0 && ASN1_STRING_set((ASN1_BIT_STRING *)signature, der, len) &&
                X509_digest(copy, EVP_sha256(), digest, NULL) == 1;
    OPENSSL_free(der);
    X509_free(copy);
    moon_crypto_forget_errors();
    return made;
}
