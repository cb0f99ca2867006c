#include "http/target.h"

#include "http/chars.h"

bool moon_http_is_target(struct moon_str text) {
    return text.len > 0 && moon_http_are_chars(text, MOON_HTTP_TARGET);
}

static int refuse(int status, const char **reason, const char *text) {
    *reason = text;
    return status;
}

/* An authority as the world sees it: normalised host into `out` (room for MOON_HOSTNAME_MAX + 1), its length, the port.
 */
static bool read_authority(struct moon_str authority, char *out, size_t *len, unsigned *port) {
    struct moon_str host;
    if (!moon_authority_split(authority, &host, port))
        return false;
    int size = moon_hostname_normalise(out, host, true);
    *len = size > 0 ? (size_t)size : 0;
    return size > 0;
}

static void split_query(struct moon_http_target *target) {
    const char *mark = memchr(target->uri.data, '?', target->uri.len);
    size_t path = mark ? (size_t)(mark - target->uri.data) : target->uri.len;
    target->path = moon_str(target->uri.data, path);
    target->has_query = mark != NULL;
    target->query = mark ? moon_str(mark + 1, target->uri.len - path - 1) : MOON_STR_NONE;
}

/* `text` with its scheme and "//" taken off; false when it does not begin with that scheme (any case). */
static bool take_scheme(struct moon_str *text, bool tls) {
    struct moon_str scheme = tls ? MOON_STR("https://") : MOON_STR("http://");
    if (text->len < scheme.len || !moon_str_equal_nocase(moon_str(text->data, scheme.len), scheme))
        return false;
    *text = moon_str(text->data + scheme.len, text->len - scheme.len);
    return true;
}

/* Sets uri and the authority; *authority stays empty unless the target is in absolute-form. */
static int read_form(struct moon_http_target *target, const struct moon_http_head *head, bool tls,
                     struct moon_str *authority, const char **reason) {
    struct moon_str text = head->target;
    bool options = moon_str_equal(head->method, MOON_STR("OPTIONS"));
    if (text.data[0] == '/') {
        target->uri = text;
        return 0;
    }
    if (moon_str_equal(text, MOON_STR("*"))) {
        target->uri = text;
        return options ? 0 : refuse(400, reason, "the target * belongs to OPTIONS");
    }
    if (!take_scheme(&text, tls))
        return refuse(400, reason, "the target is neither a path nor a URI of this connection's scheme");
    size_t end = 0;
    while (end < text.len && text.data[end] != '/' && text.data[end] != '?')
        end++;
    *authority = moon_str(text.data, end);
    target->uri = moon_str(text.data + end, text.len - end);
    if (!target->uri.len)
        target->uri = options ? MOON_STR("*") : MOON_STR("/"); /* RFC 9112 section 3.2.1, 3.2.4 */
    else if (target->uri.data[0] == '?')
        return refuse(400, reason, "the target has a query without a path"); /* a view cannot add the missing slash */
    return 0;
}

int moon_http_read_target(struct moon_http_target *target, const struct moon_http_head *head, bool tls,
                          const char **reason) {
    char field_host[MOON_HOSTNAME_MAX + 1];
    size_t field_len = 0;
    unsigned field_port = 0, standard = tls ? 443 : 80;
    struct moon_str authority = MOON_STR_NONE;
    *reason = NULL;
    target->host[0] = 0;
    target->host_len = 0;
    target->port = 0;
    target->uri = target->path = target->query = MOON_STR_NONE;
    target->has_query = false;
    if (moon_str_equal(head->method, MOON_STR("CONNECT")))
        return refuse(405, reason, "CONNECT is not served");
    if (!moon_http_is_target(head->target))
        return refuse(400, reason, "the target has a byte that a URI cannot have");
    int status = read_form(target, head, tls, &authority, reason);
    if (status)
        return status;
    if (head->host.data && !read_authority(head->host, field_host, &field_len, &field_port))
        return refuse(400, reason, "the Host field names no host");
    if (authority.data) {
        if (!read_authority(authority, target->host, &target->host_len, &target->port))
            return refuse(400, reason, "the target's authority names no host");
        if (head->host.data &&
            (!moon_str_equal(moon_str(field_host, field_len), moon_str(target->host, target->host_len)) ||
             (field_port ? field_port : standard) != (target->port ? target->port : standard)))
            return refuse(400, reason, "the target and the Host field name different hosts");
    } else if (head->host.data) {
        memcpy(target->host, field_host, field_len + 1);
        target->host_len = field_len;
        target->port = field_port;
    }
    split_query(target);
    return 0;
}
