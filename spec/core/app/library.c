/* A program around libmoongate, which sees moongate.h only: refusals, handlers and fields, threads and loops. Prints
 * one line per step for spec/core/app/library_spec.lua, which says what is expected; anything else is an abort or a
 * sanitizer's report.
 *
 * Arguments: the scenario: "refusals", "threads", "loop", "both", "drain", "twice", "again" or "policies" (and the
 * paths of one that is right, one that is wrong). */
#include <arpa/inet.h>
#include <dirent.h>
#include <moongate.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* A rule that blocks requests for `path` unless `condition`. */
#define UNLESS(path, condition)                                                                                        \
    "{\"action\":\"block\",\"expression\":\"http.request.uri.path eq \\\"" path "\\\" and not " condition "\"}"

static const char served[] =
    "{\"zones\":[{\"name\":\"one.test\",\"hosts\":[{\"name\":\"*\"}],\"rules\":[" UNLESS("/flag", "spec.flag") "," UNLESS("/number", "spec.number gt 4") "," UNLESS(
        "/text",
        "spec.text eq \\\"127.0.0.1 GET q=1\\\"") "," UNLESS("/address",
                                                             "spec.address in "
                                                             "{192.0.2.0/24}") "," UNLESS("/missing",
                                                                                          "spec."
                                                                                          "missing eq "
                                                                                          "\\\"\\\"") "," UNLESS("/insp"
                                                                                                                 "ecte"
                                                                                                                 "d",
                                                                                                                 "http."
                                                                                                                 "reque"
                                                                                                                 "st."
                                                                                                                 "body."
                                                                                                                 "raw "
                                                                                                                 "conta"
                                                                                                                 "ins "
                                                                                                                 "\\\"g"
                                                                                                                 "ood\\"
                                                                                                                 "\"") "]}]}";

static void check(bool fine, const char *what) {
    if (fine)
        return;
    printf("not so: %s\n", what);
    exit(1);
}
#define CHECK(condition) check(condition, #condition)

static void tell(const char *what, int rc, const struct moon_diag *diag) {
    printf("%s: %d %s%s%s\n", what, rc, rc ? diag->where : "", rc && diag->where[0] ? ": " : "", rc ? diag->text : "");
    fflush(stdout);
}

/* ---- names that the library has inside ---- */

/* Visible in this program, as those of another copy of the library would be: the library must not find them. */
int moon_ffi_abi(void);
double moon_ffi_now(void);
int moon_log_open(void);

int moon_ffi_abi(void) {
    abort();
}

double moon_ffi_now(void) {
    abort();
}

int moon_log_open(void) {
    abort();
}

/* ---- a client ---- */

/* Sends `request` (a whole one) and reads until the server closes; the status, and the whole answer in `answer`. */
static int ask(unsigned port, const char *request, size_t len, char *answer, size_t size) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;
    struct timeval patience = {.tv_sec = 20};
    size_t have = 0;
    ssize_t n;
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    for (size_t sent = 0; sent < len; sent += (size_t)n)
        if ((n = send(fd, request + sent, len - sent, MSG_NOSIGNAL)) <= 0)
            break; /* the server has said enough */
    while (have < size - 1 && (n = recv(fd, answer + have, size - 1 - have, 0)) > 0)
        have += (size_t)n;
    close(fd);
    answer[have] = 0;
    sscanf(answer, "HTTP/1.1 %d", &status);
    return status;
}

static char answer[4 * 1024 * 1024];

