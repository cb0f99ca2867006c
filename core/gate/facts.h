/* gate/facts.h — what the rules may ask of a request, and what they answer. One struct of each per thread at a fixed address: C
 * fills the facts, calls up once, and reads the verdict. Lua reads both through FFI; nothing is passed on the call. */
#ifndef MOON_GATE_FACTS_H
#define MOON_GATE_FACTS_H

#include "http/head.h"
#include "tls/peer.h"
#include "tls/session.h"

#define MOON_VERDICT_MATCHES 16

/* ffi: begin */
struct moon_host; /* opaque to Lua; see moon_host_… in the bridge */

/* Views are borrowed until the rules have returned. Texts that do not apply are empty, never NULL. For a request that waits in a
 * policy they are made to last by moon_request_keep (gate/request.c), which has to know each of them. */
struct moon_facts {
    struct moon_str http_host;  /* normalised effective host */
    struct moon_str method;
    struct moon_str uri;        /* path and query, normalised, as the origin will see them */
    struct moon_str path;
    struct moon_str query;
    struct moon_str raw_uri;    /* as the client wrote them */
    struct moon_str raw_path;
    struct moon_str user_agent;
    struct moon_str ray;
    const struct moon_http_field *fields;
    size_t field_count;
    unsigned char ip[16];
    int ip_len;                 /* 4 or 16 */
    int socket;                 /* the connection's descriptor, to ask the kernel about it */
    bool body_ready;            /* the members below say all that will be known; else the rules may ask for the body */
    struct moon_str body;       /* its first part, at most MOON_INSPECT_BYTES */
    uint64_t body_size;         /* as announced, or as far as it has come */
    uint64_t serial;            /* of the request, on this thread: what was made for another one is of no use */
    bool ssl;
    int minor_version;
    struct moon_certificate_facts certificate;
    struct moon_tls_session *tls;  /* NULL without TLS; what it says is asked through the bridge */
    const struct moon_host *host; /* of the snapshot that this thread serves */
    uint32_t host_id;             /* never used twice in a process: what compiled rules are kept under */
};

enum moon_action {
    MOON_ACTION_PASS = 0, /* go on to the origin */
    MOON_ACTION_BLOCK = 1,
    MOON_ACTION_NEED_BODY = 3, /* ask again once facts.body_ready */
    MOON_ACTION_FAIL = 2  /* the rules could not be evaluated at all: answered like a block, logged as an error */
};

/* Filled by the rules. Views are borrowed from the compiled rules and valid until the thread adopts another snapshot. */
struct moon_verdict {
    int action;                     /* enum moon_action */
    int status;                     /* of a custom response; 0: the default page */
    struct moon_str content;        /* of a custom response */
    struct moon_str content_type;
    struct moon_str rule_id;        /* that decided; empty when none */
    uint32_t match_count;           /* log rules that matched: the first MOON_VERDICT_MATCHES of them */
    struct moon_str matches[16];
};
/* ffi: end */

_Static_assert(sizeof(((struct moon_verdict *)0)->matches) / sizeof(struct moon_str) == MOON_VERDICT_MATCHES,
               "the FFI region spells the constant out");

#endif
