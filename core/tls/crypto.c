#include "tls/crypto.h"

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"

/* What the environment could tell OpenSSL: which configuration and modules to load, which CAs to trust.
 * A gateway's trust must not depend on the shell that it was started from. */
static const char *const ignored_variables[] = {
    "OPENSSL_CONF", "OPENSSL_CONF_INCLUDE", "OPENSSL_MODULES", "OPENSSL_ENGINES", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "CTLOG_FILE",   "RANDFILE",
};

static void start(void) {
    for (size_t i = 0; i < MOON_COUNT(ignored_variables); i++)
        unsetenv(ignored_variables[i]);
    moon_assert(OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
                                     OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                                 NULL) == 1);
}

void moon_crypto_init(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    moon_assert(pthread_once(&once, start) == 0);
}

void moon_sha256(unsigned char digest[32], struct moon_str data) {
    moon_assert(EVP_Digest(data.data ? data.data : "", data.len, digest, NULL, EVP_sha256(), NULL) == 1);
}

void moon_random(void *room, size_t size) {
    unsigned char *at = room;
    while (size) { /* RAND_bytes counts in int */
        size_t step = size < 4096 ? size : 4096;
        moon_assert(RAND_bytes(at, (int)step) == 1);
        at += step;
        size -= step;
    }
}

bool moon_equal_constant_time(const void *a, const void *b, size_t size) {
    return CRYPTO_memcmp(a, b, size) == 0;
}

enum { NONCE = 12, TAG = 16 };
_Static_assert(NONCE + TAG == MOON_SEAL_OVERHEAD, "a sealed text is nonce, ciphertext, tag");

/* OpenSSL counts in int; whoever seals has a ceiling far below. */
static int length_of(struct moon_str text) {
    moon_assert(text.len < INT_MAX);
    return (int)text.len;
}

void moon_seal(unsigned char *out, const unsigned char key[MOON_SEAL_KEY], struct moon_str plain,
               struct moon_str context) {
    int written = 0;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    moon_random(out, NONCE);
    moon_assert(cipher && EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, out) == 1);
    if (context.len)
        moon_assert(EVP_EncryptUpdate(cipher, NULL, &written, (const unsigned char *)context.data,
                                      length_of(context)) == 1);
    if (plain.len)
        moon_assert(EVP_EncryptUpdate(cipher, out + NONCE, &written, (const unsigned char *)plain.data,
                                      length_of(plain)) == 1);
    moon_assert(EVP_EncryptFinal_ex(cipher, out + NONCE + plain.len, &written) == 1);
    moon_assert(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG, out + NONCE + plain.len) == 1);
    EVP_CIPHER_CTX_free(cipher);
}

bool moon_open(unsigned char *out, const unsigned char key[MOON_SEAL_KEY], struct moon_str sealed,
               struct moon_str context) {
    const unsigned char *at = (const unsigned char *)sealed.data;
    int written = 0;
    if (sealed.len < MOON_SEAL_OVERHEAD)
        return false;
    size_t len = sealed.len - MOON_SEAL_OVERHEAD;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    moon_assert(cipher && EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, at) == 1);
    if (context.len)
        moon_assert(EVP_DecryptUpdate(cipher, NULL, &written, (const unsigned char *)context.data,
                                      length_of(context)) == 1);
    if (len)
        moon_assert(EVP_DecryptUpdate(cipher, out, &written, at + NONCE, length_of(moon_str(NULL, len))) == 1);
    moon_assert(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)(at + NONCE + len)) == 1);
    bool genuine = EVP_DecryptFinal_ex(cipher, out + len, &written) == 1;
    EVP_CIPHER_CTX_free(cipher);
    if (!genuine) {
        OPENSSL_cleanse(out, len);
        ERR_clear_error();
    }
    return genuine;
}

void moon_wipe(void *data, size_t size) {
    OPENSSL_cleanse(data, size);
}

const char *moon_crypto_error(void) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return reason ? reason : "unknown reason";
}

void moon_crypto_forget_errors(void) {
    ERR_clear_error();
}

bool moon_crypto_seconds(const struct asn1_string_st *time, int64_t *seconds) {
    struct tm parts;
    if (!ASN1_TIME_to_tm(time, &parts))
        return false;
    *seconds = (int64_t)timegm(&parts);
    return true;
}