static int get(unsigned port, const char *method, const char *path, const char *body) {
    static char request[1024 * 1024];
    int len = snprintf(request, sizeof request,
                       "%s %s HTTP/1.1\r\nHost: one.test\r\nX-Mark: a\r\nx-mark: b\r\nConnection: close\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       method, path, strlen(body), body);
    return ask(port, request, (size_t)len, answer, sizeof answer);
}

static const char *body_of(void) {
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "";
}

/* ---- what the gateway asks of us ---- */

struct asked {
    struct moon_gate *gate;
    const char *name;
    int publish_rc, close_rc, drain_rc;
};

static int answer_echo(void *data, const struct moon_gate_request *request, struct moon_gate_response *response) {
    static _Thread_local char text[4096];
    struct asked *asked = data;
    struct moon_gate_text body = moon_gate_request_text(request, MOON_GATE_BODY), mark;
    struct moon_gate_text path = moon_gate_request_text(request, MOON_GATE_PATH);
    CHECK(moon_gate_request_header(request, "X-MARK", 1, &mark) && mark.len == 1 && mark.data[0] == 'b');
    CHECK(!moon_gate_request_header(request, "x-mark", 2, &mark) && mark.len == 0);
    CHECK(!moon_gate_request_flag(request, MOON_GATE_TLS) &&
          !moon_gate_request_flag(request, MOON_GATE_CERT_PRESENTED));
    CHECK(moon_gate_request_text(request, MOON_GATE_RAY).len == 20);
    CHECK(moon_gate_request_text(request, MOON_GATE_FINGERPRINT).len == 0);
    int len =
        snprintf(text, sizeof text, "%s %.*s %.*s", asked->name, (int)path.len, path.data, (int)body.len, body.data);
    static const struct moon_gate_header headers[] = {{"X-Answer", "yes"}};
    response->content_type = "text/plain";
    response->headers = headers;
    response->header_count = 1;
    response->body = text;
    response->body_len = (size_t)len;
    return 0;
}

static int answer_large(void *data, const struct moon_gate_request *request, struct moon_gate_response *response) {
    (void)data;
    (void)request;
    static char large[3 * 1024 * 1024];
    memset(large, 'x', sizeof large);
    response->status = 203;
    response->body = large;
    response->body_len = sizeof large;
    return 0;
}

/* "/broken/…": answers that cannot be sent. */
static int answer_broken(void *data, const struct moon_gate_request *request, struct moon_gate_response *response) {
    static const struct moon_gate_header split[] = {{"X-Evil", "a\r\nSet-Cookie: b"}},
                                         ours[] = {{"Content-Length", "7"}};
    struct moon_gate_text path = moon_gate_request_text(request, MOON_GATE_PATH);
    (void)data;
    response->header_count = 1;
    switch (path.data[path.len - 1]) {
    case '1':
        response->headers = split;
        return 0;
    case '2':
        response->headers = ours;
        return 0;
    case '3':
        response->header_count = 0;
        response->status = 700;
        return 0;
    default:
        return -1;
    }
}

/* From within a handler nothing can be changed. */
static int answer_within(void *data, const struct moon_gate_request *request, struct moon_gate_response *response) {
    struct asked *asked = data;
    (void)request;
    asked->publish_rc = moon_gate_publish(asked->gate, served, sizeof served - 1, NULL);
    asked->drain_rc = moon_gate_drain(asked->gate);
    asked->close_rc = moon_gate_close(asked->gate, NULL, NULL);
    response->status = 204;
    return 0;
}

static bool give_flag(void *data, const struct moon_gate_request *request, struct moon_gate_value *value) {
    (void)request;
    value->boolean = data != NULL;
    return true;
}

static bool give_number(void *data, const struct moon_gate_request *request, struct moon_gate_value *value) {
    (void)data;
    value->integer = (int64_t)moon_gate_request_text(request, MOON_GATE_HOST).len; /* "one.test" */
    return true;
}

static bool give_text(void *data, const struct moon_gate_request *request, struct moon_gate_value *value) {
    static _Thread_local char text[256];
    struct moon_gate_text address = moon_gate_request_text(request, MOON_GATE_ADDRESS);
    struct moon_gate_text method = moon_gate_request_text(request, MOON_GATE_METHOD);
    struct moon_gate_text query = moon_gate_request_text(request, MOON_GATE_QUERY);
    (void)data;
    int len = snprintf(text, sizeof text, "%.*s %.*s %.*s", (int)address.len, address.data, (int)method.len,
                       method.data, (int)query.len, query.data);
    value->text = (struct moon_gate_text){text, (size_t)len};
    return true;
}

static bool give_address(void *data, const struct moon_gate_request *request, struct moon_gate_value *value) {
    (void)data;
    (void)request;
    value->text = (struct moon_gate_text){"\xc0\x00\x02\x07", 4};
    return true;
}

static bool give_nothing(void *data, const struct moon_gate_request *request, struct moon_gate_value *value) {
    (void)data;
    (void)request;
    (void)value;
    return false;
}

/* ---- a gateway ---- */

struct lines {
    pthread_mutex_t lock;
    unsigned count;
    bool malformed;
};

static void take_line(void *data, struct moon_gate_text line) {
    struct lines *lines = data;
    pthread_mutex_lock(&lines->lock);
    lines->count++;
    if (line.len < 3 || line.data[0] != '{' || line.data[line.len - 1] != '\n')
        lines->malformed = true;
    pthread_mutex_unlock(&lines->lock);
}

static void add(struct moon_gate *gate, const char *method, const char *path, moon_gate_handler_fn function,
                void *data) {
    struct moon_gate_handler handler = {
        .host = "one.*", .method = method, .path = path, .body_max = 1000, .answer = function, .data = data};
    CHECK(moon_gate_handle(gate, &handler, NULL) == 0);
}

static struct moon_gate *make(struct moon_gate_options *options, struct asked *asked) {
    struct moon_gate *gate;
    struct moon_diag diag = {"", ""};
    struct moon_gate_field fields[] = {
        {"spec.flag", MOON_GATE_BOOLEAN, give_flag, asked},     {"spec.number", MOON_GATE_INTEGER, give_number, NULL},
        {"spec.text", MOON_GATE_STRING, give_text, NULL},       {"spec.address", MOON_GATE_IP, give_address, NULL},
        {"spec.missing", MOON_GATE_STRING, give_nothing, NULL},
    };
    if (moon_gate_new(&gate, options, &diag) != 0) {
        tell("new", -1, &diag);
        exit(1);
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        CHECK(moon_gate_field(gate, &fields[i], NULL) == 0);
    asked->gate = gate;
    add(gate, "GET", "/large", answer_large, NULL);
    add(gate, NULL, "/broken/*", answer_broken, NULL);
    add(gate, NULL, "/within", answer_within, asked);
    add(gate, NULL, "*", answer_echo, asked);
    CHECK(moon_gate_listen(gate, MOON_GATE_HTTP, "127.0.0.1:0", NULL) == 0);
    CHECK(!moon_gate_address(gate, MOON_GATE_HTTP, 0, answer, sizeof answer));
    CHECK(moon_gate_start(gate, &diag) == 0);
    return gate;
}

static unsigned port_of(const struct moon_gate *gate) {
    char text[64];
    CHECK(moon_gate_address(gate, MOON_GATE_HTTP, 0, text, sizeof text));
    CHECK(!moon_gate_address(gate, MOON_GATE_HTTPS, 0, text, sizeof text));
    return (unsigned)atoi(strrchr(text, ':') + 1);
}

/* Every kind of request; prints what comes. */
static void visit(unsigned port) {
    static const char *const paths[] = {"/flag", "/number", "/text?q=1", "/text?q=2", "/address", "/missing"};
    int status = get(port, "POST", "/echo", "the body");
    printf("POST /echo: %d %s%s\n", status, body_of(), strstr(answer, "X-Answer: yes\r\n") ? "" : " without its field");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        status = get(port, "GET", paths[i], "");
        printf("GET %s: %d\n", paths[i], status);
    }
    status = get(port, "GET", "/large", "");
    printf("GET /large: %d %zu\n", status, strlen(body_of()));
    status = get(port, "HEAD", "/echo", "");
    printf("HEAD /echo: %d %zu\n", status, strlen(body_of()));
    static char much[2000];
    memset(much, 'y', sizeof much - 1);
    status = get(port, "POST", "/echo", much);
    printf("POST /echo of 1999 bytes: %d\n", status);
    status = get(port, "POST", "/inspected", "a good body");
    printf("POST /inspected: %d %s\n", status, body_of());
    status = get(port, "POST", "/inspected", "an evil body");
    printf("POST /inspected: %d\n", status);
    memcpy(much, "good", 4);
    status = get(port, "POST", "/inspected", much);
    printf("POST /inspected of 1999 bytes: %d\n", status);
    for (const char *path = "/broken/1\0/broken/2\0/broken/3\0/broken/4\0"; *path; path += strlen(path) + 1) {
        status = get(port, "GET", path, "");
        printf("GET %s: %d%s\n", path, status, strstr(answer, "Set-Cookie") ? " split" : "");
    }
    status = get(port, "GET", "/lua", "");
    printf("GET /lua: %d %s\n", status, body_of());
    status = get(port, "GET", "/within", "");
    printf("GET /within: %d\n", status);
    fflush(stdout);
}

static void set_true(void *data) {
    *(bool *)data = true;
}

/* ---- scenarios ---- */

static void refuse_settings(const char *settings) {
    struct moon_gate_options options;
    struct moon_gate *gate;
    struct moon_diag diag = {"", ""};
    moon_gate_options_init(&options);
    options.settings = settings;
    tell(settings, moon_gate_new(&gate, &options, &diag), &diag);
    CHECK(gate == NULL);
}

static void refuse_handler(struct moon_gate *gate, const char *what, struct moon_gate_handler handler) {
    struct moon_diag diag = {"", ""};
    tell(what, moon_gate_handle(gate, &handler, &diag), &diag);
}

static void refuse_field(struct moon_gate *gate, const char *name, int type) {
    struct moon_gate_field field = {name, (enum moon_gate_type)type, give_nothing, NULL};
    struct moon_diag diag = {"", ""};
    tell(name, moon_gate_field(gate, &field, &diag), &diag);
}

static void refusals(void) {
    struct moon_gate_options options;
    struct moon_gate *gate, *second;
    struct moon_diag diag = {"", ""};
    char address[64];
    bool gone = false;
    refuse_settings("{");
    refuse_settings("[]");
    refuse_settings("{\"limits\":{\"haed\":4096}}");
    refuse_settings("{\"timeouts\":{\"drain\":-1}}");
    refuse_settings("{\"data_dir\":\"x\"}");
    moon_gate_options_init(&options);
    options.log_fd = -1;
    options.settings = "{\"timeouts\":{\"drain\":1}}";
    options.local_ca = "/nowhere/at/all";
    tell("a directory that is not there", moon_gate_new(&gate, &options, &diag) ? -1 : 0, &diag);
    options.local_ca = NULL;
    CHECK(moon_gate_new(&gate, &options, NULL) == 0);
    CHECK(strstr(moon_gate_local_ca(gate), "-----BEGIN CERTIFICATE-----"));
    tell("publish before start", moon_gate_publish(gate, served, sizeof served - 1, &diag), &diag);
    tell("start without an address", moon_gate_start(gate, &diag), &diag);
    tell("listen", moon_gate_listen(gate, MOON_GATE_HTTPS, "localhost", &diag), &diag);
    refuse_handler(gate, "no function", (struct moon_gate_handler){.path = "/"});
    refuse_handler(gate, "a path", (struct moon_gate_handler){.path = "x", .answer = answer_echo});
    refuse_handler(gate, "a host", (struct moon_gate_handler){.host = "One.test", .answer = answer_echo});
    refuse_handler(gate, "a method", (struct moon_gate_handler){.method = "G T", .answer = answer_echo});
    refuse_handler(gate, "a body", (struct moon_gate_handler){.body_max = SIZE_MAX, .answer = answer_echo});
    refuse_field(gate, "http.own", MOON_GATE_STRING);
    refuse_field(gate, "a b", MOON_GATE_STRING);
    refuse_field(gate, "lower", MOON_GATE_STRING);
    refuse_field(gate, "own.field", 17);
    refuse_field(gate, "own.field", MOON_GATE_STRING);
    refuse_field(gate, "own.field", MOON_GATE_STRING);
    CHECK(moon_gate_listen(gate, MOON_GATE_HTTP, "127.0.0.1:0", NULL) == 0);
    CHECK(moon_gate_start(gate, NULL) == 0);
    tell("start again", moon_gate_start(gate, &diag), &diag);
    refuse_field(gate, "late", MOON_GATE_STRING);
    tell("publish no JSON", moon_gate_publish(gate, "{\n 1", 4, &diag), &diag);
    CHECK(moon_gate_publish(gate, "{\"zones\":[]}", 12, NULL) == 0);
    CHECK(moon_gate_address(gate, MOON_GATE_HTTP, 0, address, sizeof address));
    CHECK(moon_gate_new(&second, &options, NULL) == 0 && moon_gate_listen(second, MOON_GATE_HTTP, address, NULL) == 0);
    int rc = moon_gate_start(second, &diag);
    printf("an address in use: %d %s\n", rc, strcmp(diag.where, address) == 0 ? "names it" : diag.where);
    CHECK(moon_gate_close(second, set_true, &gone) == 0 && gone);
    CHECK(moon_gate_drain(gate) == 0);
    tell("publish after drain", moon_gate_publish(gate, "{\"zones\":[]}", 12, &diag), &diag);
    gone = false;
    CHECK(moon_gate_close(gate, set_true, &gone) == 0 && gone);
    CHECK(moon_gate_close(NULL, NULL, NULL) == 0);
    printf("%s, %s, %s\n", moon_gate_strerror(0), moon_gate_strerror(MOON_EBUSY), moon_gate_strerror(UV_EADDRINUSE));
}

/* How many threads of this process a TERM may be handed to. */
static unsigned count_takers(void) {
    unsigned takers = 0;
    struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    while ((entry = readdir(tasks))) {
        char path[300], line[256];
        unsigned long long blocked = 0;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *status = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!status)
            continue;
        while (fgets(line, sizeof line, status))
            sscanf(line, "SigBlk: %llx", &blocked);
        fclose(status);
        takers += !(blocked >> (SIGTERM - 1) & 1);
    }
    closedir(tasks);
    return takers;
}

