#include "gate/forward_certificate.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"
#include "http/write.h"

/* A certificate that needs more is no use to an origin, whose own limits are lower. */
#define LINES_CEILING (64 * 1024)
#define PEM_LINE 64

/* Everything that the lines follow from, beside the certificate itself. Compared as bytes: zeroed before it is filled. */
struct state {
    unsigned families;
    bool presented;
    bool verified;
    bool revoked;
    unsigned char revision[MOON_TRUST_IDENTITY]; /* of the trust set: the issuer's values are the validated path's */
};

struct moon_forwarded_certificate {
    struct state state;
    struct moon_buf lines;
};

/* ---- the families ---- */

static struct moon_str text_of(const struct moon_certificate_facts *facts, enum moon_certificate_text which) {
    struct moon_str text = MOON_STR("");
    if (facts->presented)
        moon_peer_text(facts->peer, which, &text);
    return text;
}

/* A field without a value is left out. */
static int write_text(struct moon_buf *out, const char *name, struct moon_str value) {
    return value.len ? moon_http_write_field(out, moon_str_of(name), value) : 0;
}

/* The base64 inside the colons of RFC 9440; empty above its ceiling. */
static struct moon_str base64_of(const struct moon_certificate_facts *facts) {
    struct moon_str text = text_of(facts, MOON_CERTIFICATE_RFC9440);
    return text.len > 2 ? moon_str(text.data + 1, text.len - 2) : MOON_STR("");
}

static int write_cloudflare(struct moon_buf *out, const struct moon_certificate_facts *facts) {
    int rc = write_text(out, "Cf-Client-Cert-Der-Base64", base64_of(facts));
    if (rc == 0)
        rc = write_text(out, "Cf-Client-Cert-Sha256", text_of(facts, MOON_CERTIFICATE_FINGERPRINT_SHA256));
    return rc;
}

static int write_fields(struct moon_buf *out, const struct moon_certificate_facts *facts) {
    const struct {
        const char *name;
        bool value;
    } flags[] = {
        {"Cf-Cert-Revoked", facts->revoked},
        {"Cf-Cert-Verified", facts->verified},
        {"Cf-Cert-Presented", facts->presented},
    };
    static const struct {
        const char *name;
        enum moon_certificate_text which;
    } texts[] = {
        {"Cf-Cert-Issuer-Dn", MOON_CERTIFICATE_ISSUER_DN},
        {"Cf-Cert-Subject-Dn", MOON_CERTIFICATE_SUBJECT_DN},
        {"Cf-Cert-Issuer-Dn-Rfc2253", MOON_CERTIFICATE_ISSUER_DN},
        {"Cf-Cert-Subject-Dn-Rfc2253", MOON_CERTIFICATE_SUBJECT_DN},
        {"Cf-Cert-Issuer-Dn-Legacy", MOON_CERTIFICATE_ISSUER_DN_LEGACY},
        {"Cf-Cert-Subject-Dn-Legacy", MOON_CERTIFICATE_SUBJECT_DN_LEGACY},
        {"Cf-Cert-Issuer-Serial", MOON_CERTIFICATE_ISSUER_SERIAL},
        {"Cf-Cert-Fingerprint-Sha256", MOON_CERTIFICATE_FINGERPRINT_SHA256},
        {"Cf-Cert-Fingerprint-Sha1", MOON_CERTIFICATE_FINGERPRINT_SHA1},
        {"Cf-Cert-Not-Before", MOON_CERTIFICATE_NOT_BEFORE},
        {"Cf-Cert-Not-After", MOON_CERTIFICATE_NOT_AFTER},
        {"Cf-Cert-Ski", MOON_CERTIFICATE_SKI},
        {"Cf-Cert-Issuer-Ski", MOON_CERTIFICATE_ISSUER_SKI},
        {"Cf-Cert-Serial", MOON_CERTIFICATE_SERIAL},
    };
    int rc = 0;
    for (size_t i = 0; i < MOON_COUNT(flags) && rc == 0; i++)
        rc = write_text(out, flags[i].name, flags[i].value ? MOON_STR("true") : MOON_STR("false"));
    for (size_t i = 0; i < MOON_COUNT(texts) && rc == 0; i++)
        rc = write_text(out, texts[i].name, text_of(facts, texts[i].which));
    return rc;
}

/* RFC 9440: no chain without the certificate that it belongs to. */
static int write_rfc9440(struct moon_buf *out, const struct moon_certificate_facts *facts) {
    struct moon_str leaf = text_of(facts, MOON_CERTIFICATE_RFC9440);
    int rc = write_text(out, "Client-Cert", leaf);
    if (rc == 0 && leaf.len)
        rc = write_text(out, "Client-Cert-Chain", text_of(facts, MOON_CERTIFICATE_CHAIN_RFC9440));
    return rc;
}

/* ---- X-Forwarded-Client-Cert ---- */

/* A value that is put together of pieces; once one did not fit, nothing follows it. */
struct value {
    struct moon_buf text;
    int rc;
};

static void add(struct value *value, struct moon_str piece) {
    if (!value->rc)
        value->rc = moon_buf_append_str(&value->text, piece);
}

/* Base64 has three letters that are not unreserved (RFC 3986 section 2.3). */
static void add_encoded(struct value *value, struct moon_str base64) {
    for (size_t i = 0; i < base64.len; i++) {
        char c = base64.data[i];
        add(value, c == '+' ? MOON_STR("%2B") : c == '/' ? MOON_STR("%2F") : c == '=' ? MOON_STR("%3D") : moon_str(&c, 1));
    }
}

