#include "tls/keyring.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "tls/crypto.h"

#define FILE_BYTES 4096
#define NAME_DIGITS 16 /* of a key: hex of the beginning of a hash, tells keys apart and nothing about them */
#define PREFIX MOON_STR("m1:")
#define KEY_BASE64 44 /* characters of one key */

struct key {
    unsigned char bytes[MOON_SEAL_KEY];
    char name[NAME_DIGITS + 1];
};

struct keys {
    unsigned count;
    struct key list[MOON_KEYRING_KEYS];
};

/* In pages of their own, which no core file gets. */
struct moon_keyring {
    struct keys keys;
    bool from_environment;
    struct timespec changed; /* of the file, when it was read */
    ino_t inode;
    char path[];
};

/* What was taken from the environment before threads began; read by every ring that is opened later. */
static char *taken;

void moon_keyring_take_environment(void) {
    char *value = secure_getenv(MOON_KEYRING_VARIABLE);
    if (!value)
        return;
    taken = moon_strdup(moon_str_of(value));
    moon_wipe(value, strlen(value));
    unsetenv(MOON_KEYRING_VARIABLE);
}

/* ---- keys ---- */

static void name_key(struct key *key) {
    static const char domain[] = "moongate key name";
    unsigned char text[sizeof domain + MOON_SEAL_KEY], digest[32];
    memcpy(text, domain, sizeof domain);
    memcpy(text + sizeof domain, key->bytes, MOON_SEAL_KEY);
    moon_sha256(digest, moon_str((char *)text, sizeof text));
    moon_hex_write(key->name, digest, NAME_DIGITS / 2, false);
    moon_wipe(text, sizeof text);
}

/* One key in base64. False when it is none. */
static bool read_key(struct key *key, struct moon_str text) {
    unsigned char room[KEY_BASE64 / 4 * 3 + 1];
    if (text.len != KEY_BASE64 || text.data[KEY_BASE64 - 1] != '=' || text.data[KEY_BASE64 - 2] == '=')
        return false;
    bool fine = EVP_DecodeBlock(room, (const unsigned char *)text.data, (int)text.len) == MOON_SEAL_KEY + 1;
    if (fine) {
        memcpy(key->bytes, room, MOON_SEAL_KEY);
        name_key(key);
    }
    moon_wipe(room, sizeof room);
    moon_crypto_forget_errors();
    return fine;
}

/* Keys with `separator` between; lines that begin with # and empty ones are passed over. */
static int read_keys(struct keys *keys, struct moon_str text, char separator, const char *where,
                     struct moon_diag *diag) {
    keys->count = 0;
    while (text.len) {
        const char *end = memchr(text.data, separator, text.len);
        size_t len = end ? (size_t)(end - text.data) : text.len;
        struct moon_str element = moon_str(text.data, len);
        len += end ? 1 : 0;
        text = moon_str(text.data + len, text.len - len);
        if (element.len && element.data[element.len - 1] == '\r')
            element.len--;
        element = moon_str_trim(element);
        if (!element.len || element.data[0] == '#')
            continue;
        if (keys->count == MOON_KEYRING_KEYS) {
            moon_diag_set(diag, where, "there are more than %d keys in it", MOON_KEYRING_KEYS);
            return MOON_EREFUSED;
        }
        if (!read_key(&keys->list[keys->count++], element)) {
            moon_diag_set(diag, where, "key %u is not the base64 text of 32 bytes", keys->count);
            return MOON_EREFUSED;
        }
    }
    if (!keys->count) {
        moon_diag_set(diag, where, "there is no key in it; one is the base64 text of 32 random bytes");
        return MOON_EREFUSED;
    }
    return 0;
}

/* ---- the file ---- */

static void note_file(struct moon_keyring *ring) {
    struct stat facts;
    if (stat(ring->path, &facts) == 0) {
        ring->changed = facts.st_mtim;
        ring->inode = facts.st_ino;
    }
}

static int write_file(struct moon_keyring *ring, const struct keys *keys, struct moon_diag *diag) {
    char text[FILE_BYTES];
    int len = snprintf(text, sizeof text,
                       "# Keys that private keys in the store are sealed with, the newest first. Keep a copy in a safe "
                       "place.\n");
    for (unsigned i = 0; i < keys->count; i++) {
        len += EVP_EncodeBlock((unsigned char *)text + len, keys->list[i].bytes, MOON_SEAL_KEY);
        text[len++] = '\n';
    }
    int rc = moon_file_replace(ring->path, moon_str(text, (size_t)len), 0600, diag);
    moon_wipe(text, sizeof text);
    if (!rc)
        note_file(ring);
    return rc;
}

