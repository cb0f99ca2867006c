#include "gate/forward.h"

#include "base/check.h"
#include "base/error.h"
#include "http/write.h"

#define LOOP_NAME "moongate"

#define NAME(literal)                                                                                                  \
    { literal, sizeof(literal) - 1 }

/* Compared after lower-casing and turning every byte that is no letter or digit into "-". */
static const struct moon_str protected_names[] = {
    NAME("client-cert"),       NAME("client-cert-chain"),       NAME("true-client-ip"),
    NAME("x-forwarded-proto"), NAME("x-forwarded-client-cert"),
};
static const struct moon_str protected_prefixes[] = {
    NAME("cf-"), NAME("x-client-cert"), NAME("x-ssl-"), NAME("ssl-client-"), NAME("x-accel-"),
};
/* What the gateway writes itself, and look-alikes of it. */
static const struct moon_str written_names[] = {
    NAME("host"),     NAME("content-length"),    NAME("expect"), NAME("x-forwarded-for"),
    NAME("cdn-loop"), NAME("transfer-encoding"),
};

/* Longer than any name that is looked for: the rest of a name does not matter. */
#define FOLDED_MAX 32

static struct moon_str fold(char folded[FOLDED_MAX], struct moon_str name) {
    size_t len = name.len < FOLDED_MAX ? name.len : FOLDED_MAX;
    for (size_t i = 0; i < len; i++) {
        char c = moon_lower(name.data[i]);
        folded[i] = (c >= 'a' && c <= 'z') || moon_is_digit(c) ? c : '-';
    }
    return moon_str(folded, len);
}

static bool is_among(struct moon_str text, const struct moon_str *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (moon_str_equal(text, names[i]))
            return true;
    return false;
}

static bool is_protected(struct moon_str text) {
    for (size_t i = 0; i < MOON_COUNT(protected_prefixes); i++)
        if (moon_str_starts_with(text, protected_prefixes[i]))
            return true;
    return is_among(text, protected_names, MOON_COUNT(protected_names));
}

bool moon_forward_is_protected(struct moon_str name) {
    char folded[FOLDED_MAX];
    return is_protected(fold(folded, name));
}

/* Names with "_" or "." collapse onto other names in CGI-like origins; such fields do not pass at all. */
static bool is_ambiguous(struct moon_str name) {
    return memchr(name.data, '_', name.len) || memchr(name.data, '.', name.len);
}

static bool passes_to_origin(const struct moon_http_head *head, struct moon_str name) {
    char folded[FOLDED_MAX];
    struct moon_str text = fold(folded, name);
    return !is_ambiguous(name) && !is_protected(text) && !is_among(text, written_names, MOON_COUNT(written_names)) &&
           !moon_http_is_hop_by_hop(head, name);
}

/* What the client sent under `name` (all lines), then ", ", then `own`. */
static int append_to_list(struct moon_buf *out, const struct moon_http_head *head, const char *name,
                          struct moon_str own) {
    struct moon_str key = moon_str_of(name);
    size_t mark = out->len;
    int rc = moon_buf_append_str(out, key);
    if (rc == 0)
        rc = moon_buf_append(out, ": ", 2);
    for (size_t i = 0; i < head->field_count && rc == 0; i++) {
        const struct moon_http_field *field = &head->fields[i];
        if (!moon_str_equal_nocase(field->name, key) || !field->value.len)
            continue;
        if ((rc = moon_buf_append_str(out, field->value)) == 0)
            rc = moon_buf_append(out, ", ", 2);
    }
    if (rc == 0)
        rc = moon_buf_append_str(out, own);
    if (rc == 0)
        rc = moon_buf_append(out, "\r\n", 2);
    if (rc)
        out->len = mark;
    return rc;
}

static bool is_added(const struct moon_added_fields *added, struct moon_str name) {
    for (size_t i = 0; i < added->count; i++)
        if (moon_str_equal_nocase(added->fields[i].name, name))
            return true;
    return false;
}

/* Lines of ours, whole; without those that were added already: nobody shall have to choose between two of one name. */
static int append_lines(struct moon_buf *out, struct moon_str lines, const struct moon_added_fields *added) {
    if (!added->count)
        return moon_buf_append_str(out, lines);
    int rc = 0;
    while (lines.len && rc == 0) {
        const char *colon = memchr(lines.data, ':', lines.len), *end = memchr(lines.data, '\n', lines.len);
        moon_assert(colon && end);
        struct moon_str line = moon_str(lines.data, (size_t)(end - lines.data) + 1);
        if (!is_added(added, moon_str(lines.data, (size_t)(colon - lines.data))))
            rc = moon_buf_append_str(out, line);
        lines.data += line.len;
        lines.len -= line.len;
    }
    return rc;
}

