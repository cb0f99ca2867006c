#include "tls/sessions.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "tls/hello.h"

#define SHARDS 64
#define ID_MAX SSL_MAX_SSL_SESSION_ID_LENGTH

struct entry {
    struct moon_link used;  /* shard->used: least recently used first */
    struct entry *next;     /* of the bucket */
    SSL_SESSION *session;   /* counted */
    unsigned char id[ID_MAX];
    unsigned id_len;
};

struct shard {
    pthread_mutex_t lock;
    struct moon_link used;
    struct entry **buckets;
    size_t mask;
    size_t count;
    size_t capacity;
};

struct moon_tls_sessions {
    struct shard shards[SHARDS];
};

/* Where a context and a connection keep their table (a connection's context changes with its server name), and a session the time
 * of the handshake that began its lineage. */
static int table_index, connection_index, birth_index;
static pthread_once_t indices_once = PTHREAD_ONCE_INIT;

static void make_indices(void) {
    table_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    connection_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    birth_index = SSL_SESSION_get_ex_new_index(0, NULL, NULL, NULL, NULL); /* copied when a session is duplicated */
    moon_assert(table_index >= 0 && connection_index >= 0 && birth_index >= 0);
}

/* Ids are random (ours, from the CSPRNG), but a look-up may come with anything: only equality counts. */
static uint64_t mix(const unsigned char *id, unsigned len) {
    uint64_t value = 0;
    memcpy(&value, id, len < sizeof value ? len : sizeof value);
    return value;
}

static struct shard *shard_of(struct moon_tls_sessions *sessions, uint64_t hash) {
    return &sessions->shards[hash % SHARDS];
}

static struct entry **slot_of(struct shard *shard, uint64_t hash, const unsigned char *id, unsigned len) {
    struct entry **slot = &shard->buckets[(hash / SHARDS) & shard->mask];
    while (*slot && ((*slot)->id_len != len || memcmp((*slot)->id, id, len) != 0))
        slot = &(*slot)->next;
    return slot;
}

static void drop(struct shard *shard, struct entry **slot) {
    struct entry *entry = *slot;
    *slot = entry->next;
    moon_list_remove(&entry->used);
    shard->count--;
    SSL_SESSION_free(entry->session);
    free(entry);
}

static void drop_oldest(struct shard *shard) {
    struct entry *oldest = MOON_LINKED(shard->used.next, struct entry, used);
    drop(shard, slot_of(shard, mix(oldest->id, oldest->id_len), oldest->id, oldest->id_len));
}

/* A lineage ends a day after its handshake: resuming again and again must not keep an old proof alive. */
static bool may_live_on(SSL_SESSION *session) {
    intptr_t now = (intptr_t)time(NULL);
    intptr_t birth = (intptr_t)SSL_SESSION_get_ex_data(session, birth_index);
    if (!birth)
        return SSL_SESSION_set_ex_data(session, birth_index, (void *)now) == 1;
    return now - birth < MOON_TLS_LINEAGE_SECONDS;
}

/* OpenSSL has made a session that might be resumed. 1: the reference is ours now. */
static int on_new(SSL *ssl, SSL_SESSION *session) {
    struct moon_tls_sessions *sessions = SSL_get_ex_data(ssl, connection_index);
    const struct moon_tls_hello *hello = SSL_get_app_data(ssl);
    unsigned len;
    const unsigned char *id = SSL_SESSION_get_id(session, &len);
    if (!sessions || !hello || !hello->resumable || !len || len > ID_MAX || !may_live_on(session))
        return 0;
    uint64_t hash = mix(id, len);
    struct shard *shard = shard_of(sessions, hash);
    struct entry *entry = moon_new(struct entry);
    memcpy(entry->id, id, len);
    entry->id_len = len;
    entry->session = session;
    moon_list_init(&entry->used);
    pthread_mutex_lock(&shard->lock);
    struct entry **slot = slot_of(shard, hash, id, len);
    if (*slot)
        drop(shard, slot);
    else if (shard->count >= shard->capacity)
        drop_oldest(shard);
    slot = slot_of(shard, hash, id, len);
    *slot = entry;
    moon_list_append(&shard->used, &entry->used);
    shard->count++;
    pthread_mutex_unlock(&shard->lock);
    return 1;
}