static void tell_status(struct moon_gate *gate) {
    struct moon_gate_status status;
    moon_gate_status(gate, &status);
    printf("status: generation %llu, %u workers, %llu blocked\n", (unsigned long long)status.generation, status.workers,
           (unsigned long long)status.blocked);
}

static void on_threads(void) {
    struct lines lines = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct asked asked = {.name = "threads"};
    struct moon_gate_options options;
    bool gone = false;
    moon_gate_options_init(&options);
    options.workers = 2;
    options.log = take_line;
    options.log_data = &lines;
    struct moon_gate *gate = make(&options, &asked);
    CHECK(moon_gate_publish(gate, served, sizeof served - 1, NULL) == 0);
    visit(port_of(gate));
    printf("within: %d %d %d\n", asked.publish_rc, asked.drain_rc, asked.close_rc);
    tell_status(gate);
    printf("threads that take signals: %u\n", count_takers());
    CHECK(moon_gate_close(gate, set_true, &gone) == 0 && gone);
    printf("lines: %s\n", lines.malformed ? "malformed" : lines.count >= 14 ? "enough" : "too few");
}

struct visitor {
    struct moon_gate *gate;
    unsigned port;
    uv_async_t finished;
    bool gone;
    struct lines lines;
};

static void *visit_from_thread(void *data) {
    struct visitor *visitor = data;
    visit(visitor->port);
    uv_async_send(&visitor->finished);
    return NULL;
}

