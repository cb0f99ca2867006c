/* load/main.c — moongate-load: sends requests and says what they cost the server. Threads of clients run until told
 * to stop; this file waits until every client has been served once, opens the measuring window, closes it, and prints
 * one JSON object. Every wait ends: when nothing moves for STALL_SECONDS, or errors pile up, the run fails. */
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "watch.h"

#define OPENING_MAX 32 /* connects and handshakes under way per thread: below any server's backlog */
#define EVENTS 128
#define STALL_SECONDS 15
#define ERRORS_MAX 1000

struct run {
    struct moon_load_options options;
    struct moon_load_contexts contexts;
    struct moon_load_watch watch;
    struct moon_load_thread *threads;
    pthread_t *ids;
};

static _Atomic bool measuring;
static _Atomic bool stopping;

struct sample {
    double at; /* seconds, monotonic */
    double cpu;
    uint64_t answers, errors, handshakes, resumed, reconnects, body_in, body_out;
    unsigned served;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- a thread ---- */

static void start_some(struct moon_load_thread *thread) {
    while (thread->started < thread->client_count && thread->opening < OPENING_MAX)
        moon_load_client_start(&thread->clients[thread->started++]);
}

static void *thread_main(void *data) {
    struct moon_load_thread *thread = data;
    struct epoll_event events[EVENTS];
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        start_some(thread);
        int n = epoll_wait(thread->epoll, events, EVENTS, 100);
        for (int i = 0; i < n; i++)
            moon_load_client_advance(events[i].data.ptr);
    }
    return NULL;
}

static int open_threads(struct run *run) {
    const struct moon_load_options *options = &run->options;
    run->threads = calloc(options->threads, sizeof *run->threads);
    run->ids = calloc(options->threads, sizeof *run->ids);
    if (!run->threads || !run->ids)
        abort();
    unsigned number = 0;
    for (unsigned i = 0; i < options->threads; i++) {
        struct moon_load_thread *thread = &run->threads[i];
        thread->options = options;
        thread->contexts = &run->contexts;
        thread->measuring = &measuring;
        thread->sources = i * 32;
        thread->epoll = epoll_create1(EPOLL_CLOEXEC);
        thread->client_count = options->connections / options->threads + (i < options->connections % options->threads);
        thread->clients = calloc(thread->client_count, sizeof *thread->clients);
        thread->room = malloc(MOON_LOAD_ROOM);
        if (thread->epoll < 0 || !thread->clients || !thread->room)
            abort();
        for (unsigned k = 0; k < thread->client_count; k++)
            moon_load_client_init(&thread->clients[k], thread, number++, options->connections);
    }
    for (unsigned i = 0; i < options->threads; i++) {
        if (pthread_create(&run->ids[i], NULL, thread_main, &run->threads[i]) != 0) {
            fputs("moongate-load: no thread can be made\n", stderr);
            return -1;
        }
    }
    return 0;
}

/* ---- looking on ---- */

static struct sample look(const struct run *run) {
    struct sample sample = {.at = now(), .cpu = moon_load_watch_cpu(&run->watch)};
    for (unsigned i = 0; i < run->options.threads; i++) {
        struct moon_load_counters *counters = &run->threads[i].counters;
        sample.answers += atomic_load_explicit(&counters->answers, memory_order_relaxed);
        sample.errors += atomic_load_explicit(&counters->errors, memory_order_relaxed);
        sample.handshakes += atomic_load_explicit(&counters->handshakes, memory_order_relaxed);
        sample.resumed += atomic_load_explicit(&counters->resumed, memory_order_relaxed);
        sample.reconnects += atomic_load_explicit(&counters->reconnects, memory_order_relaxed);
        sample.body_in += atomic_load_explicit(&counters->body_in, memory_order_relaxed);
        sample.body_out += atomic_load_explicit(&counters->body_out, memory_order_relaxed);
        sample.served += atomic_load_explicit(&counters->served, memory_order_relaxed);
    }
    return sample;
}

static const char *first_error(const struct run *run) {
    for (unsigned i = 0; i < run->options.threads; i++)
        if (run->threads[i].first_error[0])
            return run->threads[i].first_error;
    return "";
}

