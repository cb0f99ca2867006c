/* script/present.h — a certificate from a file, presented as a client would present it in a handshake, so that
 * `moongate explain` asks the very accessors that the rules ask (lua/fields.lua). Flat functions for
 * lua/explain_request.lua through FFI; the command line's thread. Reads no file, opens no connection, keeps nothing. */
#ifndef MOON_SCRIPT_PRESENT_H
#define MOON_SCRIPT_PRESENT_H

#include "base/error.h"
#include "script/ffi.h"
#include "tls/peer.h"

/* ffi: begin */
struct moon_trust;

/* The CAs of a host from a PEM text, as a trust set without revocation lists; 0 and one count in *out, or a negative
 * code, diag and NULL. */
MOON_FFI int moon_ffi_present_cas(struct moon_trust **out, const char *pem, size_t len, struct moon_diag *diag);
MOON_FFI void moon_ffi_present_cas_free(struct moon_trust *cas);

/* Presents the first certificate of `pem` with the others as its chain, to a host with these CAs, at `now` (UNIX
 * seconds). `cas` NULL: to one that trusts nobody, so it is presented and never verified. Fills *facts, whose `peer`
 * is the caller's, for moon_ffi_present_end. Else a negative code, diag, and *facts is all zero. Copies. */
MOON_FFI int moon_ffi_present(struct moon_certificate_facts *facts, const char *pem, size_t len, struct moon_trust *cas,
                              int64_t now, struct moon_diag *diag);
MOON_FFI void moon_ffi_present_end(struct moon_peer *peer);

/* Why a certificate is not verified: "certificate has expired". Constant, NUL terminated. */
MOON_FFI const char *moon_ffi_verify_error(int error);
/* ffi: end */

#endif
