#include "tls/peer.h"

#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/verified.h"

struct moon_peer {
    struct moon_verified *verified; /* borrowed; NULL: none */
    X509 *leaf;            /* NULL: nothing was presented */
    STACK_OF(X509) *chain; /* as sent */
    bool acceptable;       /* its names can be written down (tls/texts.h) */
    struct moon_trust *trust; /* of the last validation */
    struct moon_verification last;
    int64_t last_at; /* when that was */
    struct moon_texts *texts; /* NULL until somebody asks: many connections end before */
};

struct moon_peer *moon_peer_new(struct moon_verified *verified) {
    struct moon_peer *peer = moon_new(struct moon_peer);
    peer->verified = verified;
    return peer;
}

static void forget(struct moon_peer *peer) {
    moon_texts_free(&peer->texts); /* borrows the certificates */
    X509_free(peer->leaf);
    sk_X509_pop_free(peer->chain, X509_free);
    moon_trust_unref(&peer->trust);
    *peer = (struct moon_peer){.verified = peer->verified};
}

void moon_peer_free(struct moon_peer **peer) {
    struct moon_peer *gone = *peer;
    *peer = NULL;
    if (!gone)
        return;
    forget(gone);
    free(gone);
}

static void validate(struct moon_peer *peer, struct moon_trust *trust, int64_t now) {
    if (peer->trust != trust) {
        struct moon_trust *old = peer->trust;
        peer->trust = moon_trust_ref(trust);
        moon_trust_unref(&old);
    }
    moon_verified_check(peer->verified, trust, peer->leaf, peer->chain, now, &peer->last);
    if (peer->last.ok && !peer->acceptable)
        peer->last = (struct moon_verification){.error = X509_V_ERR_CERT_REJECTED};
    peer->last_at = now;
}

void moon_peer_present(struct moon_peer *peer, X509 *leaf, STACK_OF(X509) *chain, struct moon_trust *trust,
                       int64_t now) {
    moon_assert(leaf);
    forget(peer);
    moon_assert(X509_up_ref(leaf));
    peer->leaf = leaf;
    peer->chain = chain ? X509_chain_up_ref(chain) : NULL;
    peer->acceptable = moon_texts_possible(leaf);
    if (trust)
        validate(peer, trust, now);
}

static bool is_of_revision(const struct moon_peer *peer, const struct moon_trust *trust) {
    return peer->trust == trust ||
           (peer->trust &&
            memcmp(moon_trust_revision(peer->trust), moon_trust_revision(trust), MOON_TRUST_IDENTITY) == 0);
}

/* A success stands until its interval ends. A failure may be mended by time alone (not yet valid, or another branch
 * of a cross-signed chain becomes valid), so it stands for the second it was found in. */
static bool is_current(const struct moon_peer *peer, const struct moon_trust *trust, int64_t now) {
    if (!is_of_revision(peer, trust))
        return false;
    return peer->last.ok ? now >= peer->last.not_before && now < peer->last.not_after : now == peer->last_at;
}

void moon_peer_facts(struct moon_peer *peer, struct moon_trust *trust, int64_t now,
                     struct moon_certificate_facts *facts) {
    *facts = (struct moon_certificate_facts){0};
    if (!trust || !peer->leaf)
        return;
    if (!is_current(peer, trust, now))
        validate(peer, trust, now);
    facts->presented = true;
    facts->verified = peer->last.ok;
    facts->revoked = peer->last.ok && peer->last.revoked;
    facts->lacks_usage = peer->last.ok && peer->last.lacks_usage;
    facts->verify_error = peer->last.error;
    facts->peer = peer;
}

int64_t moon_peer_valid_until(const struct moon_peer *peer) {
    return peer->last.ok ? peer->last.not_after : INT64_MAX;
}

static struct moon_texts *texts_of(struct moon_peer *peer) {
    if (!peer->texts)
        peer->texts = moon_texts_new(peer->leaf, peer->chain);
    return peer->texts;
}

int moon_peer_text(struct moon_peer *peer, enum moon_certificate_text which, struct moon_str *out) {
    *out = MOON_STR("");
    if (!peer || !peer->leaf)
        return 0;
    bool has_path = peer->last.ok;
    return moon_texts_get(texts_of(peer), which, has_path ? &peer->last.issuer_serial : NULL,
                          has_path ? &peer->last.issuer_ski : NULL, out);
}

bool moon_peer_entry(struct moon_peer *peer, enum moon_certificate_list which, size_t index, struct moon_str *out) {
    return peer && peer->leaf && moon_texts_entry(texts_of(peer), which, index, out);
}

const char *moon_verify_error_text(int error) {
    return X509_verify_cert_error_string(error);
}