int moon_forward_request(struct moon_buf *out, const struct moon_request *request, const struct moon_http_head *head,
                         struct moon_str certificate) {
    const struct moon_conn *conn = request->conn;
    const struct moon_exchange *exchange = &request->exchange;
    const struct moon_origin_terms *terms = exchange->terms;
    bool tls = conn->service->tls;
    struct moon_str address = moon_str_of(conn->peer_ip);
    int rc = moon_http_write_request_line(out, request->method, request->uri);
    if (rc == 0)
        rc = moon_http_write_field(out, MOON_STR("Host"), terms->host_header.len ? terms->host_header : request->host);
    for (size_t i = 0; i < head->field_count && rc == 0; i++)
        if (passes_to_origin(head, head->fields[i].name))
            rc = moon_http_write_field(out, head->fields[i].name, head->fields[i].value);
    if (rc == 0)
        rc = moon_forward_added_fields(out, &request->to_origin);
    if (rc == 0)
        rc = append_lines(out, certificate, &request->to_origin);
    if (rc == 0 && exchange->to_origin == MOON_HTTP_LENGTH)
        rc = moon_http_write_field_number(out, MOON_STR("Content-Length"), head->content_length);
    else if (rc == 0 && exchange->to_origin == MOON_HTTP_CHUNKED)
        rc = moon_http_write_field(out, MOON_STR("Transfer-Encoding"), MOON_STR("chunked"));
    if (rc == 0 && exchange->websocket) {
        rc = moon_http_write_field(out, MOON_STR("Connection"), MOON_STR("Upgrade"));
        if (rc == 0)
            rc = moon_http_write_field(out, MOON_STR("Upgrade"), MOON_STR("websocket"));
    }
    if (rc == 0)
        rc = moon_http_write_field(out, MOON_STR("CF-Connecting-IP"), address);
    if (rc == 0 && exchange->true_client_ip)
        rc = moon_http_write_field(out, MOON_STR("True-Client-IP"), address);
    if (rc == 0)
        rc = append_to_list(out, head, "X-Forwarded-For", address);
    if (rc == 0)
        rc = moon_http_write_field(out, MOON_STR("X-Forwarded-Proto"), tls ? MOON_STR("https") : MOON_STR("http"));
    if (rc == 0)
        rc = moon_http_write_field(out, MOON_STR("CF-Visitor"),
                                   tls ? MOON_STR("{\"scheme\":\"https\"}") : MOON_STR("{\"scheme\":\"http\"}"));
    if (rc == 0)
        rc = moon_http_write_field(out, MOON_STR("CF-Ray"), moon_str_of(request->ray));
    if (rc == 0)
        rc = append_to_list(out, head, "CDN-Loop", MOON_STR(LOOP_NAME));
    if (rc == 0)
        rc = moon_http_write_end(out);
    return rc;
}

int moon_forward_added_fields(struct moon_buf *out, const struct moon_added_fields *added) {
    int rc = 0;
    for (size_t i = 0; i < added->count && rc == 0; i++)
        rc = moon_http_write_field(out, added->fields[i].name, added->fields[i].value);
    return rc;
}

int moon_forward_response_fields(struct moon_buf *out, const struct moon_http_head *head, bool *has_date) {
    int rc = 0;
    *has_date = false;
    for (size_t i = 0; i < head->field_count && rc == 0; i++) {
        struct moon_str name = head->fields[i].name;
        if (moon_str_equal_nocase(name, MOON_STR("content-length")) ||
            moon_str_equal_nocase(name, MOON_STR("cf-ray")) || moon_http_is_hop_by_hop(head, name) ||
            (name.len > 8 && moon_str_equal_nocase(moon_str(name.data, 8), MOON_STR("x-accel-"))))
            continue;
        if (moon_str_equal_nocase(name, MOON_STR("date")))
            *has_date = true;
        rc = moon_http_write_field(out, name, head->fields[i].value);
    }
    return rc;
}

unsigned moon_forward_loops(const struct moon_http_head *head) {
    unsigned count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        struct moon_str list = head->fields[i].value, element;
        if (!moon_str_equal_nocase(head->fields[i].name, MOON_STR("cdn-loop")))
            continue;
        while (moon_str_next_element(&list, &element))
            if (moon_str_equal_nocase(element, MOON_STR(LOOP_NAME)))
                count++;
    }
    return count;
}
