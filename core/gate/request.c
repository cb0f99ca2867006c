#include "gate/request.h"

#include <stdlib.h>

#include "base/check.h"
#include "gate/record.h"
#include "http/parse.h"

/* What is read and dropped of a body that nobody wants, rather than closing the connection. */
#define DROP_MAX (64 * 1024)

/* ---- memory ---- */

struct moon_request *moon_request_take(struct moon_conn *conn) {
    struct moon_worker *worker = conn->worker;
    struct moon_link *link = moon_list_take_first(&worker->requests);
    struct moon_request *request;
    if (link) {
        worker->spare_requests--;
        request = MOON_LINKED(link, struct moon_request, link);
        /* The arena is empty already, and its inline room need not be cleared. */
        memset((char *)request + offsetof(struct moon_request, ray), 0,
               sizeof *request - offsetof(struct moon_request, ray));
    } else {
        request = moon_new(struct moon_request);
        moon_list_init(&request->link);
        moon_arena_init(&request->arena, MOON_REQUEST_ARENA);
    }
    request->conn = conn;
    request->begun_ns = uv_hrtime();
    request->minor_version = 1;
    request->body.done = true;
    moon_worker_ray(worker, request->ray);
    moon_worker_count(worker, requests);
    conn->request = request;
    return request;
}

/* What policies and handlers keep of it must be let go before the struct is anybody else's. */
static void let_go(struct moon_request *request) {
    void *later = request->later;
    request->later = NULL;
    if (later)
        request->handler->gone(request->handler->data, later);
    if (request->script)
        request->conn->worker->hooks->gone(request->conn->worker->script, request);
}

void moon_request_release(struct moon_request *request) {
    struct moon_worker *worker = request->conn->worker;
    let_go(request);
    if (request->consumer == MOON_CONSUME_PROXY || request->exchange.terms)
        moon_proxy_release(request);
    moon_buf_free(&request->collected);
    moon_origin_terms_unref(&request->route);
    moon_arena_reset(&request->arena);
    moon_list_prepend(&worker->requests, &request->link);
    worker->spare_requests++;
}

void moon_request_trim(struct moon_worker *worker) {
    while (worker->spare_requests > MOON_REQUEST_SPARES) {
        struct moon_link *last = worker->requests.previous;
        moon_list_remove(last);
        worker->spare_requests--;
        free(MOON_LINKED(last, struct moon_request, link));
    }
}

void moon_request_spares_free(struct moon_worker *worker) {
    struct moon_link *link;
    while ((link = moon_list_take_first(&worker->requests)))
        free(MOON_LINKED(link, struct moon_request, link));
    worker->spare_requests = 0;
}

bool moon_request_detach(struct moon_request *request) {
    if (request->head) { /* kept already; what the rules said since is theirs */
        request->rule_id = moon_arena_copy(&request->arena, request->rule_id);
        return request->rule_id.data != NULL;
    }
    struct moon_str *texts[] = {&request->method,  &request->uri,     &request->path,       &request->query,
                                &request->rule_id, &request->matches, &request->fingerprint};
    for (size_t i = 0; i < MOON_COUNT(texts); i++) {
        if (!texts[i]->len)
            continue;
        *texts[i] = moon_arena_copy(&request->arena, *texts[i]);
        if (!texts[i]->data)
            return false;
    }
    return true;
}

static bool copy_fields(struct moon_arena *arena, struct moon_http_head *head) {
    for (size_t i = 0; i < head->field_count; i++) {
        struct moon_http_field *field = &head->fields[i];
        field->name = moon_arena_copy(arena, field->name);
        field->value = moon_arena_copy(arena, field->value);
        if (!field->name.data || !field->value.data)
            return false;
    }
    return true;
}

struct moon_http_head *moon_request_copy_head(struct moon_request *request) {
    struct moon_http_head *head = moon_arena_take(&request->arena, sizeof *head);
    if (!head || !moon_request_detach(request))
        return NULL;
    *head = request->conn->worker->head;
    if (!copy_fields(&request->arena, head))
        return NULL;
    request->raw_uri = moon_arena_copy(&request->arena, request->raw_uri);
    request->raw_path = moon_arena_copy(&request->arena, request->raw_path);
    if (!request->raw_uri.data || !request->raw_path.data)
        return NULL;
    head->method = request->method;
    head->target = MOON_STR_NONE; /* read already */
    head->host = MOON_STR_NONE;
    return head;
}

bool moon_request_keep(struct moon_request *request, struct moon_facts *facts) {
    if (!request->head)
        request->head = moon_request_copy_head(request);
    if (!request->head)
        return false;
    const struct moon_http_head *head = request->head;
    const struct moon_http_field *user_agent = moon_http_find(head, MOON_STR("user-agent"));
    facts->raw_uri = request->raw_uri;
    facts->raw_path = request->raw_path;
    facts->http_host = request->host;
    facts->method = request->method;
    facts->uri = request->uri;
    facts->path = request->path;
    facts->query = request->has_query ? request->query : MOON_STR("");
    facts->user_agent = user_agent ? user_agent->value : MOON_STR("");
    facts->ray = moon_str_of(request->ray);
    facts->fields = head->fields;
    facts->field_count = head->field_count;
    facts->host = NULL; /* of a snapshot that may go */
    request->consumer = MOON_CONSUME_SCRIPT;
    return true;
}

struct moon_http_head *moon_request_head(struct moon_request *request) {
    struct moon_worker *worker = request->conn->worker;
    if (request->head)
        worker->head = *request->head;
    return &worker->head;
}

/* ---- the end ---- */

/* True when the rest of the body is known to be small: reading it costs less than a new connection. */
static bool can_drop_body(const struct moon_request *request) {
    return request->body.framing == MOON_HTTP_LENGTH && request->body.left <= DROP_MAX && !request->expect_continue;
}

bool moon_request_can_keep(const struct moon_request *request) {
    const struct moon_conn *conn = request->conn;
    return request->keep_alive && (request->body.done || can_drop_body(request)) && !conn->parting &&
           !conn->worker->draining;
}

void moon_request_finish(struct moon_request *request, bool keep) {
    struct moon_conn *conn = request->conn;
    moon_assert(conn->request == request && !request->finished);
    moon_record_request(request);
    if (request->blocked)
        moon_worker_count(conn->worker, blocked);
    let_go(request);
    if (request->consumer == MOON_CONSUME_PROXY)
        moon_proxy_release(request);
    request->consumer = MOON_CONSUME_NOTHING;
    request->finished = true;
    if (keep && !request->body.done && can_drop_body(request))
        return; /* until the rest of its body has been read and dropped */
    bool whole = request->body.done;
    moon_request_release(request);
    moon_conn_request_done(conn, keep && whole);
}

void moon_request_client_gone(struct moon_request *request, const char *why) {
    struct moon_conn *conn = request->conn;
    if (!request->finished) {
        if (!request->status)
            request->status = 499; /* for the log only: nobody was answered */
        request->refusal = why;
        moon_record_request(request);
    }
    moon_request_release(request);
    moon_conn_request_done(conn, false);
}
