#include "gate/request.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "gate/forward.h"
#include "gate/inspect.h"
#include "gate/record.h"
#include "gate/respond.h"
#include "http/normalise.h"
#include "http/parse.h"

/* What is read and dropped of a body that nobody wants, rather than closing the connection. */
#define DROP_MAX (64 * 1024)

/* ---- memory ---- */

static struct moon_request *take_request(struct moon_conn *conn) {
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

static void release(struct moon_request *request) {
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

/* The request outlives this turn: what it borrows becomes its own. False when its arena is full. */
static bool detach(struct moon_request *request) {
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

/* Its own copy of the head and of everything that views it. */
static bool copy_head(struct moon_request *request) {
    struct moon_http_head *head = moon_arena_take(&request->arena, sizeof *head);
    if (!head || !detach(request))
        return false;
    *head = request->conn->worker->head;
    if (!copy_fields(&request->arena, head))
        return false;
    request->raw_uri = moon_arena_copy(&request->arena, request->raw_uri);
    request->raw_path = moon_arena_copy(&request->arena, request->raw_path);
    if (!request->raw_uri.data || !request->raw_path.data)
        return false;
    head->method = request->method;
    head->target = MOON_STR_NONE; /* read already */
    head->host = MOON_STR_NONE;
    request->head = head;
    return true;
}

bool moon_request_keep(struct moon_request *request, struct moon_facts *facts) {
    if (!request->head && !copy_head(request))
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
    release(request);
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
    release(request);
    moon_conn_request_done(conn, false);
}

/* ---- the body ---- */

bool moon_request_takes_body(const struct moon_request *request) {
    if (request->body.done)
        return false;
    if (request->consumer == MOON_CONSUME_SCRIPT)
        return request->wants_body;
    return request->consumer != MOON_CONSUME_PROXY || moon_proxy_takes_body(request);
}

static void serve_handler(struct moon_request *request);

static void body_refused(struct moon_request *request, unsigned status, const char *why) {
    request->keep_alive = false;
    moon_worker_count(request->conn->worker, refused);
    if (request->answered) {
        moon_conn_abort(request->conn, false);
        moon_request_client_gone(request, why);
    } else {
        moon_respond_page(request, status, why, false);
    }
}

void moon_request_read_body(struct moon_request *request, struct moon_str *input) {
    struct moon_conn *conn = request->conn;
    uint64_t ceiling = request->handler ? request->handler->body_ceiling : conn->worker->options->limits.body;
    struct moon_str payload = MOON_STR_NONE;
    if (moon_http_body_read(&request->body, input, &payload) != 0) {
        body_refused(request, 400, "the body is malformed");
        return;
    }
    if (request->body.payload > ceiling) {
        body_refused(request, 413, "the body is too large");
        return;
    }
    switch (request->consumer) {
    case MOON_CONSUME_PROXY:
        if (payload.len || request->body.done)
            moon_proxy_upload(request, payload, request->body.done);
        break;
    case MOON_CONSUME_RULES:
        moon_inspect_take(request, payload);
        break;
    case MOON_CONSUME_HANDLER:
        if (moon_buf_append_str(&request->collected, payload) != 0)
            body_refused(request, 413, "the body is too large");
        else if (request->body.done)
            serve_handler(request);
        break;
    case MOON_CONSUME_SCRIPT:
        if (moon_buf_append_str(&request->collected, payload) != 0)
            body_refused(request, 413, "the body is too large for the policy");
        else if (request->body.done)
            conn->worker->hooks->body(conn->worker->script, request);
        break;
    case MOON_CONSUME_NOTHING:
        if (request->body.done) {
            bool finished = request->finished;
            moon_assert(finished);
            release(request);
            moon_conn_request_done(conn, true);
        }
        break;
    }
}

/* ---- handlers ---- */

static void answer(struct moon_request *request, const struct moon_handler_response *response) {
    moon_respond(request, response->status, MOON_STR_NONE, response->body, response->fields, response->field_count,
                 true);
}

static void serve_handler(struct moon_request *request) {
    const struct moon_handler *handler = request->handler;
    struct moon_handler_response response = {.status = 500};
    struct moon_handler_request view = {
        .request = request,
        .method = request->method,
        .host = request->host,
        .path = request->path,
        .query = request->query,
        .has_query = request->has_query,
        .fields = request->fields,
        .field_count = request->field_count,
        .body = moon_buf_view(&request->collected),
        .address = moon_str_of(request->conn->peer_ip),
        .ray = moon_str_of(request->ray),
        .tls = request->conn->tls != NULL,
        .certificate_presented = request->certificate_presented,
        .certificate_verified = request->certificate_verified,
        .certificate_revoked = request->certificate_revoked,
        .fingerprint = request->fingerprint,
    };
    handler->serve(handler->data, &view, &response);
    request->later = response.later;
    if (!response.later)
        answer(request, &response);
}

void moon_handler_answer(struct moon_request *request, const struct moon_handler_response *response) {
    struct moon_conn *conn = request->conn;
    moon_assert(request->later && !request->answered);
    request->later = NULL;
    moon_conn_turn_begin(conn);
    answer(request, response);
    moon_conn_turn_end(conn);
}

/* Copies the head's fields for the handler; those of a request that was kept are copies already. False when the arena is full. */
static bool keep_fields(struct moon_request *request) {
    const struct moon_http_head *head = moon_request_head(request);
    request->field_count = head->field_count;
    if (request->head) {
        request->fields = request->head->fields;
        return detach(request);
    }
    request->fields = moon_arena_take(&request->arena, head->field_count * sizeof *request->fields + 1);
    bool room = request->fields && detach(request);
    for (size_t i = 0; i < head->field_count && room; i++) {
        request->fields[i].name = moon_arena_copy(&request->arena, head->fields[i].name);
        request->fields[i].value = moon_arena_copy(&request->arena, head->fields[i].value);
        room = request->fields[i].name.data && request->fields[i].value.data;
    }
    return room;
}

/* What rules or a policy have read of the body already stands in `collected`, and is its beginning. */
static void begin_handler(struct moon_request *request, const struct moon_handler *handler) {
    request->consumer = MOON_CONSUME_HANDLER;
    request->handler = handler;
    if (!keep_fields(request)) {
        moon_respond_page(request, 431, "the head is too large", true);
        return;
    }
    if (request->collected.ceiling)
        request->collected.ceiling = handler->body_ceiling;
    else
        moon_buf_init(&request->collected, handler->body_ceiling);
    if (request->collected.len > handler->body_ceiling)
        body_refused(request, 413, "the body is too large");
    else if (request->body.done)
        serve_handler(request);
    else if (request->expect_continue)
        moon_buf_append_str(moon_conn_out(request->conn), MOON_STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* ---- the steps ---- */

static void refuse(struct moon_request *request, unsigned status, const char *reason) {
    request->keep_alive = false; /* framing is in doubt: what follows must not be read as a request */
    request->body.done = false;
    moon_worker_count(request->conn->worker, refused);
    moon_respond_page(request, status, reason, false);
}

void moon_request_refuse_head(struct moon_conn *conn, unsigned status, const char *reason) {
    struct moon_request *request = take_request(conn);
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

/* The Host must be a name that this connection's client certificate rules cover (421 otherwise): the trust set asked for under the SNI
 * and the one of the effective host are compared, both in the snapshot of now. No SNI counts as a host with no trust. */
static bool may_use_connection(struct moon_conn *conn, const struct moon_host *host) {
    struct moon_worker *worker = conn->worker;
    if (!conn->tls)
        return true;
    if (conn->sni_serial != worker->serial) {
        struct moon_str name = moon_tls_session_server_name(conn->tls);
        conn->sni_host = name.len ? moon_snapshot_find(worker->snapshot, name) : NULL;
        conn->sni_serial = worker->serial;
    }
    if (conn->sni_host == host)
        return true;
    return moon_trust_same(conn->sni_host ? conn->sni_host->terms.trust : NULL, host ? host->terms.trust : NULL);
}

/* The same for hosts that do not share their connections, whatever the others trust. */
static bool is_under_its_name(const struct moon_request *request, const struct moon_host *host) {
    struct moon_conn *conn = request->conn;
    return !conn->tls || !host || !host->terms.strict_sni ||
           moon_str_equal(moon_tls_session_server_name(conn->tls), request->host);
}

/* A connection that was opened under another name must not bring a version or a suite that this host would not have taken. */
static bool has_met_terms(const struct moon_conn *conn, const struct moon_host *host) {
    const struct moon_host *opened = conn->sni_host;
    return !conn->tls || !host || (opened && opened->terms.policy == host->terms.policy) ||
           moon_tls_session_meets(conn->tls, host->terms.policy);
}

static void fill_facts(struct moon_request *request, const struct moon_host *host, struct moon_str user_agent) {
    struct moon_conn *conn = request->conn;
    struct moon_worker *worker = conn->worker;
    struct moon_facts *facts = &worker->facts;
    facts->http_host = request->host;
    facts->method = request->method;
    facts->uri = request->uri;
    facts->path = request->path;
    facts->query = request->has_query ? request->query : MOON_STR("");
    facts->raw_uri = request->raw_uri;
    facts->raw_path = request->raw_path;
    facts->user_agent = user_agent;
    facts->body_ready = request->body.done || request->inspected;
    struct moon_str seen = request->inspected ? moon_buf_view(&request->collected) : MOON_STR("");
    facts->body = moon_str(seen.data, seen.len < MOON_INSPECT_BYTES ? seen.len : MOON_INSPECT_BYTES);
    facts->body_size = request->body.framing == MOON_HTTP_LENGTH ? request->body.payload + request->body.left
                                                                 : request->body.payload;
    facts->serial++;
    facts->socket = conn->stream.fd;
    facts->ray = moon_str_of(request->ray);
    facts->fields = worker->head.fields;
    facts->field_count = worker->head.field_count;
    facts->ip_len = moon_address_ip(&conn->peer, facts->ip);
    facts->ssl = conn->tls != NULL;
    facts->minor_version = (int)request->minor_version;
    facts->host = host;
    facts->host_id = host->id;
    facts->tls = conn->tls;
    facts->certificate = (struct moon_certificate_facts){0};
    request->certificate_asked = host->terms.trust != NULL;
    if (conn->tls && host->terms.trust) {
        moon_peer_facts(moon_tls_session_peer(conn->tls), host->terms.trust, moon_worker_now(worker), &facts->certificate);
        request->certificate_presented = facts->certificate.presented;
        request->certificate_verified = facts->certificate.verified;
        request->verify_error = facts->certificate.verify_error;
        request->certificate_revoked = facts->certificate.revoked;
        request->certificate_lacks_usage = facts->certificate.lacks_usage;
        if (facts->certificate.presented)
            moon_peer_text(facts->certificate.peer, MOON_CERTIFICATE_FINGERPRINT_SHA256, &request->fingerprint);
    }
}

static void join_matches(struct moon_request *request, const struct moon_verdict *verdict) {
    char text[MOON_VERDICT_MATCHES * 40];
    size_t len = 0;
    for (uint32_t i = 0; i < verdict->match_count && i < MOON_VERDICT_MATCHES; i++) {
        struct moon_str id = verdict->matches[i];
        if (len + id.len + 1 > sizeof text)
            break;
        if (len)
            text[len++] = ',';
        memcpy(text + len, id.data, id.len);
        len += id.len;
    }
    request->matches = moon_arena_copy(&request->arena, moon_str(text, len));
}

/* Asks the rules; false when they stopped the request (and it was answered). */
static bool pass_rules(struct moon_request *request, const struct moon_host *host, struct moon_str user_agent) {
    struct moon_worker *worker = request->conn->worker;
    struct moon_verdict *verdict = &worker->verdict;
    if (!worker->hooks || !worker->hooks->rules)
        return true;
    fill_facts(request, host, user_agent);
    memset(verdict, 0, offsetof(struct moon_verdict, matches));
    verdict->action = MOON_ACTION_FAIL; /* until they say otherwise */
    worker->hooks->rules(worker->script);
    if (verdict->match_count)
        join_matches(request, verdict);
    request->rule_id = verdict->rule_id;
    if (verdict->action == MOON_ACTION_PASS)
        return true;
    if (verdict->action == MOON_ACTION_NEED_BODY && !worker->facts.body_ready) {
        moon_inspect_begin(request);
        return false;
    }
    static const struct moon_http_field private_field[] = {{{"Cache-Control", 13}, {"private, no-store", 17}}};
    request->blocked = true;
    if (verdict->action == MOON_ACTION_BLOCK && verdict->status)
        moon_respond(request, (unsigned)verdict->status, verdict->content_type, verdict->content, private_field, 1, true);
    else
        moon_respond_page(request, 403,
                          verdict->action == MOON_ACTION_BLOCK ? "blocked by a rule" : "the rules could not be evaluated",
                          true);
    return false;
}

/* To whoever answers it: the program that the gateway is part of, or the origin. */
static void hand_on(struct moon_request *request, const struct moon_host *host) {
    const struct moon_hooks *hooks = request->conn->worker->hooks;
    const struct moon_handler *content =
        hooks->content ? hooks->content(hooks->content_data, request->host, request->method, request->path) : NULL;
    if (content) {
        begin_handler(request, content);
        return;
    }
    struct moon_origin_terms *origin = request->route ? request->route : host->terms.origin;
    if (!origin)
        moon_respond_page(request, 530, "the host has no origin", true);
    else if (!detach(request))
        moon_respond_page(request, 431, "the head is too large", true);
    else
        moon_proxy_begin(request, host, origin);
}

void moon_request_go_on(struct moon_request *request) {
    const struct moon_host *host = moon_snapshot_find(request->conn->worker->snapshot, request->host);
    if (host)
        hand_on(request, host);
    else
        moon_respond_page(request, 404, "no section answers for the host any more", true);
}

/* Sends a request that came without TLS to the same place with it. */
static void redirect_to_https(struct moon_request *request) {
    static const char scheme[] = "https://";
    const size_t before = sizeof scheme - 1, host = request->host.len;
    struct moon_str uri = request->uri.data[0] == '/' ? request->uri : MOON_STR("/"); /* "*" is no place */
    char *room = moon_arena_take(&request->arena, before + host + uri.len);
    if (!room) {
        moon_respond_page(request, 431, "the head is too large", true);
        return;
    }
    memcpy(room, scheme, before);
    memcpy(room + before, request->host.data, host);
    memcpy(room + before + host, uri.data, uri.len);
    struct moon_http_field location = {MOON_STR("Location"), moon_str(room, before + host + uri.len)};
    request->refusal = "the host is served over HTTPS only";
    moon_respond(request, 301, MOON_STR_NONE, MOON_STR(""), &location, 1, true);
}

/* Host, rules, policies, origin: by the snapshot of now. */
static void route(struct moon_request *request, struct moon_str user_agent) {
    struct moon_conn *conn = request->conn;
    struct moon_worker *worker = conn->worker;
    const struct moon_host *host = moon_snapshot_find(worker->snapshot, request->host);
    if (!may_use_connection(conn, host)) {
        moon_worker_count(worker, misdirected);
        moon_respond_page(request, 421, "the host has other client CAs than the server name", true);
        return;
    }
    if (!is_under_its_name(request, host)) {
        moon_worker_count(worker, misdirected);
        moon_respond_page(request, 421, "the host is served only under its own server name", true);
        return;
    }
    if (!has_met_terms(conn, host)) {
        moon_worker_count(worker, misdirected);
        moon_respond_page(request, 421, "the connection has a version or cipher of TLS that the host does not take", true);
        return;
    }
    if (!host) {
        moon_respond_page(request, 404, "no section answers for the host", true);
        return;
    }
    if (host->terms.https_only && !conn->tls) {
        redirect_to_https(request);
        return;
    }
    if (!pass_rules(request, host, user_agent))
        return;
    if (worker->head.upgrade_websocket)
        moon_recheck_remember(conn, host, true);
    if (worker->hooks->request && worker->hooks->request(worker->script, request) != MOON_STEP_ON)
        return;
    hand_on(request, host);
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
        body_refused(request, 413, "the body is too large");
        return;
    }
    route(request, user_agent);
}

void moon_request_ask_again(struct moon_request *request) {
    const struct moon_http_field *user_agent = moon_http_find(moon_request_head(request), MOON_STR("user-agent"));
    route(request, user_agent ? user_agent->value : MOON_STR(""));
}

void moon_request_begin(struct moon_conn *conn, struct moon_str bytes) {
    struct moon_request *request = take_request(conn);
    struct moon_str user_agent;
    if (!read_head(request, bytes, &user_agent))
        return;
    if (conn->service->handler)
        begin_handler(request, conn->service->handler);
    else
        serve_world(request, user_agent);
}
