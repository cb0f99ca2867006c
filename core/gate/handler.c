#include "gate/handler.h"

#include "base/check.h"
#include "gate/request.h"
#include "gate/respond.h"

static void answer(struct moon_request *request, const struct moon_handler_response *response) {
    moon_respond(request, response->status, MOON_STR_NONE, response->body, response->fields, response->field_count,
                 true);
}

void moon_handler_serve(struct moon_request *request) {
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
        return moon_request_detach(request);
    }
    request->fields = moon_arena_take(&request->arena, head->field_count * sizeof *request->fields + 1);
    bool room = request->fields && moon_request_detach(request);
    for (size_t i = 0; i < head->field_count && room; i++) {
        request->fields[i].name = moon_arena_copy(&request->arena, head->fields[i].name);
        request->fields[i].value = moon_arena_copy(&request->arena, head->fields[i].value);
        room = request->fields[i].name.data && request->fields[i].value.data;
    }
    return room;
}

/* What rules or a policy have read of the body already stands in `collected`, and is its beginning. */
void moon_handler_begin(struct moon_request *request, const struct moon_handler *handler) {
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
        moon_request_refuse_body(request, 413, "the body is too large");
    else if (request->body.done)
        moon_handler_serve(request);
    else if (request->expect_continue)
        moon_buf_append_str(moon_conn_out(request->conn), MOON_STR("HTTP/1.1 100 Continue\r\n\r\n"));
}
