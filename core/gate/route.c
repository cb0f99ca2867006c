#include "gate/route.h"

#include "gate/handler.h"
#include "gate/inspect.h"
#include "gate/recheck.h"
#include "gate/respond.h"
#include "http/parse.h"

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

/* Asks the rules: worker->verdict says all. */
static bool ask_rules(struct moon_request *request, const struct moon_host *host, struct moon_str user_agent) {
    struct moon_worker *worker = request->conn->worker;
    struct moon_verdict *verdict = &worker->verdict;
    if (!worker->hooks || !worker->hooks->rules)
        return true;
    fill_facts(request, host, user_agent);
    memset(verdict, 0, offsetof(struct moon_verdict, matches));
    verdict->action = MOON_ACTION_FAIL; /* until they say otherwise */
    worker->hooks->rules(worker->script);
    return verdict->action == MOON_ACTION_PASS;
}

/* False when the rules stopped the request (and it was answered). */
static bool pass_rules(struct moon_request *request, const struct moon_host *host, struct moon_str user_agent) {
    struct moon_worker *worker = request->conn->worker;
    struct moon_verdict *verdict = &worker->verdict;
    verdict->match_count = 0;
    verdict->rule_id = MOON_STR_NONE;
    bool passed = ask_rules(request, host, user_agent);
    if (verdict->match_count)
        join_matches(request, verdict);
    request->rule_id = verdict->rule_id;
    if (passed)
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
        moon_handler_begin(request, content);
        return;
    }
    struct moon_origin_terms *origin = request->route ? request->route : host->terms.origin;
    if (!origin)
        moon_respond_page(request, 530, "the host has no origin", true);
    else if (!moon_request_detach(request))
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

/* What has to be known of it as long as its tunnel lasts. False when the arena is full (and it was answered). */
static bool prepare_tunnel(struct moon_request *request, const struct moon_host *host) {
    moon_recheck_remember(request->conn, host, true);
    request->asked = moon_request_copy_head(request);
    if (!request->asked)
        moon_respond_page(request, 431, "the head is too large", true);
    return request->asked;
}

/* Host, rules, policies, origin: by the snapshot of now. */
void moon_request_route(struct moon_request *request, struct moon_str user_agent) {
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
    if (worker->head.upgrade_websocket && !prepare_tunnel(request, host))
        return;
    if (worker->hooks->request && worker->hooks->request(worker->script, request) != MOON_STEP_ON)
        return;
    hand_on(request, host);
}

bool moon_request_passes_still(struct moon_request *request, const struct moon_host *host) {
    struct moon_worker *worker = request->conn->worker;
    worker->head = *request->asked;
    const struct moon_http_field *user_agent = moon_http_find(&worker->head, MOON_STR("user-agent"));
    if (ask_rules(request, host, user_agent ? user_agent->value : MOON_STR("")))
        return true;
    request->rule_id = worker->verdict.rule_id; /* for its record, which is written before another snapshot is adopted */
    return false;
}

void moon_request_ask_again(struct moon_request *request) {
    const struct moon_http_field *user_agent = moon_http_find(moon_request_head(request), MOON_STR("user-agent"));
    moon_request_route(request, user_agent ? user_agent->value : MOON_STR(""));
}
