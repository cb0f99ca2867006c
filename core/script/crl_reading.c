#include "script/crl_reading.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

struct moon_crl_reading {
    uv_work_t work;
    struct moon_str text, issuer; /* of one allocation, which begins at text.data */
    struct moon_crl *crl;
    struct moon_diag diag;
    int rc;
    bool is_done;
    moon_crl_reading_done_fn done; /* NULL: freed, nobody is told */
    void *data;
};

static void release(struct moon_crl_reading *reading) {
    moon_crl_unref(&reading->crl);
    free((char *)reading->text.data);
    free(reading);
}

/* On a thread of the pool: nothing else looks at the reading meanwhile. */
static void read_list(uv_work_t *work) {
    struct moon_crl_reading *reading = MOON_CONTAINER(work, struct moon_crl_reading, work);
    reading->rc = moon_crl_new(&reading->crl, reading->text, reading->issuer, &reading->diag);
}

static void on_read(uv_work_t *work, int status) {
    struct moon_crl_reading *reading = MOON_CONTAINER(work, struct moon_crl_reading, work);
    if (!reading->done) {
        release(reading);
        return;
    }
    moon_assert(status == 0); /* only a freed one is cancelled */
    reading->is_done = true;
    reading->done(reading->data);
}

struct moon_crl_reading *moon_crl_reading_begin(uv_loop_t *loop, struct moon_str text, struct moon_str issuer,
                                                moon_crl_reading_done_fn done, void *data) {
    struct moon_crl_reading *reading = moon_new(struct moon_crl_reading);
    char *room = moon_alloc(text.len + issuer.len + 1);
    if (text.len)
        memcpy(room, text.data, text.len);
    if (issuer.len)
        memcpy(room + text.len, issuer.data, issuer.len);
    reading->text = moon_str(room, text.len);
    reading->issuer = moon_str(room + text.len, issuer.len);
    reading->done = done;
    reading->data = data;
    moon_assert(uv_queue_work(loop, &reading->work, read_list, on_read) == 0);
    return reading;
}

int moon_crl_reading_take(struct moon_crl_reading *reading, struct moon_crl **out, struct moon_diag *diag) {
    moon_assert(reading->is_done);
    *out = reading->crl;
    *diag = reading->diag;
    reading->crl = NULL;
    return reading->rc;
}

void moon_crl_reading_free(struct moon_crl_reading **pointer) {
    struct moon_crl_reading *reading = *pointer;
    *pointer = NULL;
    if (!reading)
        return;
    reading->done = NULL;
    if (reading->is_done)
        release(reading);
    else
        uv_cancel((uv_req_t *)&reading->work); /* when it is under way already, on_read frees it all the same */
}
