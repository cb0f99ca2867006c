/* tls/crypto.h — the few primitives that upper floors need and that must not be written twice: digest, randomness,
 * comparison in constant time, and the process-wide start of OpenSSL. */
#ifndef MOON_TLS_CRYPTO_H
#define MOON_TLS_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* Once per process, before threads start; later calls do nothing. Ignores OpenSSL's configuration file and environment. */
void moon_crypto_init(void);
void moon_sha256(unsigned char digest[32], struct moon_str data);
/* From the CSPRNG; aborts when there is no entropy. */
void moon_random(void *room, size_t size);
bool moon_equal_constant_time(const void *a, const void *b, size_t size);

#endif
