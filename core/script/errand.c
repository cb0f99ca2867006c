#include "script/errand.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/text_lookup.h"
#include "script/control.h"
#include "script/crl_reading.h"
#include "script/outgoing.h"
#include "script/process.h"
#include "script/saving.h"
#include "tls/crypto.h"
#include "tls/keyring.h"

#define UNDER_WAY_MAX 32
#define PREFIX_BYTES 64 /* of a header with a secret */

struct moon_errands {
    uv_loop_t *loop;
    struct moon_outgoing *outgoing;
    struct moon_link list;
    unsigned count;
    uint64_t last_id;
    moon_errand_done_fn done;
    void *data;
};

/* The loop's next turn. Freed by the loop. */
struct turn {
    uv_timer_t timer;
    struct errand *errand;
};

struct errand {
    struct moon_link link;
    struct moon_errands *errands;
    uint64_t id;
    struct moon_outgoing_request *request; /* one of these six */
    struct moon_crl_reading *reading;
    struct moon_process *process;
    struct moon_saving *saving;
    struct moon_text_lookup *lookup;
    struct turn *turn;
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

static void on_turn_closed(uv_handle_t *handle) {
    free(handle->data);
}

static void end(struct errand *errand) {
    if (errand->turn)
        uv_close((uv_handle_t *)&errand->turn->timer, on_turn_closed);
    moon_outgoing_free(&errand->request);
    moon_crl_reading_free(&errand->reading);
    moon_process_free(&errand->process);
    moon_saving_free(&errand->saving);
    moon_text_lookup_free(&errand->lookup);
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

/* The header with the secret in it, in a room that the caller wipes. */
static int open_secret(char *room, struct moon_str *line, const struct moon_ffi_request *request,
                       struct moon_keyring *ring, struct moon_diag *diag) {
    size_t len = 0;
    if (!ring || request->secret_prefix.len > PREFIX_BYTES) {
        moon_diag_set(diag, "secret", ring ? "the name of its header is too long" : "its keys are not there");
        return MOON_EREFUSED;
    }
    memcpy(room, request->secret_prefix.data, request->secret_prefix.len);
    int rc =
        moon_keyring_unseal(ring, room + request->secret_prefix.len, &len, request->sealed, request->context, diag);
    *line = moon_str(room, rc ? 0 : request->secret_prefix.len + len);
    return rc;
}

static int begin_request(struct errand *errand, const struct moon_ffi_request *request, struct moon_keyring *ring,
                         struct moon_diag *diag) {
    struct moon_str headers[MOON_OUTGOING_HEADERS];
    struct moon_outgoing_options options = {
        .method = request->method,
        .url = request->url,
        .headers = headers,
        .header_count = request->header_count,
        .body = request->body,
        .ca = request->ca,
        .timeout_ms = request->timeout_ms,
        .max_bytes = request->max_bytes,
        .allow_local = request->allow_local,
    };
    if (request->header_count >= MOON_OUTGOING_HEADERS) {
        moon_diag_set(diag, "headers", "are too many");
        return MOON_EREFUSED;
    }
    for (size_t i = 0; i < request->header_count; i++)
        headers[i] = request->headers[i];
    char *room = NULL;
    int rc = 0;
    if (request->sealed.len) {
        room = moon_alloc(PREFIX_BYTES + MOON_SECRET_BYTES);
        rc = open_secret(room, &headers[options.header_count++], request, ring, diag);
    }
    if (rc == 0)
        rc = moon_outgoing_begin(&errand->request, errand->errands->outgoing, &options, on_done, errand, diag);
    if (room)
        moon_wipe(room, PREFIX_BYTES + MOON_SECRET_BYTES);
    free(room);
    return rc;
}

static uint64_t begun(struct errand *errand, int rc) {
    if (rc == 0)
        return errand->id;
    end(errand);
    return 0;
}

uint64_t moon_ffi_errand_request(struct moon_control *control, const struct moon_ffi_request *request,
                                 struct moon_keyring *ring, struct moon_diag *diag) {
    struct errand *errand = begin(control->errands, diag);
    return errand ? begun(errand, begin_request(errand, request, ring, diag)) : 0;
}

uint64_t moon_ffi_errand_command(struct moon_control *control, const struct moon_str *words, size_t word_count,
                                 struct moon_str input, unsigned timeout_ms, struct moon_diag *diag) {
    struct errand *errand = begin(control->errands, diag);
    if (!errand)
        return 0;
    return begun(errand, moon_process_begin(&errand->process, errand->errands->loop, words, word_count, input,
                                            timeout_ms, on_done, errand, diag));
}

static void on_turn(uv_timer_t *timer) {
    struct turn *turn = timer->data;
    on_done(turn->errand);
}

uint64_t moon_ffi_errand_turn(struct moon_control *control, struct moon_diag *diag) {
    struct errand *errand = begin(control->errands, diag);
    if (!errand)
        return 0;
    struct turn *turn = moon_new(struct turn);
    turn->errand = errand;
    turn->timer.data = turn;
    moon_assert(uv_timer_init(control->errands->loop, &turn->timer) == 0);
    uv_update_time(control->errands->loop);
    uv_timer_start(&turn->timer, on_turn, 1, 0); /* 1 ms: not before what has come in meanwhile is looked at */
    errand->turn = turn;
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

uint64_t moon_ffi_errand_save(struct moon_control *control, const char *path, const struct moon_str *pieces, size_t count,
                              struct moon_diag *diag) {
    struct errand *errand = begin(control->errands, diag);
    if (!errand)
        return 0;
    errand->saving = moon_saving_begin(control->errands->loop, path, pieces, count, on_done, errand);
    return errand->id;
}

int moon_ffi_errand_save_result(struct moon_control *control, uint64_t id, struct moon_diag *diag) {
    const struct errand *errand = find(control, id);
    moon_assert(errand && errand->is_done && errand->saving);
    return moon_saving_result(errand->saving, diag);
}

void moon_ffi_errand_await_saves(struct moon_control *control) {
    struct moon_errands *errands = control->errands;
    for (struct moon_link *link = errands ? errands->list.next : NULL; link && link != &errands->list; link = link->next) {
        const struct errand *errand = MOON_LINKED(link, struct errand, link);
        if (errand->saving)
            moon_saving_await(errand->saving);
    }
}

uint64_t moon_ffi_errand_text(struct moon_control *control, struct moon_str name, struct moon_str server,
                              struct moon_diag *diag) {
    struct moon_address address;
    if (!name.len || name.len > 255 || memchr(name.data, 0, name.len)) {
        moon_diag_set(diag, "name", "is no name of up to 255 bytes");
        return 0;
    }
    if (server.len && (!moon_address_read(&address, server) || address.sock.any.sa_family != AF_INET)) {
        moon_diag_set(diag, "server", "is no IPv4 address with a port");
        return 0;
    }
    struct errand *errand = begin(control->errands, diag);
    if (!errand)
        return 0;
    errand->lookup =
        moon_text_lookup_begin(control->errands->loop, name, server.len ? &address : NULL, on_done, errand);
    return errand->id;
}

static void outcome_of_lookup(struct moon_ffi_outcome *outcome, const struct moon_text_lookup *lookup) {
    const char *failure = moon_text_lookup_failure(lookup);
    outcome->status = failure ? 0 : 1;
    outcome->body = moon_text_lookup_lines(lookup);
    if (failure)
        outcome->failure = moon_str_of(failure);
}

bool moon_ffi_errand_outcome(struct moon_control *control, uint64_t id, struct moon_ffi_outcome *outcome) {
    const struct errand *errand = find(control, id);
    if (!errand || !errand->is_done)
        return false;
    *outcome = (struct moon_ffi_outcome){0};
    if (errand->process) {
        outcome->failure = moon_str_of(moon_process_failure(errand->process));
        outcome->status = outcome->failure.len ? 0 : 1;
    }
    if (errand->lookup)
        outcome_of_lookup(outcome, errand->lookup);
    if (errand->turn)
        outcome->status = 1;
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
