/* gate/handler.h — a handler answers whole requests: all of a listener (the admin API is one), or content of the world's listeners
 * that comes from no origin (gate/hooks.h: content). The request's body is complete (within `body_ceiling`, else 413 was answered
 * already); the answer is given before it returns, or later with moon_handler_answer. */
#ifndef MOON_GATE_HANDLER_H
#define MOON_GATE_HANDLER_H

#include "base/str.h"
#include "http/head.h"

struct moon_request;

struct moon_handler_request {
    struct moon_request *request; /* for a later answer */
    struct moon_str method;
    struct moon_str host;  /* normalised; empty when HTTP/1.0 sent none */
    struct moon_str path;  /* raw */
    struct moon_str query; /* raw, without "?" */
    bool has_query;
    const struct moon_http_field *fields;
    size_t field_count;
    struct moon_str body;
    struct moon_str address; /* the client's, as text */
    struct moon_str ray;
    bool tls;
    bool certificate_presented; /* these are of content only */
    bool certificate_verified;
    bool certificate_revoked;
    struct moon_str fingerprint; /* SHA-256 of the certificate, lower-case hex; empty without one */
};

/* Filled by the handler; views are borrowed until the handler is called again, or the response was copied out (at once). */
struct moon_handler_response {
    unsigned status; /* 200–599 */
    const struct moon_http_field *fields; /* no framing and no connection fields: those are ours */
    size_t field_count;
    struct moon_str body;
    /* Not NULL: there is no answer yet. Its handler gives it within a time of its own choice, unless it is told before that the
     * request has gone. Views of the request do not outlive the call. */
    void *later;
};

/* Answers a request whose answer was put off. Outside of any turn; the request is gone afterwards, and `gone` is not called. */
void moon_handler_answer(struct moon_request *request, const struct moon_handler_response *response);

struct moon_handler {
    void *data;
    size_t body_ceiling;
    void (*serve)(void *data, const struct moon_handler_request *request, struct moon_handler_response *response);
    /* The same for a request that the core refuses before it is complete (malformed, too large, too late): says it in the
     * handler's own form. `reason` is constant. NULL: the core's page. */
    void (*refuse)(void *data, unsigned status, const char *reason, struct moon_handler_response *response);
    /* The client of a request whose answer was put off has gone, and the request with it. May be NULL when none ever is. */
    void (*gone)(void *data, void *later);
};

/* Hands a request to `handler`, once its body is complete. Within a turn. */
void moon_handler_begin(struct moon_request *request, const struct moon_handler *handler);
/* The body is complete: asks the handler, and writes its answer unless that was put off. Within a turn. */
void moon_handler_serve(struct moon_request *request);

#endif
