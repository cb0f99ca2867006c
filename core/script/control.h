/* script/control.h — what only the control state may do: look into certificates, build what will be served, publish it,
 * ask for its status, write files that survive a crash. Flat functions for lua/control.lua through FFI; everything on
 * the control thread. Built things are counted: Lua owns one count and gives it back through the matching _free (as
 * ffi.gc finalizer); whatever takes a thing counts it for itself. Texts go in as pointer and length, and are copied. */
#ifndef MOON_SCRIPT_CONTROL_H
#define MOON_SCRIPT_CONTROL_H

#include "base/log.h"
#include "gate/gateway.h"
#include "gate/snapshot.h"
#include "script/bridge.h"
#include "tls/certificate.h"
#include "tls/keyring.h"
#include "tls/local_ca.h"
#include "tls/managed_ca.h"

/* What the control state works with; filled by the program, borrowed as long as the state lives. Opaque to Lua. */
struct moon_control {
    struct moon_gateway *gateway; /* NULL while there is none (specs, rehearsals from the command line) */
    struct moon_local_ca *local_ca;
    struct moon_log_channel *log;
    struct moon_policy *policy;   /* the operator's files as this thread has loaded them; NULL: none */
    struct moon_errands *errands; /* script/errand.h; NULL while there is no loop (specs, the command line) */
    uint32_t next_host_id;        /* begins at 1 and never goes back */
};

/* ffi: begin */
struct moon_control;

/* UNIX seconds, with microseconds. */
MOON_FFI double moon_ffi_now(void);
MOON_FFI void moon_ffi_random(void *room, size_t size);
MOON_FFI void moon_ffi_sha256(unsigned char *digest, const char *data, size_t len); /* 32 bytes of room */
MOON_FFI bool moon_ffi_equal(const char *a, const char *b, size_t len);             /* in constant time */

/* As tls/certificate.h: 0, or a negative code and diag. */
MOON_FFI int moon_ffi_certificates(struct moon_certificate *list, size_t room, size_t *count, const char *pem,
                                   size_t len, struct moon_diag *diag);
MOON_FFI int moon_ffi_match_key(const char *pem, size_t pem_len, const char *key, size_t key_len,
                                struct moon_diag *diag);

/* Secrets at rest (tls/keyring.h). `room` has MOON_SEALED_BYTES; *len of them are written. What was opened is wiped
 * with moon_ffi_wipe as soon as it was copied. */
struct moon_keyring;
MOON_FFI int moon_ffi_keyring_open(struct moon_keyring **out, const char *path, bool may_make, struct moon_diag *diag);
MOON_FFI void moon_ffi_keyring_close(struct moon_keyring *ring);
MOON_FFI int moon_ffi_seal(struct moon_keyring *ring, char *room, size_t *len, struct moon_str plain,
                           struct moon_str context, struct moon_diag *diag);
MOON_FFI int moon_ffi_unseal(struct moon_keyring *ring, char *room, size_t *len, struct moon_str sealed,
                             struct moon_str context, struct moon_diag *diag);
MOON_FFI bool moon_ffi_sealed_newest(struct moon_keyring *ring, struct moon_str sealed);
MOON_FFI int moon_ffi_keyring_renew(struct moon_keyring *ring, bool *from_environment, struct moon_diag *diag);
MOON_FFI void moon_ffi_wipe(void *data, size_t size);

/* Lines in `room` (MOON_CERTIFICATES_BYTES), *len bytes. */
MOON_FFI int moon_ffi_certificate_hosts(char *room, size_t *len, const char *pem, size_t pem_len,
                                        struct moon_diag *diag);

/* The CA of an account (tls/managed_ca.h): makes one, its key sealed for `context`. The rooms have
 * MOON_CERTIFICATES_BYTES and MOON_SEALED_BYTES. */
MOON_FFI int moon_ffi_managed_ca_make(struct moon_keyring *ring, struct moon_str name, struct moon_str context,
                                      double now, char *certificate, size_t *certificate_len, char *sealed,
                                      size_t *sealed_len, struct moon_diag *diag);
/* Signs a request with it. `certificate` has MOON_CERTIFICATES_BYTES. */
struct moon_ffi_identity;
MOON_FFI int moon_ffi_managed_ca_issue(struct moon_keyring *ring, const struct moon_ffi_identity *ca,
                                       struct moon_str csr, unsigned days, double now, struct moon_issued *issued,
                                       char *certificate, size_t *len, struct moon_diag *diag);

/* Each _new and _build gives 0 and one count in *out, or a negative code, diag and NULL in *out. */

/* A revocation list and the CA that issued it (tls/crl.h); takes about a second for one of 10 MiB. */
MOON_FFI int moon_ffi_crl_new(struct moon_crl **out, struct moon_str text, struct moon_str issuer,
                              struct moon_diag *diag);
/* What it says about itself. */
struct moon_ffi_crl {
    int64_t this_update; /* UNIX seconds */
    int64_t next_update; /* INT64_MAX where it names none */
    size_t count;        /* serial numbers */
    size_t issuer;       /* which certificate of the CA's issued it; the first is 0 */
    unsigned char digest[32];
};
MOON_FFI void moon_ffi_crl_describe(const struct moon_crl *crl, struct moon_ffi_crl *out);
MOON_FFI void moon_ffi_crl_free(struct moon_crl *crl);

