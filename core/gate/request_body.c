#include "gate/request.h"

#include "base/check.h"
#include "gate/handler.h"
#include "gate/inspect.h"
#include "gate/respond.h"

bool moon_request_takes_body(const struct moon_request *request) {
    if (request->body.done)
        return false;
    if (request->consumer == MOON_CONSUME_SCRIPT)
        return request->wants_body;
    return request->consumer != MOON_CONSUME_PROXY || moon_proxy_takes_body(request);
}

void moon_request_refuse_body(struct moon_request *request, unsigned status, const char *why) {
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
        moon_request_refuse_body(request, 400, "the body is malformed");
        return;
    }
    if (request->body.payload > ceiling) {
        moon_request_refuse_body(request, 413, "the body is too large");
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
            moon_request_refuse_body(request, 413, "the body is too large");
        else if (request->body.done)
            moon_handler_serve(request);
        break;
    case MOON_CONSUME_SCRIPT:
        if (moon_buf_append_str(&request->collected, payload) != 0)
            moon_request_refuse_body(request, 413, "the body is too large for the policy");
        else if (request->body.done)
            conn->worker->hooks->body(conn->worker->script, request);
        break;
    case MOON_CONSUME_NOTHING:
        if (request->body.done) {
            bool finished = request->finished;
            moon_assert(finished);
            moon_request_release(request);
            moon_conn_request_done(conn, true);
        }
        break;
    }
}
