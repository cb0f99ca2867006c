#include "app/request_view.h"

#include <arpa/inet.h>

static struct moon_gate_text shown(struct moon_str text) {
    return (struct moon_gate_text){text.len ? text.data : "", text.len};
}

static struct moon_str part_of_handler(const struct moon_handler_request *request, enum moon_gate_part part) {
    switch (part) {
    case MOON_GATE_METHOD:
        return request->method;
    case MOON_GATE_HOST:
        return request->host;
    case MOON_GATE_PATH:
        return request->path;
    case MOON_GATE_QUERY:
        return request->query;
    case MOON_GATE_ADDRESS:
        return request->address;
    case MOON_GATE_RAY:
        return request->ray;
    case MOON_GATE_FINGERPRINT:
        return request->fingerprint;
    case MOON_GATE_BODY:
        return request->body;
    }
    return MOON_STR_NONE;
}

static struct moon_str address_of(const struct moon_gate_request *request) {
    char *room = ((struct moon_gate_request *)request)->address; /* our own, on the caller's stack: never constant */
    const struct moon_facts *facts = request->facts;
    if (!room[0] && !inet_ntop(facts->ip_len == 4 ? AF_INET : AF_INET6, facts->ip, room, MOON_ADDRESS_TEXT))
        return MOON_STR_NONE;
    return moon_str_of(room);
}

static struct moon_str fingerprint_of(const struct moon_facts *facts) {
    struct moon_str text = MOON_STR_NONE;
    if (facts->certificate.presented)
        moon_peer_text(facts->certificate.peer, MOON_CERTIFICATE_FINGERPRINT_SHA256, &text);
    return text;
}

static struct moon_str part_of_facts(const struct moon_gate_request *request, enum moon_gate_part part) {
    const struct moon_facts *facts = request->facts;
    switch (part) {
    case MOON_GATE_METHOD:
        return facts->method;
    case MOON_GATE_HOST:
        return facts->http_host;
    case MOON_GATE_PATH:
        return facts->path;
    case MOON_GATE_QUERY:
        return facts->query;
    case MOON_GATE_ADDRESS:
        return address_of(request);
    case MOON_GATE_RAY:
        return facts->ray;
    case MOON_GATE_FINGERPRINT:
        return fingerprint_of(facts);
    case MOON_GATE_BODY:
        break;
    }
    return MOON_STR_NONE;
}

struct moon_gate_text moon_gate_request_text(const struct moon_gate_request *request, enum moon_gate_part part) {
    return shown(request->handler ? part_of_handler(request->handler, part) : part_of_facts(request, part));
}

bool moon_gate_request_flag(const struct moon_gate_request *request, enum moon_gate_flag flag) {
    const struct moon_handler_request *handler = request->handler;
    const struct moon_facts *facts = request->facts;
    switch (flag) {
    case MOON_GATE_TLS:
        return handler ? handler->tls : facts->ssl;
    case MOON_GATE_CERT_PRESENTED:
        return handler ? handler->certificate_presented : facts->certificate.presented;
    case MOON_GATE_CERT_VERIFIED:
        return handler ? handler->certificate_verified : facts->certificate.verified;
    case MOON_GATE_CERT_REVOKED:
        return handler ? handler->certificate_revoked : facts->certificate.revoked;
    }
    return false;
}

bool moon_gate_request_header(const struct moon_gate_request *request, const char *name, unsigned index,
                              struct moon_gate_text *value) {
    const struct moon_http_field *fields = request->handler ? request->handler->fields : request->facts->fields;
    size_t count = request->handler ? request->handler->field_count : request->facts->field_count;
    struct moon_str wanted = moon_str_of(name);
    for (size_t i = 0; i < count; i++) {
        if (!moon_str_equal_nocase(fields[i].name, wanted) || index--)
            continue;
        *value = shown(fields[i].value);
        return true;
    }
    *value = shown(MOON_STR_NONE);
    return false;
}
