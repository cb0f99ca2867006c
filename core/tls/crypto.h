/* tls/crypto.h — the few primitives that upper floors need and that must not be written twice: digest, randomness,
 * comparison in constant time, and the process-wide start of OpenSSL. */
#ifndef MOON_TLS_CRYPTO_H
#define MOON_TLS_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Once per process, before threads start; later calls do nothing. Ignores OpenSSL's configuration file and
 * environment. */
void moon_crypto_init(void);
void moon_sha256(unsigned char digest[32], struct moon_str data);
/* From the CSPRNG; aborts when there is no entropy. */
void moon_random(void *room, size_t size);
bool moon_equal_constant_time(const void *a, const void *b, size_t size);

/* Authenticated encryption: AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce in front and the 128-bit tag behind.
 * `context` says what the secret belongs to; it is authenticated, not stored, and must be the same at opening. One key
 * seals far fewer than the 2^32 texts that random nonces are good for. */
#define MOON_SEAL_KEY 32
#define MOON_SEAL_OVERHEAD 28 /* nonce and tag: a sealed text is that much longer */
/* Any thread. `out` has room for plain.len + MOON_SEAL_OVERHEAD bytes. */
void moon_seal(unsigned char *out, const unsigned char key[MOON_SEAL_KEY], struct moon_str plain,
               struct moon_str context);
/* Any thread. `out` has room for sealed.len - MOON_SEAL_OVERHEAD bytes. False when key or context are others, or a byte
 * was changed; then `out` holds nothing of the secret. */
bool moon_open(unsigned char *out, const unsigned char key[MOON_SEAL_KEY], struct moon_str sealed,
               struct moon_str context);
/* Overwrites memory that held a secret, also where the compiler sees no later use. */
void moon_wipe(void *data, size_t size);

/* For this floor: OpenSSL keeps its errors in a queue per thread. The first returns the reason of the newest one
 * ("unknown reason" when there is none, never NULL, constant) and empties the queue; the second only empties it. */
const char *moon_crypto_error(void);
void moon_crypto_forget_errors(void);

/* For this floor: a certificate's time (ASN1_TIME) as UNIX seconds. False when the calendar has no such time. */
struct asn1_string_st;
bool moon_crypto_seconds(const struct asn1_string_st *time, int64_t *seconds);

#endif