static void doze(double seconds) {
    struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

static bool moved(const struct sample *before, const struct sample *after) {
    return before->answers != after->answers || before->handshakes != after->handshakes ||
           before->body_in != after->body_in || before->body_out != after->body_out;
}

/* Watches until `until` (monotonic; 0: until every client was served). False when nothing moves or errors pile up. */
static bool watch_until(const struct run *run, double until) {
    struct sample last = look(run);
    double last_moved = last.at;
    for (;;) {
        double left = until ? until - now() : 0.02;
        if (until && left <= 0)
            return true;
        doze(left < 0.02 ? left : 0.02);
        struct sample sample = look(run);
        if (!until && sample.served == run->options.connections)
            return true;
        if (moved(&last, &sample))
            last_moved = sample.at;
        last = sample;
        if (sample.errors > ERRORS_MAX || sample.at - last_moved > STALL_SECONDS) {
            fprintf(stderr, "moongate-load: given up: %llu errors, %u of %u connections served, first error: %s\n",
                    (unsigned long long)sample.errors, sample.served, run->options.connections, first_error(run));
            return false;
        }
    }
}

static double own_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print_text(const char *text) { /* our own words and OpenSSL's: nothing beyond ASCII */
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\' || (unsigned char)*text < 0x20)
            printf("\\u%04x", (unsigned char)*text);
        else
            putchar(*text);
    putchar('"');
}

static void print_latency(const struct run *run) {
    static const struct {
        const char *name;
        double share;
    } points[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    struct moon_load_histogram *all = calloc(1, sizeof *all);
    if (!all)
        abort();
    for (unsigned i = 0; i < run->options.threads; i++)
        moon_load_histogram_merge(all, &run->threads[i].latency);
    printf(",\"latency_us\":{");
    for (unsigned i = 0; i < sizeof points / sizeof points[0]; i++)
        printf("%s\"%s\":%llu", i ? "," : "", points[i].name,
               (unsigned long long)moon_load_histogram_at(all, points[i].share));
    printf("}");
    free(all);
}

#define SINCE(field) ((unsigned long long)(end.field - begin.field))

static void print_window(const struct run *run, struct sample begin, struct sample end, double generator_cpu) {
    printf("{\"seconds\":%.4f,\"cpu_seconds\":%.4f,\"generator_cpu_seconds\":%.4f,\"answers\":%llu,\"errors\":%llu,"
           "\"answers_in_all\":%llu,\"handshakes\":%llu,\"resumed\":%llu,\"reconnects\":%llu,\"body_in\":%llu,"
           "\"body_out\":%llu,\"first_error\":",
           end.at - begin.at, end.cpu - begin.cpu, generator_cpu, SINCE(answers), (unsigned long long)end.errors,
           (unsigned long long)end.answers, SINCE(handshakes), SINCE(resumed), SINCE(reconnects), SINCE(body_in),
           SINCE(body_out));
    print_text(first_error(run));
}

static bool measure_window(struct run *run) {
    if (!watch_until(run, now() + run->options.warm_up))
        return false;
    double own = own_cpu();
    struct sample begin = look(run);
    atomic_store(&measuring, true);
    if (!watch_until(run, begin.at + run->options.seconds))
        return false;
    struct sample end = look(run);
    own = own_cpu() - own;
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < run->options.threads; i++)
        pthread_join(run->ids[i], NULL);
    print_window(run, begin, end, own);
    print_latency(run);
    puts("}");
    return end.errors == 0;
}

/* Everything that --requests asked for has been answered. */
static bool tell_count(struct run *run, double begun) {
    struct sample begin = {.at = begun}, end = look(run);
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < run->options.threads; i++)
        pthread_join(run->ids[i], NULL);
    begin.cpu = end.cpu; /* nobody looked before */
    print_window(run, begin, end, own_cpu());
    puts("}");
    return end.errors == 0;
}

static bool measure_idle(struct run *run, uint64_t before) {
    doze(1); /* what a server does a moment later (freeing, logging) belongs to before the look */
    struct sample end = look(run);
    uint64_t after = moon_load_watch_memory(&run->watch);
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < run->options.threads; i++)
        pthread_join(run->ids[i], NULL);
    printf("{\"connections\":%u,\"errors\":%llu,\"memory_before\":%llu,\"memory_after\":%llu,\"first_error\":",
           run->options.connections, (unsigned long long)end.errors, (unsigned long long)before,
           (unsigned long long)after);
    print_text(first_error(run));
    puts("}");
    return end.errors == 0;
}

int main(int argc, char **argv) {
    static struct run run;
    int rc = moon_load_options_read(&run.options, argc, argv);
    if (rc)
        return rc < 0 ? 0 : rc;
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (run.options.connections + 64 > files.rlim_cur) {
        fprintf(stderr, "moongate-load: %u connections need more descriptors than the limit of %llu\n",
                run.options.connections, (unsigned long long)files.rlim_cur);
        return 1;
    }
    if (moon_load_watch_open(&run.watch, &run.options) != 0 ||
        moon_load_contexts_open(&run.contexts, &run.options) != 0)
        return 1;
    uint64_t before = run.options.idle ? moon_load_watch_memory(&run.watch) : 0;
    double begun = now();
    if (open_threads(&run) != 0 || !watch_until(&run, 0))
        return 1;
    bool good = run.options.idle       ? measure_idle(&run, before)
                : run.options.requests ? tell_count(&run, begun)
                                       : measure_window(&run);
    for (unsigned i = 0; i < run.options.threads; i++)
        for (unsigned k = 0; k < run.threads[i].client_count; k++)
            moon_load_client_deinit(&run.threads[i].clients[k]);
    fflush(stdout);
    return good ? 0 : 1;
}
