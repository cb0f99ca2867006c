/* tls/local_ca.h — the gateway's own CA, so that a first run needs no setup: where no uploaded certificate covers a
 * name, one signed by this CA does; and the certificate that the gateway itself presents to origins is of it. Lives in
 * data_dir/local-ca.pem and local-ca.key (0600), made on the first start; a gateway inside another program may keep one
 * in memory. Control thread only. It never signs anything but server certificates (EKU serverAuth) and that one client
 * certificate (EKU clientAuth). */
#ifndef MOON_TLS_LOCAL_CA_H
#define MOON_TLS_LOCAL_CA_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

struct moon_local_ca;

/* Reads both files, or makes them when neither exists (written to a temporary name, fsync, rename; the key 0600 from
 * birth). Refuses: one without the other, a key that others can read, a pair that does not match, an expired CA;
 * diag->where is the path. */
int moon_local_ca_open(struct moon_local_ca **out, const char *certificate_path, const char *key_path,
                       struct moon_diag *diag);
/* A new one in memory, without files. */
int moon_local_ca_make(struct moon_local_ca **out, struct moon_diag *diag);
void moon_local_ca_close(struct moon_local_ca **ca);

/* Appends its certificate as PEM. */
int moon_local_ca_certificate(const struct moon_local_ca *ca, struct moon_buf *out);

/* As moon_local_ca_issue, without writing anything as PEM, which costs more than signing it: `leaf` and `key` are the caller's,
 * `issuer` is borrowed. */
int moon_local_ca_sign(struct moon_local_ca *ca, const struct moon_str *names, size_t count, bool rsa, X509 **leaf,
                       X509 **issuer, EVP_PKEY **key, struct moon_diag *diag);

/* Issues a server certificate (397 days, random serial) for these DNS names (at least one; wildcards allowed; IP text
 * becomes an IP SAN). Its key is a new one of ECDSA P-256; with `rsa` one of 2048 bits, which is made once and then the
 * same for all, because making it takes long. Appends the PEM chain (leaf, CA) to `certificates` and the PEM key to
 * `private_key`. */
int moon_local_ca_issue(struct moon_local_ca *ca, const struct moon_str *names, size_t count, bool rsa,
                        struct moon_buf *certificates, struct moon_buf *private_key, struct moon_diag *diag);

/* The gateway's certificate toward origins (PEM, leaf and CA) and its key: made when it is first asked for, and anew
 * when it is older than 90 days. Borrowed until the next call. */
int moon_local_ca_client(struct moon_local_ca *ca, struct moon_str *certificates, struct moon_str *private_key,
                         struct moon_diag *diag);

#endif
