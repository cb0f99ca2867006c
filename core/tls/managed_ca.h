/* tls/managed_ca.h — the CA that the gateway keeps for an account, and the client certificates that it signs on
 * request. Keys come and go as PEM; whoever calls seals, opens and wipes them (tls/keyring.h). What it issues is good
 * for one thing: to authenticate a TLS client. Control thread; no state. */
#ifndef MOON_TLS_MANAGED_CA_H
#define MOON_TLS_MANAGED_CA_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#define MOON_MANAGED_CA_DAYS 10957 /* thirty years: twice as long as what it issues at the most */
#define MOON_MANAGED_LEAF_DAYS 5475
#define MOON_CSR_BYTES (32 * 1024)

/* ffi: begin */
/* What was issued, as Cloudflare's API shows it. Parts of the subject are UTF-8 without control characters; the last of
 * several of one kind; empty when there is none. */
struct moon_issued {
    char serial[48];  /* lower-case hex */
    char ski[48];     /* lower-case hex */
    char common_name[256];
    char country[256];
    char state[256];
    char location[256];
    char organization[256];
    char organizational_unit[256];
};
/* ffi: end */

/* Makes a CA (ECDSA P-256, path length 0, valid from an hour before `now` for MOON_MANAGED_CA_DAYS) with this common
 * name (at most 64 bytes) and appends certificate and key as PEM. The caller wipes `private_key`. */
int moon_managed_ca_make(struct moon_str name, int64_t now, struct moon_buf *certificate, struct moon_buf *private_key,
                         struct moon_diag *diag);

/* Signs the request `csr` (RFC 2986, PEM, one block) for `days` from `now` on and appends the certificate as PEM. The
 * request's own signature must verify, its key must be one of tls/public_key.h; of what it asks for only subject and
 * key are taken: extensions are ours (CA:FALSE, digitalSignature, clientAuth). MOON_EREFUSED with diag->where "csr"
 * (the request), "days", or "ca" (the CA cannot sign: expired before, unreadable, another's key). */
int moon_managed_ca_issue(struct moon_str ca_certificate, struct moon_str ca_key, struct moon_str csr, unsigned days,
                          int64_t now, struct moon_buf *certificate, struct moon_issued *issued,
                          struct moon_diag *diag);

#endif