/* The PEM text, percent-encoded. */
static void add_pem(struct value *value, struct moon_str base64) {
    add(value, MOON_STR(";Cert=\"-----BEGIN%20CERTIFICATE-----%0A"));
    while (base64.len) {
        struct moon_str line = moon_str(base64.data, base64.len < PEM_LINE ? base64.len : PEM_LINE);
        add_encoded(value, line);
        add(value, MOON_STR("%0A"));
        base64.data += line.len;
        base64.len -= line.len;
    }
    add(value, MOON_STR("-----END%20CERTIFICATE-----%0A\""));
}

/* The text between two quotes. Inside, quotes and backslashes are written as RFC 4514 writes any byte, a backslash and two hex digits:
 * then no reader can mistake one of the text for the end of the value, not even one that knows nothing of escapes. */
static void add_quoted(struct value *value, struct moon_str text) {
    bool escaping = false;
    add(value, MOON_STR("\""));
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '"')
            add(value, escaping ? MOON_STR("22") : MOON_STR("\\22"));
        else if (c == '\\' && escaping)
            add(value, MOON_STR("5C"));
        else
            add(value, moon_str(&c, 1));
        escaping = c == '\\' && !escaping;
    }
    add(value, MOON_STR("\""));
}

static bool needs_quotes(struct moon_str text) {
    for (size_t i = 0; i < text.len; i++)
        if (strchr(",;=\" ", text.data[i])) /* there is no NUL in these texts */
            return true;
    return false;
}

static void add_names(struct value *value, const struct moon_certificate_facts *facts, struct moon_str key,
                      enum moon_certificate_list which) {
    struct moon_str entry;
    for (size_t i = 0; moon_peer_entry(facts->peer, which, i, &entry); i++) {
        add(value, key);
        if (needs_quotes(entry))
            add_quoted(value, entry);
        else
            add(value, entry);
    }
}

/* As Envoy writes it where it puts its own in place of what came: one element, for the client in front of us. */
static int write_xfcc(struct moon_buf *out, const struct moon_certificate_facts *facts) {
    struct moon_str base64 = base64_of(facts);
    struct value value = {.rc = 0};
    moon_buf_init(&value.text, LINES_CEILING);
    add(&value, MOON_STR("Hash="));
    add(&value, text_of(facts, MOON_CERTIFICATE_FINGERPRINT_SHA256));
    if (base64.len)
        add_pem(&value, base64);
    add(&value, MOON_STR(";Subject="));
    add_quoted(&value, text_of(facts, MOON_CERTIFICATE_SUBJECT_DN));
    add_names(&value, facts, MOON_STR(";URI="), MOON_CERTIFICATE_SAN_URI);
    add_names(&value, facts, MOON_STR(";DNS="), MOON_CERTIFICATE_SAN_DNS);
    int rc = value.rc;
    if (rc == 0)
        rc = moon_http_write_field(out, MOON_STR("X-Forwarded-Client-Cert"), moon_buf_view(&value.text));
    moon_buf_free(&value.text);
    return rc;
}

/* ---- all of them ---- */

static int write_lines(struct moon_buf *out, unsigned families, const struct moon_certificate_facts *facts) {
    bool trusted = facts->verified && !facts->revoked;
    int rc = 0;
    if (trusted && families & MOON_FORWARD_CLOUDFLARE)
        rc = write_cloudflare(out, facts);
    if (rc == 0 && families & MOON_FORWARD_FIELDS)
        rc = write_fields(out, facts);
    if (rc == 0 && trusted && families & MOON_FORWARD_RFC9440)
        rc = write_rfc9440(out, facts);
    if (rc == 0 && trusted && families & MOON_FORWARD_XFCC)
        rc = write_xfcc(out, facts);
    return rc;
}

static struct moon_forwarded_certificate *kept_by(struct moon_conn *conn) {
    if (!conn->forwarded) {
        conn->forwarded = moon_new(struct moon_forwarded_certificate);
        moon_buf_init(&conn->forwarded->lines, LINES_CEILING);
    }
    return conn->forwarded;
}

int moon_forward_certificate(struct moon_conn *conn, const struct moon_host *host, struct moon_str *lines) {
    struct moon_certificate_facts facts = {0};
    struct moon_trust *trust = conn->tls ? host->terms.trust : NULL;
    struct state state;
    *lines = MOON_STR("");
    if (!host->terms.forward)
        return 0;
    memset(&state, 0, sizeof state);
    if (trust) {
        moon_peer_facts(moon_tls_session_peer(conn->tls), trust, moon_worker_now(conn->worker), &facts);
        memcpy(state.revision, moon_trust_revision(trust), sizeof state.revision);
    }
    state.families = host->terms.forward;
    state.presented = facts.presented;
    state.verified = facts.verified;
    state.revoked = facts.revoked;
    struct moon_forwarded_certificate *forwarded = kept_by(conn);
    if (memcmp(&forwarded->state, &state, sizeof state) != 0) {
        moon_buf_clear(&forwarded->lines);
        int rc = write_lines(&forwarded->lines, state.families, &facts);
        if (rc) { /* nothing is kept: the next request hears the same */
            memset(&forwarded->state, 0, sizeof forwarded->state);
            return rc;
        }
        memcpy(&forwarded->state, &state, sizeof state); /* with what lies between the members */
    }
    *lines = moon_buf_view(&forwarded->lines);
    return 0;
}

void moon_forward_certificate_free(struct moon_forwarded_certificate **pointer) {
    struct moon_forwarded_certificate *forwarded = *pointer;
    *pointer = NULL;
    if (!forwarded)
        return;
    moon_buf_free(&forwarded->lines);
    free(forwarded);
}