static void on_finished(uv_async_t *async) {
    struct visitor *visitor = async->data;
    tell_status(visitor->gate);
    uv_close((uv_handle_t *)async, NULL);
    CHECK(moon_gate_close(visitor->gate, set_true, &visitor->gone) == 0);
    CHECK(!visitor->gone); /* later, from the loop */
}

static void on_loop(const char *policy) {
    static struct visitor visitor = {.lines = {.lock = PTHREAD_MUTEX_INITIALIZER}};
    struct asked asked = {.name = "loop"};
    struct moon_gate_options options;
    pthread_t thread;
    uv_loop_t loop;
    uv_loop_init(&loop);
    moon_gate_options_init(&options);
    options.loop = &loop;
    options.log = take_line;
    options.log_data = &visitor.lines;
    options.policies = &policy;
    options.policy_count = policy != NULL;
    visitor.gate = make(&options, &asked);
    CHECK(moon_gate_publish(visitor.gate, served, sizeof served - 1, NULL) == 0);
    visitor.port = port_of(visitor.gate);
    visitor.finished.data = &visitor;
    uv_async_init(&loop, &visitor.finished, on_finished);
    pthread_create(&thread, NULL, visit_from_thread, &visitor);
    CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    pthread_join(thread, NULL);
    printf("within: %d %d %d\n", asked.publish_rc, asked.drain_rc, asked.close_rc);
    printf("lines: %s\n", visitor.lines.malformed ? "malformed" : visitor.lines.count >= 14 ? "enough" : "too few");
    CHECK(visitor.gone);
    CHECK(uv_loop_close(&loop) == 0);
}

