#include "script/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

#define HANDLES 3

struct moon_process {
    uv_process_t child;
    uv_pipe_t input;
    uv_timer_t deadline;
    uv_write_t write;
    char *text; /* the input, until it is written or the pipe has closed */
    size_t len;
    moon_process_done_fn done; /* NULL: nobody waits any more */
    void *data;
    unsigned open; /* handles that are not closed yet */
    bool running;
    bool late;
    bool freed;
    char failure[128];
};

static void on_closed(uv_handle_t *handle) {
    struct moon_process *process = handle->data;
    if (--process->open || !process->freed)
        return;
    free(process->text);
    free(process);
}

static void close_handle(uv_handle_t *handle) {
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void on_ended(uv_process_t *child, int64_t status, int number) {
    struct moon_process *process = child->data;
    process->running = false;
    uv_timer_stop(&process->deadline);
    if (process->late)
        snprintf(process->failure, sizeof process->failure, "it did not end in time and was killed");
    else if (number)
        snprintf(process->failure, sizeof process->failure, "it was ended by signal %d", number);
    else if (status)
        snprintf(process->failure, sizeof process->failure, "it ended with exit status %d", (int)status);
    if (process->done)
        process->done(process->data);
}

static void on_deadline(uv_timer_t *timer) {
    struct moon_process *process = timer->data;
    process->late = true;
    uv_process_kill(&process->child, SIGKILL);
}

/* A program that does not read to the end has its reasons, and tells them by its exit status. */
static void on_written(uv_write_t *write, int status) {
    struct moon_process *process = write->data;
    (void)status;
    close_handle((uv_handle_t *)&process->input);
}

static int spawn(struct moon_process *process, uv_loop_t *loop, char **words) {
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", language[] = "LANG=C.UTF-8";
    char *environment[] = {path, language, NULL};
    uv_stdio_container_t files[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&process->input},
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
    };
    const uv_process_options_t options = {
        .exit_cb = on_ended,
        .file = words[0],
        .args = words,
        .env = environment,
        .cwd = "/",
        .stdio = files,
        .stdio_count = 3,
    };
    return uv_spawn(loop, &process->child, &options);
}

static void open_handles(struct moon_process *process, uv_loop_t *loop) {
    moon_assert(uv_pipe_init(loop, &process->input, 0) == 0);
    moon_assert(uv_timer_init(loop, &process->deadline) == 0);
    process->input.data = process->deadline.data = process->child.data = process->write.data = process;
    process->open = HANDLES; /* of a program that did not start uv_spawn has made its handle all the same */
}

int moon_process_begin(struct moon_process **out, uv_loop_t *loop, const struct moon_str *words, size_t word_count,
                       struct moon_str input, unsigned timeout_ms, moon_process_done_fn done, void *data,
                       struct moon_diag *diag) {
    char *texts[MOON_PROCESS_WORDS + 1] = {NULL};
    *out = NULL;
    if (!word_count || word_count > MOON_PROCESS_WORDS || !words[0].len) {
        moon_diag_set(diag, "command", "has no words, or too many");
        return MOON_EREFUSED;
    }
    struct moon_process *process = moon_new(struct moon_process);
    for (size_t i = 0; i < word_count; i++)
        texts[i] = moon_strdup(words[i]);
    process->text = moon_strdup(input);
    process->len = input.len;
    process->done = done;
    process->data = data;
    open_handles(process, loop);
    int rc = spawn(process, loop, texts);
    if (rc)
        moon_diag_set(diag, texts[0], "cannot be started: %s", uv_strerror(rc));
    for (size_t i = 0; i < word_count; i++)
        free(texts[i]);
    if (rc) {
        moon_process_free(&process);
        return MOON_ESYSTEM;
    }
    process->running = true;
    uv_update_time(loop);
    uv_timer_start(&process->deadline, on_deadline, timeout_ms, 0);
    const uv_buf_t bytes = uv_buf_init(process->text, (unsigned)process->len);
    if (uv_write(&process->write, (uv_stream_t *)&process->input, &bytes, 1, on_written) != 0)
        close_handle((uv_handle_t *)&process->input);
    *out = process;
    return 0;
}

void moon_process_free(struct moon_process **pointer) {
    struct moon_process *process = *pointer;
    *pointer = NULL;
    if (!process)
        return;
    process->done = NULL;
    process->freed = true;
    if (process->running)
        uv_process_kill(&process->child, SIGKILL);
    close_handle((uv_handle_t *)&process->input);
    close_handle((uv_handle_t *)&process->deadline);
    close_handle((uv_handle_t *)&process->child);
}

const char *moon_process_failure(const struct moon_process *process) {
    return process->failure;
}
