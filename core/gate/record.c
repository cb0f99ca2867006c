#include "gate/record.h"

#include <stdio.h>
#include <uv.h>

/* Lines a second and worker: a scan of the port must not fill a disk. What is left out is counted. */
#define FAILED_LINES 1
#define CERTIFICATE_LINES 10
/* Of the names of CAs. */
#define NAMES_CEILING 512

/* What the presented certificate was worth, in the words of certVerified: "SUCCESS", "NONE", "FAILED:<reason>". */
static void log_result(struct moon_log_channel *log, bool presented, bool verified, bool revoked, int error) {
    char text[128];
    if (!presented || (verified && !revoked)) {
        moon_log_text(log, "certificate", presented ? "SUCCESS" : "NONE");
        return;
    }
    snprintf(text, sizeof text, "FAILED:%s", verified ? "certificate revoked" : moon_verify_error_text(error));
    moon_log_text(log, "certificate", text);
}

void moon_record_request(const struct moon_request *request) {
    const struct moon_conn *conn = request->conn;
    struct moon_log_channel *log = conn->worker->log;
    bool fault = request->status >= 500;
    enum moon_log_level level = fault ? MOON_LOG_WARN : MOON_LOG_INFO;
    if (!moon_log_wants(log, level))
        return;
    moon_log_begin(log, level, conn->service->handler ? "admin" : "request", request->blocked ? "blocked" : "served");
    moon_log_str(log, "ray", moon_str_of(request->ray));
    moon_log_str(log, "client", moon_str_of(conn->peer_ip));
    moon_log_int(log, "connection", (int64_t)conn->id);
    moon_log_str(log, "method", request->method);
    moon_log_str(log, "host", request->host);
    struct moon_str name = moon_conn_server_name(conn);
    if (conn->tls && !moon_str_equal(name, request->host))
        moon_log_str(log, "sni", name);
    moon_log_str(log, "path", request->path); /* without the query: it may carry secrets */
    moon_log_int(log, "status", request->status);
    moon_log_int(log, "sent", (int64_t)request->sent);
    moon_log_int(log, "received", (int64_t)request->body.payload);
    moon_log_int(log, "us", (int64_t)((uv_hrtime() - request->begun_ns) / 1000));
    moon_log_int(log, "generation", (int64_t)conn->worker->generation);
    if (request->rule_id.len)
        moon_log_str(log, "rule", request->rule_id);
    if (request->matches.len)
        moon_log_str(log, "matched", request->matches);
    if (request->certificate_asked)
        log_result(log, request->certificate_presented, request->certificate_verified, request->certificate_revoked,
                   request->verify_error);
    if (request->certificate_presented) {
        moon_log_str(log, "fingerprint", request->fingerprint);
        moon_log_bool(log, "verified", request->certificate_verified);
        if (request->certificate_revoked)
            moon_log_bool(log, "revoked", true);
        if (request->certificate_lacks_usage)
            moon_log_bool(log, "lacks_usage", true);
        if (!request->certificate_verified)
            moon_log_text(log, "verify_error", moon_verify_error_text(request->verify_error));
    }
    moon_log_text(log, "reason", request->refusal);
    if (request->origin_error.len)
        moon_log_str(log, "origin_error", request->origin_error);
    moon_log_end(log);
}

/* ---- handshakes ---- */

/* True when there may be another line of this kind in this second; else it is counted. */
static bool may_log(struct moon_worker *worker, struct moon_sample *sample, unsigned lines) {
    int64_t now = (int64_t)(uv_now(worker->loop) / 1000) + 1;
    if (sample->second != now) {
        sample->second = now;
        sample->lines = 0;
    }
    if (sample->lines < lines) {
        sample->lines++;
        return true;
    }
    sample->left_out++;
    return false;
}

static void log_text_of(struct moon_log_channel *log, const char *key, struct moon_peer *peer,
                        enum moon_certificate_text which) {
    struct moon_str text;
    moon_peer_text(peer, which, &text);
    if (text.len)
        moon_log_str(log, key, text);
}

/* Who it was, what came, and what would have been right. */
static void log_handshake(const struct moon_conn *conn, struct moon_sample *sample, const char *what, const char *why) {
    struct moon_log_channel *log = conn->worker->log;
    struct moon_peer *peer = moon_tls_session_peer(conn->tls);
    const struct moon_trust *trust = moon_tls_session_trust(conn->tls);
    moon_log_begin(log, MOON_LOG_INFO, "tls", what);
    moon_log_str(log, "client", moon_str_of(conn->peer_ip));
    moon_log_int(log, "connection", (int64_t)conn->id);
    moon_log_str(log, "sni", moon_conn_server_name(conn));
    if (moon_tls_session_hello_length(conn->tls)) /* a hello came: before, there is no version */
        moon_log_text(log, "version", moon_tls_session_version(conn->tls));
    moon_log_text(log, "reason", why);
    log_text_of(log, "cert_subject", peer, MOON_CERTIFICATE_SUBJECT_DN);
    log_text_of(log, "cert_issuer", peer, MOON_CERTIFICATE_ISSUER_DN);
    log_text_of(log, "cert_serial", peer, MOON_CERTIFICATE_SERIAL);
    log_text_of(log, "fingerprint", peer, MOON_CERTIFICATE_FINGERPRINT_SHA256);
    if (trust) {
        struct moon_buf names;
        moon_buf_init(&names, NAMES_CEILING);
        moon_log_int(log, "cas", (int64_t)moon_trust_list_names(trust, &names));
        if (names.len)
            moon_log_str(log, "ca_names", moon_buf_view(&names));
        moon_buf_free(&names);
    }
    moon_log_int(log, "left_out", (int64_t)sample->left_out);
    moon_log_end(log);
    sample->left_out = 0;
}

void moon_record_handshake(const struct moon_conn *conn, const char *why) {
    struct moon_sample *sample = &conn->worker->failed_handshakes;
    if (may_log(conn->worker, sample, FAILED_LINES))
        log_handshake(conn, sample, "handshake failed", why);
}

void moon_record_certificate(const struct moon_conn *conn) {
    struct moon_sample *sample = &conn->worker->refused_certificates;
    struct moon_trust *trust = moon_tls_session_trust(conn->tls);
    struct moon_certificate_facts facts;
    if (!trust)
        return;
    moon_peer_facts(moon_tls_session_peer(conn->tls), trust, moon_worker_now(conn->worker), &facts);
    if (!facts.presented || (facts.verified && !facts.revoked) || !may_log(conn->worker, sample, CERTIFICATE_LINES))
        return;
    log_handshake(conn, sample, "client certificate not trusted",
                  facts.revoked ? "certificate revoked" : moon_verify_error_text(facts.verify_error));
}