/* A connection with half of a request on it. */
static int open_half(unsigned port) {
    static const char half[] =
        "POST /echo HTTP/1.1\r\nHost: one.test\r\nX-Mark: a\r\nX-Mark: b\r\nContent-Length: 4\r\n\r\nab";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    CHECK(send(fd, half, sizeof half - 1, MSG_NOSIGNAL) == sizeof half - 1);
    return fd;
}

/* Waits until a counter of the status is what it is to be. */
static void await_status(struct moon_gate *gate, uint64_t requests, uint64_t open) {
    struct moon_gate_status status;
    for (int i = 0; i < 4000; i++) {
        moon_gate_status(gate, &status);
        if (status.requests == requests && status.open == open)
            return;
        usleep(5000);
    }
    CHECK(!"the status is not what was waited for");
}

/* Nobody new, but who is there gets an answer. */
static void drain(void) {
    struct asked asked = {.name = "drain"};
    struct moon_gate_options options;
    moon_gate_options_init(&options);
    options.workers = 1;
    options.log_fd = -1;
    struct moon_gate *gate = make(&options, &asked);
    CHECK(moon_gate_publish(gate, served, sizeof served - 1, NULL) == 0);
    unsigned port = port_of(gate);
    int fd = open_half(port);
    await_status(gate, 1, 1);
    CHECK(moon_gate_drain(gate) == 0 && moon_gate_drain(gate) == 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    int refused = 0;
    for (int i = 0; i < 4000 && !refused; i++) {
        int late = socket(AF_INET, SOCK_STREAM, 0);
        refused = connect(late, (struct sockaddr *)&to, sizeof to) != 0;
        close(late);
        usleep(refused ? 0 : 5000);
    }
    printf("a new connection: %s\n", refused ? "refused" : "taken");
    CHECK(send(fd, "cd", 2, MSG_NOSIGNAL) == 2);
    size_t have = 0;
    ssize_t n;
    while ((n = recv(fd, answer + have, sizeof answer - 1 - have, 0)) > 0)
        have += (size_t)n;
    answer[have] = 0;
    close(fd);
    printf("the old one: %s\n", body_of());
    await_status(gate, 1, 0);
    CHECK(moon_gate_close(gate, NULL, NULL) == 0);
}

struct closing {
    struct moon_gate *gate;
    uv_timer_t timer;
    int stage;
    bool gone;
};

static void on_stage(uv_timer_t *timer) {
    struct closing *closing = timer->data;
    struct moon_gate_status status;
    moon_gate_status(closing->gate, &status);
    if (closing->stage == 0 && status.requests == 1) {
        CHECK(moon_gate_close(closing->gate, set_true, &closing->gone) == 0);
        closing->stage = 1;
    } else if (closing->stage > 0 && closing->stage++ == 20) { /* twenty turns later it still waits for the request */
        CHECK(!closing->gone && status.open == 1);
        CHECK(moon_gate_close(closing->gate, NULL, NULL) == 0);
        uv_close((uv_handle_t *)timer, NULL);
    }
}

/* Told to end twice: at once, whatever is under way. */
static void twice(const char *policy) {
    static struct closing closing;
    struct asked asked = {.name = "twice"};
    struct moon_gate_options options;
    uv_loop_t loop;
    uv_loop_init(&loop);
    moon_gate_options_init(&options);
    options.loop = &loop;
    options.log_fd = -1;
    options.settings = "{\"timeouts\":{\"drain\":3600,\"body_idle\":3600}}";
    options.policies = &policy;
    options.policy_count = policy != NULL;
    closing.gate = make(&options, &asked);
    CHECK(moon_gate_publish(closing.gate, served, sizeof served - 1, NULL) == 0);
    int fd = open_half(port_of(closing.gate));
    uv_timer_init(&loop, &closing.timer);
    closing.timer.data = &closing;
    uv_timer_start(&closing.timer, on_stage, 1, 5);
    CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    CHECK(closing.gone && uv_loop_close(&loop) == 0);
    close(fd);
}

/* An address is in use, and then it is not: on a loop, where what had been begun ends while the loop runs. */
static void again(void) {
    struct moon_gate_options options;
    struct moon_gate *first, *second;
    struct moon_diag diag = {"", ""};
    char address[64];
    uv_loop_t loop;
    uv_loop_init(&loop);
    moon_gate_options_init(&options);
    options.log_fd = -1;
    options.workers = 1;
    CHECK(moon_gate_new(&first, &options, NULL) == 0);
    CHECK(moon_gate_listen(first, MOON_GATE_HTTP, "127.0.0.1:0", NULL) == 0 && moon_gate_start(first, NULL) == 0);
    CHECK(moon_gate_address(first, MOON_GATE_HTTP, 0, address, sizeof address));
    options.loop = &loop;
    CHECK(moon_gate_new(&second, &options, NULL) == 0 && moon_gate_listen(second, MOON_GATE_HTTP, address, NULL) == 0);
    printf("while it is in use: %d\n", moon_gate_start(second, &diag));
    CHECK(moon_gate_close(first, NULL, NULL) == 0);
    printf("afterwards: %d\n", moon_gate_start(second, &diag));
    CHECK(moon_gate_publish(second, "{\"zones\":[]}", 12, NULL) == 0);
    CHECK(moon_gate_close(second, NULL, NULL) == 0);
    CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0 && uv_loop_close(&loop) == 0);
}