static int read_file(struct moon_keyring *ring, struct keys *keys, bool *exists, struct moon_diag *diag) {
    struct moon_buf text;
    moon_buf_init(&text, FILE_BYTES);
    note_file(ring);
    int rc = moon_file_read(ring->path, true, &text, exists, diag);
    if (!rc && *exists)
        rc = read_keys(keys, moon_buf_view(&text), '\n', ring->path, diag);
    if (text.data)
        moon_wipe(text.data, text.capacity);
    moon_buf_free(&text);
    return rc;
}

static int make_key(struct moon_keyring *ring, struct moon_diag *diag) {
    ring->keys.count = 1;
    moon_random(ring->keys.list[0].bytes, MOON_SEAL_KEY);
    name_key(&ring->keys.list[0]);
    return write_file(ring, &ring->keys, diag);
}

/* Another process may have renewed the ring. What cannot be read now leaves us with the keys that we have. */
static void refresh(struct moon_keyring *ring) {
    struct stat facts;
    struct keys keys;
    bool exists;
    if (ring->from_environment || stat(ring->path, &facts) != 0)
        return;
    if (facts.st_ino == ring->inode && facts.st_mtim.tv_sec == ring->changed.tv_sec &&
        facts.st_mtim.tv_nsec == ring->changed.tv_nsec)
        return;
    if (read_file(ring, &keys, &exists, NULL) == 0 && exists)
        ring->keys = keys;
    moon_wipe(&keys, sizeof keys);
}

static size_t size_of(const struct moon_keyring *ring) {
    return sizeof *ring + strlen(ring->path) + 1;
}

int moon_keyring_open(struct moon_keyring **out, const char *path, bool may_make, struct moon_diag *diag) {
    const char *given = taken ? taken : secure_getenv(MOON_KEYRING_VARIABLE);
    size_t size = sizeof(struct moon_keyring) + strlen(path) + 1;
    struct moon_keyring *ring =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool exists = false;
    int rc;
    *out = NULL;
    moon_assert(ring != MAP_FAILED);
    madvise(ring, size, MADV_DONTDUMP); /* where the kernel cannot, the process says that it leaves no core file */
    strcpy(ring->path, path);
    ring->from_environment = given && given[0];
    if (ring->from_environment) {
        rc = read_keys(&ring->keys, moon_str_of(given), ',', MOON_KEYRING_VARIABLE, diag);
    } else {
        rc = read_file(ring, &ring->keys, &exists, diag);
        if (!rc && !exists && may_make) {
            rc = make_key(ring, diag);
        } else if (!rc && !exists) {
            moon_diag_set(diag, path,
                          "the key that the stored private keys are sealed with is missing; bring the file back, or "
                          "set %s",
                          MOON_KEYRING_VARIABLE);
            rc = MOON_EREFUSED;
        }
    }
    if (rc)
        moon_keyring_close(&ring);
    *out = ring;
    return rc;
}

void moon_keyring_close(struct moon_keyring **ring) {
    struct moon_keyring *gone = *ring;
    *ring = NULL;
    if (!gone)
        return;
    size_t size = size_of(gone);
    moon_wipe(gone, sizeof *gone);
    munmap(gone, size);
}

/* ---- sealing ---- */

int moon_keyring_seal(struct moon_keyring *ring, struct moon_buf *out, struct moon_str plain, struct moon_str context,
                      struct moon_diag *diag) {
    if (plain.len > MOON_SECRET_BYTES) {
        moon_diag_set(diag, "secrets", "a secret has at most %d bytes", MOON_SECRET_BYTES);
        return MOON_ETOOBIG;
    }
    refresh(ring);
    const struct key *key = &ring->keys.list[0];
    size_t size = plain.len + MOON_SEAL_OVERHEAD, text_size = (size + 2) / 3 * 4;
    unsigned char *sealed = moon_alloc(size);
    moon_seal(sealed, key->bytes, plain, context);
    int rc = moon_buf_printf(out, "%.*s%s:", (int)PREFIX.len, PREFIX.data, key->name);
    char *room = rc ? NULL : moon_buf_reserve(out, text_size + 1); /* OpenSSL writes a NUL behind */
    if (room) {
        EVP_EncodeBlock((unsigned char *)room, sealed, (int)size);
        moon_buf_commit(out, text_size);
    } else {
        moon_diag_set(diag, "secrets", "there is no room for a sealed secret");
        rc = MOON_ETOOBIG;
    }
    free(sealed);
    return rc;
}

