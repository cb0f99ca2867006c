#include "tls/crypto.h"

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
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