/* Policy files beside handlers and fields in C, on a loop and on threads. */
static void policies(const char *right, const char *wrong) {
    static const char asks[] = "{\"zones\":[{\"name\":\"one.test\",\"hosts\":[{\"name\":\"*\"}],\"rules\":[" UNLESS(
        "/both", "(spec.number eq 8 and lua.number eq 8)") "]}]}";
    struct asked asked = {.name = "policies"};
    struct moon_gate_options options;
    struct moon_gate_field taken = {"lua.number", MOON_GATE_INTEGER, give_number, NULL};
    struct moon_gate *gate;
    struct moon_diag diag = {"", ""};
    moon_gate_options_init(&options);
    options.log_fd = -1;
    options.workers = 1;
    options.policies = &wrong;
    options.policy_count = 1;
    int rc = moon_gate_new(&gate, &options, &diag);
    printf("a mistake: %d %s\n", rc, strrchr(diag.text, '/') ? strrchr(diag.text, '/') : diag.text);
    options.policies = &right;
    gate = make(&options, &asked);
    CHECK(moon_gate_new(&gate, &options, NULL) == 0);
    tell("a field that a policy has", moon_gate_field(gate, &taken, &diag), &diag);
    CHECK(moon_gate_close(gate, NULL, NULL) == 0);
    gate = asked.gate;
    CHECK(moon_gate_publish(gate, asks, sizeof asks - 1, NULL) == 0);
    printf("GET /both: %d\n", get(port_of(gate), "GET", "/both", ""));
    rc = get(port_of(gate), "GET", "/lua", "");
    printf("GET /lua: %d %s\n", rc, body_of());
    rc = get(port_of(gate), "GET", "/noted", "");
    printf("GET /noted: %d %s\n", rc, body_of());
    CHECK(moon_gate_close(gate, NULL, NULL) == 0);
}

