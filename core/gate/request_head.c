#include "gate/request.h"

#include "gate/handler.h"
#include "gate/respond.h"
#include "gate/route.h"
#include "http/normalise.h"
#include "http/parse.h"

static void refuse(struct moon_request *request, unsigned status, const char *reason) {
    request->keep_alive = false; /* framing is in doubt: what follows must not be read as a request */
    request->body.done = false;
    moon_worker_count(request->conn->worker, refused);
    moon_respond_page(request, status, reason, false);
}

void moon_request_refuse_head(struct moon_conn *conn, unsigned status, const char *reason) {
    struct moon_request *request = moon_request_take(conn);
    refuse(request, status, reason);
}

/* What the client would rather read on an error page. */
static bool prefers_json(struct moon_str accept) {
    static const char json[] = "application/json";
    const char *found = accept.len ? memmem(accept.data, accept.len, json, sizeof json - 1) : NULL;
    return found && !memmem(accept.data, accept.len, "text/html", 9);
}

/* Reads the head and fills the request; false when it was refused (and answered). */
static bool read_head(struct moon_request *request, struct moon_str bytes, struct moon_str *user_agent) {
    struct moon_conn *conn = request->conn;
    struct moon_worker *worker = conn->worker;
    struct moon_http_head *head = &worker->head;
    const struct moon_limits *set = &worker->options->limits;
    struct moon_http_limits limits = {
        .start_line = set->start_line, .field = set->field, .fields = set->head, .field_count = set->fields};
    const char *reason = "";
    int status = moon_http_parse_request(head, bytes, &limits, &reason);
    if (status == 0)
        status = moon_http_read_target(&request->target, head, conn->service->tls, &reason);
    if (status != 0) {
        refuse(request, (unsigned)status, reason);
        return false;
    }
    request->method = head->method;
    request->minor_version = head->minor_version;
    /* Whoever asks to switch may go on in the other protocol at once: nothing behind it is ever read as a request. */
    request->keep_alive = head->keep_alive && !head->upgrade_websocket;
    request->is_head = moon_str_equal(head->method, MOON_STR("HEAD"));
    request->expect_continue = head->expect_continue && head->minor_version == 1;
    request->uri = request->target.uri;
    request->path = request->target.path;
    request->query = request->target.query;
    request->has_query = request->target.has_query;
    request->host = moon_str(request->target.host, request->target.host_len);
    *user_agent = MOON_STR("");
    for (size_t i = 0; i < head->field_count; i++) {
        struct moon_str name = head->fields[i].name;
        if (name.len == 6 && moon_str_equal_nocase(name, MOON_STR("accept")))
            request->wants_json = prefers_json(head->fields[i].value);
        else if (name.len == 10 && moon_str_equal_nocase(name, MOON_STR("user-agent")))
            *user_agent = head->fields[i].value;
    }
    moon_http_body_init(&request->body, head->framing, head->content_length);
    return true;
}

/* From here on there is one spelling of the path, for rules, log and origin. False when the arena is full. */
static bool normalise(struct moon_request *request) {
    request->raw_uri = request->uri;
    request->raw_path = request->path;
    if (moon_http_path_is_normal(request->path))
        return true;
    size_t query = request->has_query ? request->query.len + 1 : 0;
    char *room = moon_arena_take(&request->arena, 3 * request->path.len + query);
    if (!room)
        return false;
    size_t len = moon_http_normalise_path(room, request->path);
    if (query) {
        room[len] = '?';
        if (query > 1)
            memcpy(room + len + 1, request->query.data, query - 1);
        request->query = moon_str(room + len + 1, query - 1);
    }
    request->path = moon_str(room, len);
    request->uri = moon_str(room, len + query);
    return true;
}

static void serve_world(struct moon_request *request, struct moon_str user_agent) {
    struct moon_conn *conn = request->conn;
    struct moon_worker *worker = conn->worker;
    if (!request->host.len) { /* HTTP/1.0 without Host: the name the connection was opened for, if any */
        struct moon_str name = moon_conn_server_name(conn);
        if (!name.len) {
            moon_worker_count(worker, refused);
            moon_respond_page(request, 400, "no Host, and no server name either", false);
            return;
        }
        memcpy(request->target.host, name.data, name.len);
        request->target.host[name.len] = 0;
        request->target.host_len = name.len;
        request->host = moon_str(request->target.host, name.len);
    }
    if (!normalise(request)) {
        moon_respond_page(request, 414, "the path is too long to be normalised", true);
        return;
    }
    if (request->body.framing == MOON_HTTP_LENGTH && request->body.left > worker->options->limits.body) {
        moon_request_refuse_body(request, 413, "the body is too large");
        return;
    }
    moon_request_route(request, user_agent);
}

void moon_request_begin(struct moon_conn *conn, struct moon_str bytes) {
    struct moon_request *request = moon_request_take(conn);
    struct moon_str user_agent;
    if (!read_head(request, bytes, &user_agent))
        return;
    if (conn->service->handler)
        moon_handler_begin(request, conn->service->handler);
    else
        serve_world(request, user_agent);
}
