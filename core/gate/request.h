/* gate/request.h — one request, from its complete head to its one log line.
 *
 * Words: the *effective host* is what routing, trust, rules, log and origin use (http/target.h); the *verdict* is what the rules
 * said; a request is *detached* when it outlives the turn that began it: then its texts are copies in its arena.
 *
 * Life: begin (parse, checks, rules: all in one turn) → either answered at once, or handed to the proxy or a handler's body
 * collection → respond (once) → finish (record, release). The struct belongs to the connection until finish. */
#ifndef MOON_GATE_REQUEST_H
#define MOON_GATE_REQUEST_H

#include "base/mem.h"
#include "gate/conn.h"
#include "gate/proxy.h"
#include "http/body.h"
#include "http/target.h"

#define MOON_REQUEST_ARENA (192 * 1024)
#define MOON_REQUEST_SPARES 64

enum moon_request_consumer {
    MOON_CONSUME_NOTHING = 0, /* the body is read and dropped, within bounds */
    MOON_CONSUME_PROXY,
    MOON_CONSUME_RULES, /* held back until the rules have seen it */
    MOON_CONSUME_HANDLER,
    MOON_CONSUME_SCRIPT /* a policy waits; it takes the body when it asks for it */
};

/* Fields that a policy adds to a head, in the request's arena. */
struct moon_added_fields {
    const struct moon_http_field *fields;
    size_t count;
};

struct moon_request {
    struct moon_link link; /* worker->requests while spare */
    struct moon_conn *conn;
    struct moon_arena arena;
    char ray[24];
    uint64_t begun_ns;
    struct moon_str method;
    struct moon_str uri;
    struct moon_str path;
    struct moon_str raw_uri; /* before normalisation; not kept beyond the rules */
    struct moon_str raw_path;
    struct moon_str host; /* effective, normalised; views target.host */
    struct moon_http_target target;
    struct moon_http_body body; /* reader of the request's body */
    unsigned minor_version;
    bool keep_alive; /* the client's wish */
    bool is_head;
    bool wants_json; /* of error pages */
    bool expect_continue;
    bool inspected;   /* the rules have seen the body; `collected` is the part that was held back */
    bool finished; /* recorded; only the rest of its body is still read */
    bool answered; /* a final status line was written */
    bool answer_framed; /* the answer's end can be told by the client */
    enum moon_request_consumer consumer;

    /* for the record */
    unsigned status;
    uint64_t sent;          /* payload bytes of the answer */
    const char *refusal;    /* constant: why the gateway itself answered */
    struct moon_str origin_error; /* what the origin's side of the house said; in the arena */
    bool blocked;
    bool certificate_asked; /* the host trusts client CAs */
    bool certificate_presented;
    bool certificate_verified;
    bool certificate_revoked;
    bool certificate_lacks_usage;
    int verify_error;
    struct moon_str rule_id;
    struct moon_str matches;     /* ids joined by "," */
    struct moon_str fingerprint;
    uint64_t generation;

    const struct moon_handler *handler; /* with MOON_CONSUME_HANDLER */
    struct moon_exchange exchange;   /* with MOON_CONSUME_PROXY */
    struct moon_buf collected;       /* with MOON_CONSUME_HANDLER and _SCRIPT */
    struct moon_http_field *fields;  /* with MOON_CONSUME_HANDLER: copies in the arena */
    size_t field_count;
    void *later; /* with MOON_CONSUME_HANDLER: the answer was put off (gate/handler.h) */
    struct moon_str query;
    bool has_query;
    struct moon_http_head *asked; /* of a request for a tunnel: as the rules let it pass, to ask them again (gate/recheck.h) */

    /* With policies. */
    void *script;                /* the upper floor's, until hooks->gone; NULL: none */
    struct moon_http_head *head; /* its own copy, once kept; in the arena */
    bool wants_body;             /* with MOON_CONSUME_SCRIPT */
    struct moon_origin_terms *route; /* counted: instead of the host's origin; NULL: that one */
    struct moon_added_fields to_origin;
    struct moon_added_fields to_client;
};

/* Begins a request from one complete head (gate/request_head.c). Within a turn of `conn`, which has no request. Afterwards conn->request is the request, or
 * NULL when it was answered at once. Views in `bytes` are not kept. */
void moon_request_begin(struct moon_conn *conn, struct moon_str bytes);
/* The head could not be read at all (400, 414, 431), or did not come in time (408): answers, records, closes. */
void moon_request_refuse_head(struct moon_conn *conn, unsigned status, const char *reason);

/* True when body bytes can be taken now (gate/request_body.c). */
bool moon_request_takes_body(const struct moon_request *request);
/* Reads body bytes off the front of *input. Within a turn. May end the request. */
void moon_request_read_body(struct moon_request *request, struct moon_str *input);
/* The body cannot be taken to its end: answers, or cuts the connection when an answer has begun. Within a turn. */
void moon_request_refuse_body(struct moon_request *request, unsigned status, const char *why);
/* The client has ended or failed: whatever is under way for it ends too. Within a turn; conn->request is NULL afterwards. */
void moon_request_client_gone(struct moon_request *request, const char *why);

/* After the answer is complete: record, release, and tell the connection whether it may go on. Within a turn. */
void moon_request_finish(struct moon_request *request, bool keep);

/* Makes the request outlive this turn before it is known what becomes of it: its texts and its head become copies in its arena, and
 * the views in `facts` (a copy of worker->facts) point to them, as long as the request lives; facts->host is NULL then. The body
 * waits. Within the turn that began it. False when the arena is full: answer with 431. */
bool moon_request_keep(struct moon_request *request, struct moon_facts *facts);
/* worker->head as that of this request: as it is when it was not kept, restored when it was. */
struct moon_http_head *moon_request_head(struct moon_request *request);
/* For those who begin requests and read them to their end. A fresh struct for `conn`, and giving it back. */
struct moon_request *moon_request_take(struct moon_conn *conn);
void moon_request_release(struct moon_request *request);
/* The request outlives this turn: what it borrows becomes its own. False when its arena is full. */
bool moon_request_detach(struct moon_request *request);
/* A copy of worker->head, which is the request's, in its arena, with everything that views it. NULL when the arena is full. */
struct moon_http_head *moon_request_copy_head(struct moon_request *request);

/* True when the connection may be kept after an answer given now. */
bool moon_request_can_keep(const struct moon_request *request);

/* Frees spare request structs beyond a bound; between turns only, so that a finished one stays readable within its turn. */
void moon_request_trim(struct moon_worker *worker);
/* All of them. */
void moon_request_spares_free(struct moon_worker *worker);

#endif
