#include "tls/public_key.h"

#include <openssl/ec.h>
#include <openssl/objects.h>
#include <stdio.h>

/* The curve as it is named; NID_undef when the parameters are spelled out (which could be any curve). */
static int named_curve(X509_PUBKEY *key) {
    X509_ALGOR *algorithm = NULL;
    const void *parameter = NULL;
    int type = V_ASN1_UNDEF;
    if (!X509_PUBKEY_get0_param(NULL, NULL, NULL, &algorithm, key))
        return NID_undef;
    X509_ALGOR_get0(NULL, &type, &parameter, algorithm);
    return type == V_ASN1_OBJECT ? OBJ_obj2nid(parameter) : NID_undef;
}

bool moon_public_key_describe(char name[MOON_PUBLIC_KEY_NAME], X509_PUBKEY *public_key) {
    EVP_PKEY *key = X509_PUBKEY_get0(public_key);
    int bits = key ? EVP_PKEY_get_bits(key) : 0;
    int type = key ? EVP_PKEY_get_base_id(key) : NID_undef;
    if (type == EVP_PKEY_RSA) {
        snprintf(name, MOON_PUBLIC_KEY_NAME, "RSA %d", bits);
        return bits >= 2048 && bits <= 8192;
    }
    if (type == EVP_PKEY_EC) {
        int curve = named_curve(public_key);
        snprintf(name, MOON_PUBLIC_KEY_NAME, "EC %s", curve ? OBJ_nid2sn(curve) : "explicit parameters");
        return curve == NID_X9_62_prime256v1 || curve == NID_secp384r1 || curve == NID_secp521r1;
    }
    const char *known = OBJ_nid2sn(type);
    snprintf(name, MOON_PUBLIC_KEY_NAME, "%s", known ? known : "unknown");
    return false;
}