/* Two at once: each answers for itself, one goes on when the other has gone. */
static void both(void) {
    struct asked asked[2] = {{.name = "first"}, {.name = "second"}};
    struct moon_gate *gates[2];
    struct moon_gate_options options;
    moon_gate_options_init(&options);
    options.workers = 1;
    options.log_fd = -1;
    for (int i = 0; i < 2; i++) {
        gates[i] = make(&options, &asked[i]);
        CHECK(moon_gate_publish(gates[i], served, sizeof served - 1, NULL) == 0);
    }
    CHECK(strcmp(moon_gate_local_ca(gates[0]), moon_gate_local_ca(gates[1])) != 0);
    for (int i = 0; i < 2; i++) {
        get(port_of(gates[i]), "GET", "/echo", "");
        printf("%s\n", body_of());
    }
    CHECK(moon_gate_close(gates[0], NULL, NULL) == 0);
    get(port_of(gates[1]), "GET", "/echo", "");
    printf("%s\n", body_of());
    CHECK(moon_gate_close(gates[1], NULL, NULL) == 0);
}

int main(int argc, char **argv) {
    const char *scenario = argc > 1 ? argv[1] : "";
    if (strcmp(scenario, "refusals") == 0)
        refusals();
    else if (strcmp(scenario, "threads") == 0)
        on_threads();
    else if (strcmp(scenario, "loop") == 0)
        on_loop(argc > 2 ? argv[2] : NULL);
    else if (strcmp(scenario, "both") == 0)
        both();
    else if (strcmp(scenario, "drain") == 0)
        drain();
    else if (strcmp(scenario, "twice") == 0)
        twice(argc > 2 ? argv[2] : NULL);
    else if (strcmp(scenario, "again") == 0)
        again();
    else if (strcmp(scenario, "policies") == 0 && argc == 4)
        policies(argv[2], argv[3]);
    else
        return 2;
    printf("fine\n");
    return 0;
}
