/* tls/specimen.h — certificates made to be shown to a gateway once: good ones and deliberately bad ones, with keys of
 * their own. For `moongate prove`; nothing that serves requests comes here. No state; any thread. */
#ifndef MOON_TLS_SPECIMEN_H
#define MOON_TLS_SPECIMEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct moon_specimen {
    struct moon_str common_name;
    struct moon_str issuer;     /* PEM certificate; empty: it signs itself */
    struct moon_str issuer_key; /* PEM, with `issuer` */
    struct moon_str usage;      /* extended key usage in OpenSSL's words ("clientAuth"); empty: no such extension */
    struct moon_str identifier; /* subject key identifier, hex digits; empty: the digest of the key */
    int64_t not_before;         /* UNIX seconds */
    int64_t not_after;
    bool is_ca;
    bool with_sha1; /* the signature */
};

/* Makes a P-256 key and a certificate over it, and appends both as PEM; the key is the caller's to wipe. Checks nothing
 * of what it is asked for: that is the gateway's to do. 0, or a negative code with diag ("issuer", "issuer_key",
 * "specimen"). */
int moon_specimen_make(struct moon_buf *certificate, struct moon_buf *key, const struct moon_specimen *specimen,
                       struct moon_diag *diag);

#endif
