#include "gate/inspect.h"

#include "base/error.h"
#include "gate/respond.h"
#include "gate/route.h"

/* One span beyond what the rules see may come with the last of it. */
#define COLLECT_CEILING (MOON_INSPECT_BYTES + MOON_RECEIVE_ROOM)

void moon_inspect_begin(struct moon_request *request) {
    struct moon_facts facts = request->conn->worker->facts;
    if (!moon_request_keep(request, &facts)) {
        moon_respond_page(request, 431, "the head is too large", true);
        return;
    }
    request->consumer = MOON_CONSUME_RULES;
    moon_buf_init(&request->collected, COLLECT_CEILING);
    if (request->expect_continue) {
        request->expect_continue = false; /* said now, and not again by the proxy */
        moon_buf_append_str(moon_conn_out(request->conn), MOON_STR("HTTP/1.1 100 Continue\r\n\r\n"));
    }
}

void moon_inspect_take(struct moon_request *request, struct moon_str payload) {
    if (moon_buf_append_str(&request->collected, payload) != 0) {
        moon_respond_page(request, 413, "the body is too large", false);
        return;
    }
    if (request->body.done || request->collected.len >= MOON_INSPECT_BYTES) {
        request->inspected = true;
        moon_request_ask_again(request);
    }
}
