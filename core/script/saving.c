#include "script/saving.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "tls/crypto.h"

#define DIGEST_LINE 65 /* 64 digits and the line end */

struct moon_saving {
    uv_work_t work;
    uv_sem_t written; /* posted once, when `text` is not looked at any more */
    char *path;
    char *text; /* with room for the line of the digest */
    size_t len;
    struct moon_diag diag;
    int rc;
    bool is_done;
    moon_saving_done_fn done; /* NULL: freed, nobody is told */
    void *data;
};

static void release(struct moon_saving *saving) {
    uv_sem_destroy(&saving->written);
    free(saving->path);
    free(saving->text);
    free(saving);
}

/* On a thread of the pool: nothing else looks at the saving meanwhile. */
static void write_file(uv_work_t *work) {
    struct moon_saving *saving = MOON_CONTAINER(work, struct moon_saving, work);
    unsigned char digest[32];
    moon_sha256(digest, moon_str(saving->text, saving->len));
    moon_hex_write(saving->text + saving->len, digest, sizeof digest, false);
    saving->text[saving->len + DIGEST_LINE - 1] = '\n';
    saving->rc =
        moon_file_replace(saving->path, moon_str(saving->text, saving->len + DIGEST_LINE), 0600, &saving->diag);
    uv_sem_post(&saving->written);
}

static void on_written(uv_work_t *work, int status) {
    struct moon_saving *saving = MOON_CONTAINER(work, struct moon_saving, work);
    if (!saving->done) {
        release(saving);
        return;
    }
    moon_assert(status == 0); /* only a freed one is cancelled */
    saving->is_done = true;
    saving->done(saving->data);
}

struct moon_saving *moon_saving_begin(uv_loop_t *loop, const char *path, const struct moon_str *pieces, size_t count,
                                      moon_saving_done_fn done, void *data) {
    struct moon_saving *saving = moon_new(struct moon_saving);
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += pieces[i].len;
    saving->text = moon_alloc(len + DIGEST_LINE + 1);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len)
            memcpy(saving->text + saving->len, pieces[i].data, pieces[i].len);
        saving->len += pieces[i].len;
    }
    saving->path = moon_strdup(moon_str_of(path));
    saving->done = done;
    saving->data = data;
    moon_assert(uv_sem_init(&saving->written, 0) == 0);
    moon_assert(uv_queue_work(loop, &saving->work, write_file, on_written) == 0);
    return saving;
}

int moon_saving_result(const struct moon_saving *saving, struct moon_diag *diag) {
    moon_assert(saving->is_done);
    *diag = saving->diag;
    return saving->rc;
}

void moon_saving_await(struct moon_saving *saving) {
    uv_sem_wait(&saving->written);
    uv_sem_post(&saving->written); /* whoever asks again need not wait */
}

void moon_saving_free(struct moon_saving **pointer) {
    struct moon_saving *saving = *pointer;
    *pointer = NULL;
    if (!saving)
        return;
    saving->done = NULL;
    if (saving->is_done)
        release(saving);
    else
        uv_cancel((uv_req_t *)&saving->work); /* when it is under way already, on_written frees it all the same */
}
