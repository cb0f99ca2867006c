#include "gate/record.h"

#include <uv.h>

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

/* One sample a second and worker: a scan of the port must not fill a disk. The counter has them all. */
void moon_record_handshake(const struct moon_conn *conn, const char *why) {
    struct moon_worker *worker = conn->worker;
    int64_t now = (int64_t)(uv_now(worker->loop) / 1000);
    if (worker->handshake_logged == now + 1)
        return;
    worker->handshake_logged = now + 1;
    moon_log_begin(worker->log, MOON_LOG_INFO, "tls", "handshake failed");
    moon_log_str(worker->log, "client", moon_str_of(conn->peer_ip));
    moon_log_int(worker->log, "connection", (int64_t)conn->id);
    moon_log_str(worker->log, "sni", moon_conn_server_name(conn));
    moon_log_text(worker->log, "reason", why);
    moon_log_int(worker->log, "failed_so_far", (int64_t)worker->tally.handshakes_failed);
    moon_log_end(worker->log);
}