/* Base64 in one line; `room` has 4 * (len / 3 + 1) + 1 bytes, `len` is at most MOON_CRL_BYTES. How many were written.
 */
MOON_FFI size_t moon_ffi_base64(char *room, const char *data, size_t len);

/* tls/trust.h */
MOON_FFI int moon_ffi_trust_build(struct moon_trust **out, const struct moon_trust_options *options,
                                  struct moon_diag *diag);
MOON_FFI void moon_ffi_trust_free(struct moon_trust *trust);
/* Many of them, on as many threads as the machine has cores; out[i] is NULL when that one cannot be built. */
MOON_FFI void moon_ffi_trusts_build(struct moon_trust **out, const struct moon_trust_options *options, size_t count);

/* A certificate chain and its key as documents carry them; without certificates: none. */
struct moon_ffi_identity {
    struct moon_str certificates; /* PEM, leaf first */
    struct moon_str sealed;       /* its private key; opened, used and wiped in C */
    struct moon_str context;      /* that it was sealed with */
    struct moon_str plain;        /* not empty: the key itself, which the caller has in the open anyway */
};

/* The TLS terms of hostnames (tls/policy.h). */
struct moon_ffi_terms {
    int min_version; /* 0x0303 or 0x0304 */
    int max_version; /* 0: the newest */
    const struct moon_str *ciphers;
    size_t cipher_count;
    bool strict_name;
    const struct moon_str
        *names; /* without `identity`: what a certificate of the local CA is issued for, at least one */
    size_t name_count;
    struct moon_ffi_identity identity, second;
};
/* No key leaves C here. `ring` as for origins. */
MOON_FFI int moon_ffi_policy_build(struct moon_tls_policy **out, struct moon_control *control,
                                   const struct moon_ffi_terms *terms, struct moon_keyring *ring,
                                   struct moon_diag *diag);
MOON_FFI void moon_ffi_policy_free(struct moon_tls_policy *policy);

/* Texts may be NULL: not given. */
struct moon_ffi_origin {
    struct moon_str url;
    struct moon_str host_header;
    struct moon_str sni;
    struct moon_str addresses; /* IP literals with commas between */
    struct moon_str ca;
    struct moon_ffi_identity client; /* what we present */
    bool shared_client;              /* without one: the certificate that the local CA made for the gateway itself */
    bool verify;
    bool request_name;
};
/* `ring` may be NULL while there are no keys: whatever has a sealed one is refused. */
MOON_FFI int moon_ffi_origin_new(struct moon_origin_terms **out, struct moon_control *control,
                                 const struct moon_ffi_origin *origin, struct moon_keyring *ring,
                                 struct moon_diag *diag);
MOON_FFI void moon_ffi_origin_free(struct moon_origin_terms *origin);

/* gate/snapshot.h: new, add each host, seal; then never changed. */
MOON_FFI struct moon_section *moon_ffi_section_new(const char *domain, size_t domain_len, const char *rules,
                                                   size_t rules_len, struct moon_tls_policy *policy);
MOON_FFI int moon_ffi_section_add(struct moon_section *section, const char *name, size_t len,
                                  const struct moon_host_terms *terms, struct moon_diag *diag);
MOON_FFI int moon_ffi_section_add_guest(struct moon_section *section, const char *name, size_t len,
                                        const struct moon_host_terms *terms, struct moon_diag *diag);
MOON_FFI void moon_ffi_section_seal(struct moon_section *section, struct moon_control *control);
MOON_FFI void moon_ffi_section_free(struct moon_section *section);

MOON_FFI int moon_ffi_snapshot_new(struct moon_snapshot **out, uint64_t generation, struct moon_section **sections,
                                   size_t count, struct moon_tls_policy *fallback, struct moon_diag *diag);
MOON_FFI void moon_ffi_snapshot_free(struct moon_snapshot *snapshot);

/* Waits until every worker serves `snapshot`, at most `deadline_ms`. Refused when there is no gateway. */
MOON_FFI int moon_ffi_publish(struct moon_control *control, struct moon_snapshot *snapshot, unsigned deadline_ms,
                              struct moon_diag *diag);

/* Of no gateway: no workers, all zero. */
MOON_FFI unsigned moon_ffi_workers(const struct moon_control *control);
MOON_FFI uint64_t moon_ffi_generation(const struct moon_control *control, unsigned worker);
MOON_FFI void moon_ffi_counters(const struct moon_control *control, struct moon_counters *sum);

/* What policy files declare for rules, as JSON; empty without any. Borrowed. */
MOON_FFI void moon_ffi_control_declared(const struct moon_control *control, struct moon_str *declared);

/* Where lua/log.lua writes to in this state; borrowed. */
MOON_FFI struct moon_log_channel *moon_ffi_control_log(struct moon_control *control);

/* Replaces the file `path` (NUL terminated) by `data`, or leaves it as it was: temporary file (0600), fsync, rename,
 * fsync of the directory. MOON_ESYSTEM with diag. */
MOON_FFI int moon_ffi_write_file(const char *path, const char *data, size_t len, struct moon_diag *diag);
/* ffi: end */

#endif
