#include "gate/respond.h"

#include "base/check.h"
#include "base/error.h"
#include "http/write.h"

void moon_respond_start(struct moon_request *request, struct moon_buf *out, unsigned status, bool keep) {
    moon_assert(!request->answered);
    request->answered = true;
    request->answer_framed = true;
    request->status = status;
    moon_http_write_status_line(out, status);
    moon_http_write_field(out, MOON_STR("Date"), moon_worker_date(request->conn->worker));
    moon_http_write_field(out, MOON_STR("CF-Ray"), moon_str_of(request->ray));
    if (!keep)
        moon_http_write_field(out, MOON_STR("Connection"), MOON_STR("close"));
    else if (request->minor_version == 0)
        moon_http_write_field(out, MOON_STR("Connection"), MOON_STR("keep-alive"));
}

void moon_respond(struct moon_request *request, unsigned status, struct moon_str content_type, struct moon_str body,
                  const struct moon_http_field *fields, size_t field_count, bool keep) {
    struct moon_conn *conn = request->conn;
    struct moon_buf *out = moon_conn_out(conn);
    size_t mark = out->len;
    bool bodiless = status == 204 || status == 304;
    keep = keep && moon_request_can_keep(request);
    moon_respond_start(request, out, status, keep);
    int rc = 0;
    if (content_type.len && !bodiless)
        rc = moon_http_write_field(out, MOON_STR("Content-Type"), content_type);
    for (size_t i = 0; i < field_count && rc == 0; i++)
        rc = moon_http_write_field(out, fields[i].name, fields[i].value);
    if (rc == 0 && !bodiless)
        rc = moon_http_write_field_number(out, MOON_STR("Content-Length"), body.len);
    if (rc == 0)
        rc = moon_http_write_end(out);
    if (rc == 0 && !bodiless && !request->is_head) {
        while (body.len && rc == 0) { /* in pieces: an answer may be larger than one turn's buffer */
            struct moon_str piece = moon_str(body.data, body.len < 65536 ? body.len : 65536);
            rc = moon_buf_append_str(out, piece);
            moon_conn_flush_if_large(conn);
            body.data += piece.len;
            body.len -= piece.len;
            request->sent += piece.len;
        }
    }
    if (rc != 0) { /* a field that must not be written: whoever made it, nobody sees it */
        out->len = mark;
        request->refusal = "the answer has a field that must not be written";
        moon_conn_abort(conn, false);
        keep = false;
    }
    moon_request_finish(request, keep);
}

/* The words of a page; constant, so that nothing of the input can show. */
static const char *page_text(unsigned status) {
    switch (status) {
    case 400:
        return "The request is malformed and was not forwarded.";
    case 403:
        return "You have been blocked: the rules of this site do not allow this request.";
    case 404:
        return "No site of that name is served here.";
    case 405:
        return "This method is not allowed.";
    case 408:
        return "The request did not come in time.";
    case 413:
        return "The request body is too large.";
    case 414:
        return "The request target is too long.";
    case 417:
        return "The expectation cannot be met.";
    case 421:
        return "This connection was opened for a name with other rules for TLS or client certificates. Use a new connection for this name.";
    case 431:
        return "The request header is too large.";
    case 501:
        return "The request uses a method or an encoding that is not supported.";
    case 502:
        return "The origin could not be reached, or its answer was not valid.";
    case 503:
        return "The gateway cannot serve this request now.";
    case 504:
        return "The origin did not answer in time.";
    case 505:
        return "This version of HTTP is not supported.";
    case 508:
        return "The request came through this gateway too often.";
    case 525:
        return "No TLS connection to the origin could be made.";
    case 526:
        return "The origin's certificate is not valid.";
    case 530:
        return "This site has no origin.";
    default:
        return "The request could not be served.";
    }
}

static size_t join(char *room, size_t size, const struct moon_str *pieces, size_t count) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        moon_assert(pieces[i].len <= size - len);
        memcpy(room + len, pieces[i].data, pieces[i].len);
        len += pieces[i].len;
    }
    return len;
}

void moon_respond_page(struct moon_request *request, unsigned status, const char *reason, bool keep) {
    static const struct moon_http_field fields[] = {{{"Cache-Control", 13}, {"private, no-store", 17}}};
    const struct moon_handler *handler = request->conn->service->handler;
    char page[1024];
    size_t len = 0;
    request->refusal = reason;
    if (handler && handler->refuse) {
        struct moon_handler_response response = {.status = status};
        handler->refuse(handler->data, status, reason, &response);
        moon_respond(request, response.status, MOON_STR_NONE, response.body, response.fields, response.field_count, keep);
        return;
    }
    char number[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10)};
    const struct moon_str code = moon_str(number, sizeof number), title = moon_str_of(moon_http_reason(status)),
                          text = moon_str_of(page_text(status)), ray = moon_str_of(request->ray);
    if (request->wants_json) {
        const struct moon_str pieces[] = {MOON_STR("{\"status\":"), code, MOON_STR(",\"error\":\""), title,
                                          MOON_STR("\",\"message\":\""), text, MOON_STR("\",\"ray\":\""), ray,
                                          MOON_STR("\"}\n")};
        len = join(page, sizeof page, pieces, MOON_COUNT(pieces));
    } else {
        const struct moon_str pieces[] = {
            MOON_STR("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>"), code, MOON_STR(" "), title,
            MOON_STR("</title></head>\n<body><h1>"), code, MOON_STR(" "), title, MOON_STR("</h1><p>"), text,
            MOON_STR("</p><p>Ray ID: <code>"), ray, MOON_STR("</code></p></body></html>\n")};
        len = join(page, sizeof page, pieces, MOON_COUNT(pieces));
    }
    moon_respond(request, status, request->wants_json ? MOON_STR("application/json") : MOON_STR("text/html; charset=utf-8"),
                 moon_str(page, len), fields, MOON_COUNT(fields), keep);
}