static SSL_SESSION *on_get(SSL *ssl, const unsigned char *id, int id_len, int *copy) {
    struct moon_tls_sessions *sessions = SSL_get_ex_data(ssl, connection_index);
    const struct moon_tls_hello *hello = SSL_get_app_data(ssl);
    SSL_SESSION *found = NULL;
    *copy = 0; /* the reference is handed over */
    /* A name may have been closed to resumption since the session was made. */
    if (!sessions || !hello || !hello->resumable || id_len <= 0 || id_len > ID_MAX)
        return NULL;
    uint64_t hash = mix(id, (unsigned)id_len);
    struct shard *shard = shard_of(sessions, hash);
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = *slot_of(shard, hash, id, (unsigned)id_len);
    if (entry) {
        moon_assert(SSL_SESSION_up_ref(entry->session));
        found = entry->session;
        moon_list_remove(&entry->used);
        moon_list_append(&shard->used, &entry->used);
    }
    pthread_mutex_unlock(&shard->lock);
    return found;
}

/* A session that must not be used again (a fatal alert, or it is too old). */
static void on_remove(SSL_CTX *ctx, SSL_SESSION *session) {
    struct moon_tls_sessions *sessions = SSL_CTX_get_ex_data(ctx, table_index);
    unsigned len;
    const unsigned char *id = SSL_SESSION_get_id(session, &len);
    if (!sessions || !len || len > ID_MAX)
        return;
    uint64_t hash = mix(id, len);
    struct shard *shard = shard_of(sessions, hash);
    pthread_mutex_lock(&shard->lock);
    struct entry **slot = slot_of(shard, hash, id, len);
    if (*slot)
        drop(shard, slot);
    pthread_mutex_unlock(&shard->lock);
}

struct moon_tls_sessions *moon_tls_sessions_new(size_t capacity) {
    moon_assert(pthread_once(&indices_once, make_indices) == 0);
    struct moon_tls_sessions *sessions = moon_new(struct moon_tls_sessions);
    size_t each = (capacity + SHARDS - 1) / SHARDS;
    size_t buckets = 16;
    while (buckets < each)
        buckets *= 2;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &sessions->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        moon_list_init(&shard->used);
        shard->buckets = moon_alloc(buckets * sizeof *shard->buckets);
        shard->mask = buckets - 1;
        shard->capacity = each ? each : 1;
    }
    return sessions;
}

void moon_tls_sessions_free(struct moon_tls_sessions **pointer) {
    struct moon_tls_sessions *sessions = *pointer;
    *pointer = NULL;
    if (!sessions)
        return;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &sessions->shards[i];
        while (shard->count)
            drop_oldest(shard);
        free(shard->buckets);
        pthread_mutex_destroy(&shard->lock);
    }
    free(sessions);
}

void moon_tls_sessions_use(struct moon_tls_sessions *sessions, SSL_CTX *ctx) {
    moon_assert(SSL_CTX_set_ex_data(ctx, table_index, sessions));
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR);
    SSL_CTX_set_timeout(ctx, MOON_TLS_SESSION_SECONDS);
    SSL_CTX_sess_set_new_cb(ctx, on_new);
    SSL_CTX_sess_set_get_cb(ctx, on_get);
    SSL_CTX_sess_set_remove_cb(ctx, on_remove);
}

void moon_tls_sessions_attach(struct moon_tls_sessions *sessions, SSL *ssl) {
    moon_assert(SSL_set_ex_data(ssl, connection_index, sessions));
}

size_t moon_tls_sessions_count(struct moon_tls_sessions *sessions) {
    size_t sum = 0;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &sessions->shards[i];
        pthread_mutex_lock(&shard->lock);
        sum += shard->count;
        pthread_mutex_unlock(&shard->lock);
    }
    return sum;
}
