#include "script/errand.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "script/control.h"
#include "script/crl_reading.h"
#include "script/outgoing.h"

#define UNDER_WAY_MAX 32

struct moon_errands {
    uv_loop_t *loop;
    struct moon_outgoing *outgoing;
    struct moon_link list;
    unsigned count;
    uint64_t last_id;
    moon_errand_done_fn done;
    void *data;
};

struct errand {
    struct moon_link link;
    struct moon_errands *errands;
    uint64_t id;
    struct moon_outgoing_request *request; /* this or the next one is there */
    struct moon_crl_reading *reading;
    bool is_done;
};

int moon_errands_open(struct moon_errands **out, uv_loop_t *loop, struct moon_diag *diag) {
    struct moon_errands *errands = moon_new(struct moon_errands);
    errands->loop = loop;
    moon_list_init(&errands->list);
    int rc = moon_outgoing_open(&errands->outgoing, loop, diag);
    if (rc) {
        free(errands);
        errands = NULL;
    }
    *out = errands;
    return rc;
}

void moon_errands_listen(struct moon_errands *errands, moon_errand_done_fn done, void *data) {
    errands->done = done;
    errands->data = data;
}

static void end(struct errand *errand) {
    moon_outgoing_free(&errand->request);
    moon_crl_reading_free(&errand->reading);
    moon_list_remove(&errand->link);
    errand->errands->count--;
    free(errand);
}

void moon_errands_close(struct moon_errands **pointer) {
    struct moon_errands *errands = *pointer;
    *pointer = NULL;
    if (!errands)
        return;
    while (!moon_list_is_empty(&errands->list))
        end(MOON_LINKED(errands->list.next, struct errand, link));
    moon_outgoing_close(&errands->outgoing);
    free(errands);
}

static struct errand *find(struct moon_control *control, uint64_t id) {
    struct moon_errands *errands = control->errands;
    if (!errands)
        return NULL;
    for (struct moon_link *link = errands->list.next; link != &errands->list; link = link->next) {
        struct errand *errand = MOON_LINKED(link, struct errand, link);
        if (errand->id == id)
            return errand;
    }
    return NULL;
}

static void on_done(void *data) {
    struct errand *errand = data;
    struct moon_errands *errands = errand->errands;
    errand->is_done = true;
    if (errands->done)
        errands->done(errands->data, errand->id); /* the errand is gone afterwards, as a rule */
}

/* NULL with diag: none may begin now. */
static struct errand *begin(struct moon_errands *errands, struct moon_diag *diag) {
    if (!errands) {
        moon_diag_set(diag, "errands", "nothing can be sent from here");
        return NULL;
    }
    if (errands->count >= UNDER_WAY_MAX) {
        moon_diag_set(diag, "errands", "too many are under way (%d)", UNDER_WAY_MAX);
        return NULL;
    }
    struct errand *errand = moon_new(struct errand);
    errand->errands = errands;
    errand->id = ++errands->last_id;
    moon_list_append(&errands->list, &errand->link);
    errands->count++;
    return errand;
}

uint64_t moon_ffi_errand_request(struct moon_control *control, const struct moon_ffi_request *request,
                                 struct moon_diag *diag) {
    struct errand *errand = begin(control->errands, diag);
    if (!errand)
        return 0;
    const struct moon_outgoing_options options = {
        .method = request->method,
        .url = request->url,
        .headers = request->headers,
        .header_count = request->header_count,
        .body = request->body,
        .ca = request->ca,
        .timeout_ms = request->timeout_ms,
        .max_bytes = request->max_bytes,
        .allow_local = request->allow_local,
    };
    if (moon_outgoing_begin(&errand->request, control->errands->outgoing, &options, on_done, errand, diag) != 0) {
        end(errand);
        return 0;
    }
    return errand->id;
}

uint64_t moon_ffi_errand_crl(struct moon_control *control, struct moon_str text, struct moon_str issuer,
                             struct moon_diag *diag) {
    struct errand *errand = begin(control->errands, diag);
    if (!errand)
        return 0;
    errand->reading = moon_crl_reading_begin(control->errands->loop, text, issuer, on_done, errand);
    return errand->id;
}

int moon_ffi_errand_crl_take(struct moon_control *control, uint64_t id, struct moon_crl **out, struct moon_diag *diag) {
    const struct errand *errand = find(control, id);
    moon_assert(errand && errand->is_done && errand->reading);
    return moon_crl_reading_take(errand->reading, out, diag);
}

bool moon_ffi_errand_outcome(struct moon_control *control, uint64_t id, struct moon_ffi_outcome *outcome) {
    const struct errand *errand = find(control, id);
    if (!errand || !errand->is_done)
        return false;
    *outcome = (struct moon_ffi_outcome){0};
    if (!errand->request)
        return true;
    outcome->status = moon_outgoing_status(errand->request);
    outcome->body = moon_outgoing_body(errand->request);
    outcome->failure = moon_str_of(moon_outgoing_failure(errand->request));
    return true;
}

void moon_ffi_errand_end(struct moon_control *control, uint64_t id) {
    struct errand *errand = find(control, id);
    if (errand)
        end(errand);
}
