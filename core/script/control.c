#include "script/control.h"

#include <time.h>

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "script/policy.h"
#include "tls/trusts.h"
#include "tls/ciphers.h"
#include "tls/crypto.h"

/* Of a certificate chain or a key in PEM; ours are below 4 KiB unless hundreds of names are in one. */

double moon_ffi_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)(now.tv_nsec / 1000) / 1e6;
}

void moon_ffi_random(void *room, size_t size) {
    moon_random(room, size);
}

void moon_ffi_sha256(unsigned char *digest, const char *data, size_t len) {
    moon_sha256(digest, moon_str(data, len));
}

bool moon_ffi_equal(const char *a, const char *b, size_t len) {
    return moon_equal_constant_time(a, b, len);
}

/* ---- certificates ---- */

int moon_ffi_certificates(struct moon_certificate *list, size_t room, size_t *count, const char *pem, size_t len,
                          struct moon_diag *diag) {
    return moon_certificates_read(list, room, count, moon_str(pem, len), diag);
}

int moon_ffi_match_key(const char *pem, size_t pem_len, const char *key, size_t key_len, struct moon_diag *diag) {
    return moon_certificates_match_key(moon_str(pem, pem_len), moon_str(key, key_len), diag);
}

int moon_ffi_certificate_hosts(char *room, size_t *len, const char *pem, size_t pem_len, struct moon_diag *diag) {
    struct moon_buf hosts;
    moon_buf_init(&hosts, MOON_CERTIFICATES_BYTES);
    int rc = moon_certificates_hosts(&hosts, moon_str(pem, pem_len), diag);
    struct moon_str lines = moon_buf_view(&hosts);
    *len = rc ? 0 : lines.len;
    memcpy(room, lines.data, *len);
    moon_buf_free(&hosts);
    return rc;
}

/* ---- secrets at rest ---- */

int moon_ffi_keyring_open(struct moon_keyring **out, const char *path, bool may_make, struct moon_diag *diag) {
    return moon_keyring_open(out, path, may_make, diag);
}

void moon_ffi_keyring_close(struct moon_keyring *ring) {
    moon_keyring_close(&ring);
}

int moon_ffi_seal(struct moon_keyring *ring, char *room, size_t *len, struct moon_str plain, struct moon_str context,
                  struct moon_diag *diag) {
    struct moon_buf sealed;
    moon_buf_init(&sealed, MOON_SEALED_BYTES);
    int rc = moon_keyring_seal(ring, &sealed, plain, context, diag);
    struct moon_str text = moon_buf_view(&sealed);
    *len = rc ? 0 : text.len;
    memcpy(room, text.data, *len);
    moon_buf_free(&sealed);
    return rc;
}

int moon_ffi_unseal(struct moon_keyring *ring, char *room, size_t *len, struct moon_str sealed, struct moon_str context,
                    struct moon_diag *diag) {
    return moon_keyring_unseal(ring, room, len, sealed, context, diag);
}

bool moon_ffi_sealed_newest(struct moon_keyring *ring, struct moon_str sealed) {
    return moon_keyring_is_newest(ring, sealed);
}

int moon_ffi_keyring_renew(struct moon_keyring *ring, bool *from_environment, struct moon_diag *diag) {
    return moon_keyring_renew(ring, from_environment, diag);
}

void moon_ffi_wipe(void *data, size_t size) {
    moon_wipe(data, size);
}

/* ---- trust sets ---- */

int moon_ffi_crl_new(struct moon_crl **out, struct moon_str text, struct moon_str issuer, struct moon_diag *diag) {
    return moon_crl_new(out, text, issuer, diag);
}

void moon_ffi_crl_describe(const struct moon_crl *crl, struct moon_ffi_crl *out) {
    out->this_update = moon_crl_this_update(crl);
    out->next_update = moon_crl_next_update(crl);
    out->count = moon_crl_count(crl);
    out->issuer = moon_crl_issuer(crl);
    memcpy(out->digest, moon_crl_digest(crl), sizeof out->digest);
}

size_t moon_ffi_base64(char *room, const char *data, size_t len) {
    moon_assert(len <= MOON_CRL_BYTES);
    return (size_t)EVP_EncodeBlock((unsigned char *)room, (const unsigned char *)data, (int)len);
}

void moon_ffi_crl_free(struct moon_crl *crl) {
    moon_crl_unref(&crl);
}

int moon_ffi_trust_build(struct moon_trust **out, const struct moon_trust_options *options, struct moon_diag *diag) {
    return moon_trust_build(out, options, diag);
}

void moon_ffi_trusts_build(struct moon_trust **out, const struct moon_trust_options *options, size_t count) {
    moon_trusts_build(out, options, count, uv_available_parallelism());
}

