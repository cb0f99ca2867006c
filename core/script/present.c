#include "script/present.h"

#include <openssl/x509_vfy.h>

#include "base/check.h"
#include "tls/pem.h"

int moon_ffi_present_cas(struct moon_trust **out, const char *pem, size_t len, struct moon_diag *diag) {
    struct moon_str text = moon_str(pem, len);
    return moon_trust_new(out, &text, 1, diag);
}

void moon_ffi_present_cas_free(struct moon_trust *cas) {
    moon_trust_unref(&cas);
}

int moon_ffi_present(struct moon_certificate_facts *facts, const char *pem, size_t len, struct moon_trust *cas,
                     int64_t now, struct moon_diag *diag) {
    *facts = (struct moon_certificate_facts){0};
    STACK_OF(X509) *chain = NULL;
    int rc = moon_pem_read_certificates(&chain, moon_str(pem, len), "certificate", diag);
    if (rc != 0)
        return rc;
    struct moon_peer *peer = moon_peer_new(NULL);
    moon_peer_present(peer, sk_X509_value(chain, 0), chain, cas, now);
    sk_X509_pop_free(chain, X509_free);
    if (cas) {
        moon_peer_facts(peer, cas, now, facts);
        moon_assert(facts->peer == peer);
    } else {
        facts->presented = true;
        facts->verify_error = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
        facts->peer = peer;
    }
    return 0;
}

void moon_ffi_present_end(struct moon_peer *peer) {
    moon_peer_free(&peer);
}

const char *moon_ffi_verify_error(int error) {
    return moon_verify_error_text(error);
}