/* "m1:" NAME ":" BASE64 → its parts; false when the text is none. */
static bool split(struct moon_str sealed, struct moon_str *name, struct moon_str *base64) {
    size_t head = PREFIX.len + NAME_DIGITS;
    if (sealed.len <= head + 1 || sealed.len > MOON_SEALED_BYTES || !moon_str_starts_with(sealed, PREFIX) ||
        sealed.data[head] != ':')
        return false;
    *name = moon_str(sealed.data + PREFIX.len, NAME_DIGITS);
    *base64 = moon_str(sealed.data + head + 1, sealed.len - head - 1);
    return base64->len % 4 == 0;
}

static const struct key *find(const struct moon_keyring *ring, struct moon_str name) {
    for (unsigned i = 0; i < ring->keys.count; i++)
        if (moon_str_equal(name, moon_str(ring->keys.list[i].name, NAME_DIGITS)))
            return &ring->keys.list[i];
    return NULL;
}

static bool unseal(const struct key *key, char *room, size_t *len, struct moon_str base64, struct moon_str context) {
    size_t padding = (size_t)(base64.data[base64.len - 1] == '=') + (size_t)(base64.data[base64.len - 2] == '=');
    unsigned char *bytes = moon_alloc(base64.len / 4 * 3 + 1);
    int decoded = EVP_DecodeBlock(bytes, (const unsigned char *)base64.data, (int)base64.len);
    size_t size = decoded > (int)padding ? (size_t)decoded - padding : 0;
    bool fine = size >= MOON_SEAL_OVERHEAD && size - MOON_SEAL_OVERHEAD <= MOON_SECRET_BYTES &&
                moon_open((unsigned char *)room, key->bytes, moon_str((char *)bytes, size), context);
    if (fine)
        *len = size - MOON_SEAL_OVERHEAD;
    free(bytes);
    moon_crypto_forget_errors();
    return fine;
}

int moon_keyring_unseal(struct moon_keyring *ring, char *room, size_t *len, struct moon_str sealed,
                        struct moon_str context, struct moon_diag *diag) {
    struct moon_str name, base64;
    *len = 0;
    if (!split(sealed, &name, &base64)) {
        moon_diag_set(diag, "secrets", "%.*s: this is not a sealed secret", (int)context.len, context.data);
        return MOON_EREFUSED;
    }
    if (!find(ring, name))
        refresh(ring);
    const struct key *key = find(ring, name);
    if (!key) {
        moon_diag_set(diag, "secrets",
                      "%.*s is sealed with the key %.*s, which is not among the keys given (%s); bring that key back",
                      (int)context.len, context.data, (int)name.len, name.data,
                      ring->from_environment ? MOON_KEYRING_VARIABLE : ring->path);
        return MOON_EREFUSED;
    }
    if (unseal(key, room, len, base64, context))
        return 0;
    moon_diag_set(diag, "secrets", "%.*s cannot be opened: it was changed, or belongs to something else",
                  (int)context.len, context.data);
    return MOON_EREFUSED;
}

bool moon_keyring_is_newest(struct moon_keyring *ring, struct moon_str sealed) {
    struct moon_str name, base64;
    refresh(ring);
    return split(sealed, &name, &base64) &&
           moon_str_equal(name, moon_str(ring->keys.list[0].name, NAME_DIGITS));
}

int moon_keyring_renew(struct moon_keyring *ring, bool *from_environment, struct moon_diag *diag) {
    struct keys next;
    *from_environment = ring->from_environment;
    if (ring->from_environment) {
        moon_diag_set(diag, MOON_KEYRING_VARIABLE,
                      "the keys come from the environment; put the new one in front there");
        return MOON_EREFUSED;
    }
    refresh(ring);
    next.count = ring->keys.count < MOON_KEYRING_KEYS ? ring->keys.count + 1 : MOON_KEYRING_KEYS;
    moon_random(next.list[0].bytes, MOON_SEAL_KEY);
    name_key(&next.list[0]);
    memcpy(&next.list[1], ring->keys.list, (next.count - 1) * sizeof next.list[0]);
    int rc = write_file(ring, &next, diag);
    if (!rc)
        ring->keys = next;
    moon_wipe(&next, sizeof next);
    return rc;
}
