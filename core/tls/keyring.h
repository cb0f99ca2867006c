/* tls/keyring.h — the keys that private keys are sealed with before they reach the store: a short ring, the newest
 * first. It comes from a file that only its owner can read (one base64 line per key, made at the first start), or
 * from the environment; never from the store and never from an argument. The newest key seals, every key opens. A
 * sealed secret is text: "m1:" the key's name ":" base64 of nonce, ciphertext and tag. Control thread only; whoever
 * opens a secret wipes it. */
#ifndef MOON_TLS_KEYRING_H
#define MOON_TLS_KEYRING_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

/* Base64 of one key, or of several with commas between, the newest first. */
#define MOON_KEYRING_VARIABLE "MOONGATE_SECRETS_KEY"

#define MOON_KEYRING_KEYS 4            /* the newest and three former ones */
#define MOON_SECRET_BYTES (64 * 1024)  /* of a secret before sealing: a PEM text as uploaded */
#define MOON_SEALED_BYTES (96 * 1024)  /* more than the longest sealed text */

struct moon_keyring;

/* Before threads start: takes the variable out of the environment, so that no child inherits it and no later reader
 * finds it. Without a call moon_keyring_open looks at the environment itself and leaves it alone. */
void moon_keyring_take_environment(void);

/* The variable goes before the file. With `may_make` a missing file is made with a fresh key; without, a missing file
 * is refused. MOON_EREFUSED or MOON_ESYSTEM with diag: where = the path or the variable's name; never a word of the
 * key. */
int moon_keyring_open(struct moon_keyring **out, const char *path, bool may_make, struct moon_diag *diag);
/* Wipes. Clears *ring; NULL inside is fine. */
void moon_keyring_close(struct moon_keyring **ring);

/* Appends the sealed form of `plain` to `out`. MOON_ETOOBIG with diag beyond MOON_SECRET_BYTES. */
int moon_keyring_seal(struct moon_keyring *ring, struct moon_buf *out, struct moon_str plain, struct moon_str context,
                      struct moon_diag *diag);
/* Opens a sealed text into `room` (MOON_SECRET_BYTES), *len bytes. MOON_EREFUSED with diag->where = "secrets" when no
 * key of the ring fits, when it belongs to another context, or when it is no sealed text. A file that was changed
 * since (by a rotation beside us) is read again first. The caller wipes `room` with moon_wipe. */
int moon_keyring_unseal(struct moon_keyring *ring, char *room, size_t *len, struct moon_str sealed,
                        struct moon_str context, struct moon_diag *diag);
/* Is this text sealed with the newest key? */
bool moon_keyring_is_newest(struct moon_keyring *ring, struct moon_str sealed);

/* Puts a fresh key in front and writes the file; the oldest one beyond MOON_KEYRING_KEYS goes. Refused for a ring
 * from the environment: there the operator puts the new key in front. *from_environment tells which it was. */
int moon_keyring_renew(struct moon_keyring *ring, bool *from_environment, struct moon_diag *diag);

#endif