void moon_ffi_trust_free(struct moon_trust *trust) {
    moon_trust_unref(&trust);
}

/* ---- keys and policies ---- */

/* A private key in the open. Kept short: the room is wiped by close_key, whatever came of it. */
struct open_key {
    char *room;
    size_t len;
};

static int open_key(struct open_key *key, struct moon_keyring *ring, const struct moon_ffi_identity *identity,
                    struct moon_diag *diag) {
    *key = (struct open_key){NULL, 0};
    if (!identity->certificates.len)
        return 0;
    if (identity->plain.len) {
        if (identity->plain.len > MOON_SECRET_BYTES) {
            moon_diag_set(diag, "private_key", "is larger than %d bytes", MOON_SECRET_BYTES);
            return MOON_ETOOBIG;
        }
        key->room = moon_alloc(MOON_SECRET_BYTES);
        memcpy(key->room, identity->plain.data, identity->plain.len);
        key->len = identity->plain.len;
        return 0;
    }
    if (!ring) {
        moon_diag_set(diag, "secrets", "the keys that private keys are sealed with are not there");
        return MOON_EREFUSED;
    }
    key->room = moon_alloc(MOON_SECRET_BYTES);
    return moon_keyring_unseal(ring, key->room, &key->len, identity->sealed, identity->context, diag);
}

static void close_key(struct open_key *key) {
    if (key->room)
        moon_wipe(key->room, MOON_SECRET_BYTES);
    free(key->room);
    *key = (struct open_key){NULL, 0};
}

int moon_ffi_managed_ca_make(struct moon_keyring *ring, struct moon_str name, struct moon_str context, double now,
                             char *certificate, size_t *certificate_len, char *sealed, size_t *sealed_len,
                             struct moon_diag *diag) {
    struct moon_buf pem, key;
    moon_buf_init(&pem, MOON_CERTIFICATES_BYTES);
    moon_buf_init(&key, MOON_SECRET_BYTES);
    int rc = moon_managed_ca_make(name, (int64_t)now, &pem, &key, diag);
    if (!rc)
        rc = moon_ffi_seal(ring, sealed, sealed_len, moon_buf_view(&key), context, diag);
    struct moon_str text = moon_buf_view(&pem);
    *certificate_len = rc ? 0 : text.len;
    memcpy(certificate, text.data, *certificate_len);
    if (key.data)
        moon_wipe(key.data, key.capacity);
    moon_buf_free(&key);
    moon_buf_free(&pem);
    return rc;
}

int moon_ffi_managed_ca_issue(struct moon_keyring *ring, const struct moon_ffi_identity *ca, struct moon_str csr,
                              unsigned days, double now, struct moon_issued *issued, char *certificate, size_t *len,
                              struct moon_diag *diag) {
    struct open_key key;
    struct moon_buf pem;
    moon_buf_init(&pem, MOON_CERTIFICATES_BYTES);
    int rc = open_key(&key, ring, ca, diag);
    if (!rc)
        rc = moon_managed_ca_issue(ca->certificates, moon_str(key.room, key.len), csr, days, (int64_t)now, &pem, issued,
                                   diag);
    close_key(&key);
    struct moon_str text = moon_buf_view(&pem);
    *len = rc ? 0 : text.len;
    memcpy(certificate, text.data, *len);
    moon_buf_free(&pem);
    return rc;
}

/* With a certificate that the local CA issues for the terms' names. */
static int build_issued(struct moon_tls_policy **out, struct moon_control *control, struct moon_tls_terms *terms,
                        const struct moon_ffi_terms *given, struct moon_diag *diag) {
    bool rsa = moon_tls_ciphers_need_rsa(terms->ciphers, terms->cipher_count);
    int rc = moon_local_ca_sign(control->local_ca, given->names, given->name_count, rsa, &terms->leaf, &terms->issuer,
                                &terms->key, diag);
    if (rc == 0)
        rc = moon_tls_policy_new(out, terms, diag);
    X509_free(terms->leaf);
    EVP_PKEY_free(terms->key);
    return rc;
}

static int build_given(struct moon_tls_policy **out, struct moon_tls_terms *terms, const struct moon_ffi_terms *given,
                       struct moon_keyring *ring, struct moon_diag *diag) {
    struct open_key first, second = {NULL, 0};
    int rc = open_key(&first, ring, &given->identity, diag);
    if (rc == 0)
        rc = open_key(&second, ring, &given->second, diag);
    if (rc == 0) {
        terms->certificates = given->identity.certificates;
        terms->private_key = moon_str(first.room, first.len);
        terms->second_certificates = given->second.certificates;
        terms->second_private_key = moon_str(second.room, second.len);
        rc = moon_tls_policy_new(out, terms, diag);
    }
    close_key(&first);
    close_key(&second);
    return rc;
}

