/* A client's certificates, DER after DER: every text and list of the first is printable and the same each time,
 * validations end, and whatever is verified was really issued by the anchor. */
#include "fuzz_ca.h"
#include "tls/certificate.h"
#include "tls/peer.h"

#define CERTIFICATES_MAX 12

static bool is_printable(struct moon_str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    return true;
}

static bool is_hex(struct moon_str text, bool upper) {
    if (text.len && text.data[0] == '-')
        text = moon_str(text.data + 1, text.len - 1);
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(upper ? "0123456789ABCDEF" : "0123456789abcdef", text.data[i]) || !text.data[i])
            return false;
    return text.len % 2 == 0;
}

static void check_form(enum moon_certificate_text which, struct moon_str text) {
    switch (which) {
    case MOON_CERTIFICATE_SERIAL:
    case MOON_CERTIFICATE_ISSUER_SERIAL:
    case MOON_CERTIFICATE_SKI:
    case MOON_CERTIFICATE_ISSUER_SKI:
        FUZZ_CHECK(is_hex(text, true));
        break;
    case MOON_CERTIFICATE_FINGERPRINT_SHA256:
    case MOON_CERTIFICATE_SPKI_SHA256:
        FUZZ_CHECK(text.len == 64 && is_hex(text, false));
        break;
    case MOON_CERTIFICATE_FINGERPRINT_SHA1:
        FUZZ_CHECK(text.len == 40 && is_hex(text, false));
        break;
    case MOON_CERTIFICATE_NOT_BEFORE:
    case MOON_CERTIFICATE_NOT_AFTER:
        FUZZ_CHECK(text.len == 0 || (text.len >= 24 && memcmp(text.data + text.len - 4, " GMT", 4) == 0));
        break;
    case MOON_CERTIFICATE_RFC9440:
        FUZZ_CHECK(text.len <= MOON_RFC9440_LEAF_BYTES);
        break;
    case MOON_CERTIFICATE_CHAIN_RFC9440:
        FUZZ_CHECK(text.len <= MOON_RFC9440_CHAIN_BYTES);
        break;
    default:
        break;
    }
}

static void check_texts(struct moon_peer *peer) {
    for (int which = 0; which < MOON_CERTIFICATE_TEXT_COUNT; which++) {
        struct moon_str text, again;
        int code = moon_peer_text(peer, (enum moon_certificate_text)which, &text);
        FUZZ_CHECK(text.data && is_printable(text) && (code == 0 || text.len == 0));
        check_form((enum moon_certificate_text)which, text);
        FUZZ_CHECK(moon_peer_text(peer, (enum moon_certificate_text)which, &again) == code);
        FUZZ_CHECK(moon_str_equal(text, again));
    }
    for (int which = 0; which < MOON_CERTIFICATE_LIST_COUNT; which++) {
        struct moon_str entry;
        for (size_t i = 0; moon_peer_entry(peer, (enum moon_certificate_list)which, i, &entry); i++)
            FUZZ_CHECK(which == MOON_CERTIFICATE_SAN_IP ? entry.len == 4 || entry.len == 16 : is_printable(entry));
    }
}

/* What an administrator would upload: the same bytes as PEM. */
static struct moon_str as_pem(const uint8_t *der, size_t len) {
    static const char begin[] = "-----BEGIN CERTIFICATE-----\n", end[] = "\n-----END CERTIFICATE-----\n";
    char *text = malloc(sizeof begin + sizeof end + (len + 2) / 3 * 4 + 1);
    FUZZ_CHECK(text);
    memcpy(text, begin, sizeof begin - 1);
    size_t at = sizeof begin - 1;
    at += (size_t)EVP_EncodeBlock((unsigned char *)text + at, der, (int)len);
    memcpy(text + at, end, sizeof end - 1);
    return moon_str(text, at + sizeof end - 1);
}

static void check_upload(struct moon_str pem, X509 *leaf, STACK_OF(X509) *chain) {
    static struct moon_certificate described[MOON_CERTIFICATES_MAX];
    struct moon_diag diag = {0};
    struct moon_trust *trust = NULL;
    size_t count = 0;
    if (moon_certificates_read(described, MOON_CERTIFICATES_MAX, &count, pem, &diag) == 0)
        FUZZ_CHECK(count == 1 && is_printable(moon_str_of(described[0].serial)));
    else
        FUZZ_CHECK(diag.text[0]);
    /* As its own anchor: a CA does not authenticate as its client. */
    if (moon_trust_new(&trust, &pem, 1, &diag) == 0) {
        struct moon_verification found;
        moon_trust_verify(trust, leaf, chain, 1800000000, &found);
        FUZZ_CHECK(!found.ok);
    }
    moon_trust_unref(&trust);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct fuzz_ca *ca = fuzz_ca();
    static struct moon_trust *trusts[3];
    for (int usage = 0; usage < 3 && !trusts[usage]; usage++) {
        struct moon_trust_options options = {.pems = &ca->pem, .pem_count = 1, .usage = (enum moon_trust_usage)usage};
        FUZZ_CHECK(moon_trust_build(&trusts[usage], &options, NULL) == 0);
    }
    STACK_OF(X509) *chain = sk_X509_new_null();
    const unsigned char *at = data, *first_end = data;
    while (sk_X509_num(chain) < CERTIFICATES_MAX && at < data + size) {
        X509 *certificate = d2i_X509(NULL, &at, (long)(size - (size_t)(at - data)));
        if (!certificate)
            break;
        FUZZ_CHECK(sk_X509_push(chain, certificate));
        if (sk_X509_num(chain) == 1)
            first_end = at;
    }
    moon_crypto_forget_errors();
    if (sk_X509_num(chain)) {
        X509 *leaf = sk_X509_value(chain, 0);
        struct moon_peer *peer = moon_peer_new(NULL);
        struct moon_certificate_facts facts;
        moon_peer_present(peer, leaf, chain, trusts[0], 1800000000);
        check_texts(peer);
        for (int usage = 0; usage < 3; usage++) {
            moon_peer_facts(peer, trusts[usage], 1800000000 + usage, &facts);
            FUZZ_CHECK(facts.presented && !facts.verified && facts.verify_error); /* the CA has signed nothing */
        }
        check_texts(peer);
        struct moon_str pem = as_pem(data, (size_t)(first_end - data));
        check_upload(pem, leaf, chain);
        free((void *)pem.data);
        moon_peer_free(&peer);
    }
    sk_X509_pop_free(chain, X509_free);
    moon_crypto_forget_errors();
    return 0;
}
