/* script/probe.h — a client for `moongate prove`: one connection that says what it is told to, also what no honest
 * client would (a server name that is not the host, somebody else's session). Waits for its answers, so it belongs to
 * the command line's thread. Flat functions for cli/probe.lua through FFI. The server's certificate is not looked at:
 * the other side is the one that is on trial. */
#ifndef MOON_SCRIPT_PROBE_H
#define MOON_SCRIPT_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "script/ffi.h"

/* ffi: begin */
struct moon_probe;
struct ssl_session_st;

struct moon_ffi_probe_options {
    struct moon_str address; /* an IP address */
    unsigned port;
    unsigned timeout_ms;            /* of each wait */
    unsigned version;               /* 0x0303 or 0x0304, no other is offered; 0: plain HTTP */
    struct moon_str server_name;    /* empty: none is sent */
    struct moon_str certificates;   /* PEM, leaf first: presented when asked for; empty: none */
    struct moon_str private_key;    /* PEM */
    struct ssl_session_st *session; /* offered; NULL: none */
};

/* What the handshake came to. */
struct moon_ffi_probe_facts {
    bool resumed;
    bool asked;        /* for a client certificate */
    unsigned ca_names; /* that the question named */
};

/* NULL with diag: where is "connect" (nobody there, or not in time), "handshake" (refused), "certificates" or
 * "private_key". */
MOON_FFI struct moon_probe *moon_ffi_probe_open(const struct moon_ffi_probe_options *options, struct moon_diag *diag);
MOON_FFI void moon_ffi_probe_facts(const struct moon_probe *probe, struct moon_ffi_probe_facts *facts);
/* Sends `request` as it is and reads one answer with its body. The status, or 0: the connection was closed instead, or
 * broke; diag says how. */
MOON_FFI unsigned moon_ffi_probe_ask(struct moon_probe *probe, struct moon_str request, struct moon_diag *diag);
/* The session that the server gave, for other probes; NULL when there is none. The caller's, for
 * moon_ffi_probe_session_free. */
MOON_FFI struct ssl_session_st *moon_ffi_probe_session(struct moon_probe *probe);
MOON_FFI void moon_ffi_probe_session_free(struct ssl_session_st *session);
/* Says goodbye and closes. */
MOON_FFI void moon_ffi_probe_close(struct moon_probe *probe);

#define MOON_SPECIMEN_PEM 4096

/* tls/specimen.h says what these mean. */
struct moon_ffi_specimen {
    struct moon_str common_name;
    struct moon_str issuer;
    struct moon_str issuer_key;
    struct moon_str usage;
    struct moon_str identifier;
    int64_t not_before;
    int64_t not_after;
    bool is_ca;
    bool with_sha1;
};

struct moon_ffi_specimen_pem {
    char certificate[4096]; /* MOON_SPECIMEN_PEM, NUL terminated */
    char key[4096];
};

MOON_FFI int moon_ffi_specimen_make(struct moon_ffi_specimen_pem *pem, const struct moon_ffi_specimen *specimen,
                                    struct moon_diag *diag);
/* ffi: end */

#endif