int moon_ffi_policy_build(struct moon_tls_policy **out, struct moon_control *control,
                          const struct moon_ffi_terms *given, struct moon_keyring *ring, struct moon_diag *diag) {
    struct moon_tls_terms terms = {
        .min_version = given->min_version,
        .max_version = given->max_version,
        .ciphers = given->ciphers,
        .cipher_count = given->cipher_count,
        .strict_name = given->strict_name,
    };
    *out = NULL;
    return given->identity.certificates.len ? build_given(out, &terms, given, ring, diag)
                                            : build_issued(out, control, &terms, given, diag);
}

void moon_ffi_policy_free(struct moon_tls_policy *policy) {
    moon_tls_policy_unref(&policy);
}

/* ---- what will be served ---- */

int moon_ffi_origin_new(struct moon_origin_terms **out, struct moon_control *control,
                        const struct moon_ffi_origin *origin, struct moon_keyring *ring, struct moon_diag *diag) {
    struct open_key key;
    *out = NULL;
    int rc = open_key(&key, ring, &origin->client, diag);
    struct moon_origin_options options = {
        .url = origin->url,
        .host_header = origin->host_header,
        .sni = origin->sni,
        .addresses = origin->addresses,
        .request_name = origin->request_name,
        .ca = origin->ca,
        .certificates = origin->client.certificates,
        .private_key = moon_str(key.room, key.len),
        .verify = origin->verify,
    };
    if (!rc && origin->shared_client && !options.certificates.len)
        rc = moon_local_ca_client(control->local_ca, &options.certificates, &options.private_key, diag);
    if (!rc)
        rc = moon_origin_terms_new(out, &options, diag);
    close_key(&key);
    return rc;
}

void moon_ffi_origin_free(struct moon_origin_terms *origin) {
    moon_origin_terms_unref(&origin);
}

struct moon_section *moon_ffi_section_new(const char *domain, size_t domain_len, const char *rules, size_t rules_len,
                                          struct moon_tls_policy *policy) {
    return moon_section_new(moon_str(domain, domain_len), moon_str(rules, rules_len), policy);
}

int moon_ffi_section_add(struct moon_section *section, const char *name, size_t len,
                         const struct moon_host_terms *terms, struct moon_diag *diag) {
    return moon_section_add(section, moon_str(name, len), terms, diag);
}

int moon_ffi_section_add_guest(struct moon_section *section, const char *name, size_t len,
                               const struct moon_host_terms *terms, struct moon_diag *diag) {
    return moon_section_add_guest(section, moon_str(name, len), terms, diag);
}

void moon_ffi_section_seal(struct moon_section *section, struct moon_control *control) {
    if (control->next_host_id == 0)
        control->next_host_id = 1;
    moon_section_seal(section, &control->next_host_id);
}

void moon_ffi_section_free(struct moon_section *section) {
    moon_section_unref(&section);
}

int moon_ffi_snapshot_new(struct moon_snapshot **out, uint64_t generation, struct moon_section **sections, size_t count,
                          struct moon_tls_policy *fallback, struct moon_diag *diag) {
    return moon_snapshot_new(out, generation, sections, count, fallback, diag);
}

void moon_ffi_snapshot_free(struct moon_snapshot *snapshot) {
    moon_snapshot_unref(&snapshot);
}

int moon_ffi_publish(struct moon_control *control, struct moon_snapshot *snapshot, unsigned deadline_ms,
                     struct moon_diag *diag) {
    if (!control->gateway) {
        moon_diag_set(diag, "publish", "there is no gateway to publish to");
        return MOON_EREFUSED;
    }
    return moon_gateway_publish(control->gateway, snapshot, deadline_ms, diag);
}

unsigned moon_ffi_workers(const struct moon_control *control) {
    return control->gateway ? moon_gateway_workers(control->gateway) : 0;
}

uint64_t moon_ffi_generation(const struct moon_control *control, unsigned worker) {
    return worker < moon_ffi_workers(control) ? moon_gateway_generation(control->gateway, worker) : 0;
}

void moon_ffi_counters(const struct moon_control *control, struct moon_counters *sum) {
    memset(sum, 0, sizeof *sum);
    if (control->gateway)
        moon_gateway_counters(control->gateway, sum);
}

void moon_ffi_control_declared(const struct moon_control *control, struct moon_str *declared) {
    *declared = control->policy ? moon_policy_declared(control->policy) : MOON_STR("");
}

struct moon_log_channel *moon_ffi_control_log(struct moon_control *control) {
    return control->log;
}

/* ---- files ---- */

int moon_ffi_write_file(const char *path, const char *data, size_t len, struct moon_diag *diag) {
    return moon_file_replace(path, moon_str(data, len), 0600, diag);
}
