/* http/head.h — the head of an HTTP/1.1 message, parsed: start line, fields in order, and what they say about framing
 * and the connection. Views borrow from the bytes that were parsed (http/parse.h); nothing here owns memory. One struct
 * per thread is enough: it is large and lives only from parsing to the decision. */
#ifndef MOON_HTTP_HEAD_H
#define MOON_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define MOON_HTTP_FIELDS_MAX 128

/* ffi: begin */
struct moon_http_field {
    struct moon_str name;  /* as sent */
    struct moon_str value; /* without white space at both ends */
};
/* ffi: end */

/* How the body is delimited (RFC 9112 section 6.3). */
enum moon_http_framing {
    MOON_HTTP_NO_BODY = 0,
    MOON_HTTP_LENGTH, /* content_length bytes, possibly 0 */
    MOON_HTTP_CHUNKED,
    MOON_HTTP_UNTIL_CLOSE /* responses only */
};

struct moon_http_head {
    /* requests */
    struct moon_str method; /* as sent: methods are case-sensitive */
    struct moon_str target; /* as sent */
    /* responses */
    unsigned status; /* 100–999 */
    struct moon_str reason;

    unsigned minor_version; /* HTTP/1.minor_version: 0 or 1 */
    struct moon_http_field fields[MOON_HTTP_FIELDS_MAX];
    size_t field_count;

    enum moon_http_framing framing;
    uint64_t content_length; /* with MOON_HTTP_LENGTH */
    bool keep_alive;         /* by version and Connection (RFC 9112 section 9.3); never with MOON_HTTP_UNTIL_CLOSE, nor
                                behind a 204 that announces a body */
    bool expect_continue;    /* request: "Expect: 100-continue" */
    bool upgrade_websocket;  /* HTTP/1.1 only. Request: a GET without a body whose Connection names upgrade and whose
                                only Upgrade is exactly websocket; response with status 101: the same in its fields */
    struct moon_str host;    /* request: the value of the only Host field; {NULL,0} when HTTP/1.0 sent none */
};

/* First field of that name (ASCII case ignored), or NULL. */
const struct moon_http_field *moon_http_find(const struct moon_http_head *head, struct moon_str name);

/* True when a comma-separated field of that name, in any of its lines, has the element (ASCII case ignored). */
bool moon_http_lists(const struct moon_http_head *head, struct moon_str name, struct moon_str element);

/* True for the fields that end at this hop (RFC 9110 section 7.6.1): Connection, Keep-Alive, Proxy-Connection, TE,
 * Trailer, Transfer-Encoding, Upgrade, Proxy-Authenticate, Proxy-Authorization, HTTP2-Settings, and every name that
 * Connection lists in this head. */
bool moon_http_is_hop_by_hop(const struct moon_http_head *head, struct moon_str name);

#endif
