/* embed.c — a program with a loop and a service of its own, and a gateway beside it on the same loop.
 *
 *     embed CONFIGURATION.json HTTPS-ADDRESS TCP-PORT
 *
 * Its own service: a TCP port on loopback that sends each line back in upper case. The gateway listens on HTTPS-ADDRESS
 * and serves what CONFIGURATION.json says; GET /embed/status on every host is answered by this program, and rules may
 * ask for tenant.plan, which is computed here. HUP publishes the file anew, TERM drains and ends, a second TERM ends at
 * once. */
#include <ctype.h>
#include <moongate.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct program {
    uv_loop_t loop;
    struct moon_gate *gate;
    const char *path; /* of the configuration */
    uv_tcp_t service;
    uv_signal_t hup, term;
    unsigned lines; /* answered by our own service */
};

static void complain(const char *what, int rc, const struct moon_diag *diag) {
    fprintf(stderr, "embed: %s: %s%s%s (%s)\n", what, diag->where, diag->where[0] ? ": " : "",
            diag->text[0] ? diag->text : "no more is known", moon_gate_strerror(rc));
}

/* ---- our own service ---- */

struct client {
    uv_tcp_t tcp;
    uv_write_t write;
    struct program *program;
    char line[512];
};

static void on_client_closed(uv_handle_t *handle) {
    free(handle->data);
}

static void on_written(uv_write_t *write, int status) {
    (void)status;
    free(write->data);
    free(write);
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *room) {
    struct client *client = handle->data;
    (void)wanted;
    *room = uv_buf_init(client->line, sizeof client->line);
}

static void on_bytes(uv_stream_t *stream, ssize_t len, const uv_buf_t *room) {
    struct client *client = stream->data;
    if (len < 0) {
        uv_close((uv_handle_t *)stream, on_client_closed);
        return;
    }
    uv_write_t *write = malloc(sizeof *write);
    char *copy = malloc((size_t)len + 1);
    if (!write || !copy)
        abort();
    for (ssize_t i = 0; i < len; i++) {
        copy[i] = (char)toupper((unsigned char)room->base[i]);
        client->program->lines += copy[i] == '\n';
    }
    uv_buf_t out = uv_buf_init(copy, (unsigned)len);
    write->data = copy;
    if (uv_write(write, stream, &out, 1, on_written) != 0)
        on_written(write, -1);
}

static void on_connection(uv_stream_t *service, int status) {
    if (status < 0)
        return;
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        abort();
    client->program = service->data;
    uv_tcp_init(service->loop, &client->tcp);
    client->tcp.data = client;
    if (uv_accept(service, (uv_stream_t *)&client->tcp) == 0)
        uv_read_start((uv_stream_t *)&client->tcp, on_room, on_bytes);
    else
        uv_close((uv_handle_t *)&client->tcp, on_client_closed);
}

static int open_service(struct program *program, int port) {
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", port, &address);
    uv_tcp_init(&program->loop, &program->service);
    program->service.data = program;
    int rc = uv_tcp_bind(&program->service, (const struct sockaddr *)&address, 0);
    return rc ? rc : uv_listen((uv_stream_t *)&program->service, 16, on_connection);
}

/* ---- what the gateway asks of us ---- */

/* GET /embed/status: the answer's text lives here until the next one. */
static int answer_status(void *data, const struct moon_gate_request *request, struct moon_gate_response *response) {
    static char text[512];
    struct program *program = data;
    struct moon_gate_status status;
    moon_gate_status(program->gate, &status);
    struct moon_gate_text host = moon_gate_request_text(request, MOON_GATE_HOST);
    int len = snprintf(
        text, sizeof text, "{\"host\":\"%.*s\",\"verified\":%s,\"generation\":%llu,\"requests\":%llu,\"lines\":%u}\n",
        (int)host.len, host.data, moon_gate_request_flag(request, MOON_GATE_CERT_VERIFIED) ? "true" : "false",
        (unsigned long long)status.generation, (unsigned long long)status.requests, program->lines);
    response->content_type = "application/json";
    response->body = text;
    response->body_len = (size_t)len;
    return 0;
}

/* tenant.plan: "gold" for tenants whose name begins with "acme", "free" for others; no value without the field
 * X-Tenant. */
static bool plan_of(void *data, const struct moon_gate_request *request, struct moon_gate_value *value) {
    struct moon_gate_text tenant;
    (void)data;
    if (!moon_gate_request_header(request, "X-Tenant", 0, &tenant))
        return false;
    bool gold = tenant.len >= 4 && memcmp(tenant.data, "acme", 4) == 0;
    value->text.data = gold ? "gold" : "free";
    value->text.len = 4;
    return true;
}

/* ---- the gateway ---- */

static int publish(struct program *program) {
    struct moon_diag diag = {"", ""};
    FILE *file = fopen(program->path, "rb");
    if (!file) {
        perror(program->path);
        return -1;
    }
    static char text[4 * 1024 * 1024];
    size_t len = fread(text, 1, sizeof text, file);
    fclose(file);
    int rc = moon_gate_publish(program->gate, text, len, &diag);
    if (rc)
        complain(program->path, rc, &diag);
    return rc;
}

static int open_gate(struct program *program, const char *address) {
    struct moon_diag diag = {"", ""};
    struct moon_gate_options options;
    struct moon_gate_handler status = {
        .method = "GET", .path = "/embed/status", .answer = answer_status, .data = program};
    struct moon_gate_field plan = {.name = "tenant.plan", .type = MOON_GATE_STRING, .value = plan_of};
    moon_gate_options_init(&options);
    options.loop = &program->loop;
    int rc = moon_gate_new(&program->gate, &options, &diag);
    if (rc == 0)
        rc = moon_gate_listen(program->gate, MOON_GATE_HTTPS, address, &diag);
    if (rc == 0)
        rc = moon_gate_handle(program->gate, &status, &diag);
    if (rc == 0)
        rc = moon_gate_field(program->gate, &plan, &diag);
    if (rc == 0)
        rc = moon_gate_start(program->gate, &diag);
    if (rc)
        complain("the gateway", rc, &diag);
    return rc ? rc : publish(program);
}

/* ---- life ---- */

static void on_gone(void *data) {
    struct program *program = data;
    program->gate = NULL;
    uv_close((uv_handle_t *)&program->term, NULL);
}

static void on_hup(uv_signal_t *handle, int number) {
    (void)number;
    if (publish(handle->data) == 0)
        fprintf(stderr, "embed: published\n");
}

/* Ends our own service and lets the gateway drain; the loop ends when nothing is left on it. */
static void on_term(uv_signal_t *handle, int number) {
    struct program *program = handle->data;
    (void)number;
    if (!uv_is_closing((uv_handle_t *)&program->hup)) {
        uv_close((uv_handle_t *)&program->hup, NULL);
        uv_close((uv_handle_t *)&program->service, NULL);
    }
    moon_gate_close(program->gate, on_gone, program);
}

static void tell_ready(struct program *program) {
    char https[64] = "";
    struct sockaddr_in own;
    int len = sizeof own;
    moon_gate_address(program->gate, MOON_GATE_HTTPS, 0, https, sizeof https);
    uv_tcp_getsockname(&program->service, (struct sockaddr *)&own, &len);
    printf("ready https=%s tcp=127.0.0.1:%d\n", https, ntohs(own.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv) {
    static struct program program;
    if (argc != 4) {
        fprintf(stderr, "usage: embed CONFIGURATION.json HTTPS-ADDRESS TCP-PORT\n");
        return 2;
    }
    program.path = argv[1];
    uv_loop_init(&program.loop);
    uv_signal_init(&program.loop, &program.hup);
    uv_signal_init(&program.loop, &program.term);
    program.hup.data = program.term.data = &program;
    int rc = open_service(&program, atoi(argv[3]));
    if (rc)
        fprintf(stderr, "embed: port %s: %s\n", argv[3], uv_strerror(rc));
    else
        rc = open_gate(&program, argv[2]);
    if (rc) {
        uv_close((uv_handle_t *)&program.hup, NULL);
        uv_close((uv_handle_t *)&program.service, NULL);
        moon_gate_close(program.gate, on_gone, &program);
        if (!program.gate && !uv_is_closing((uv_handle_t *)&program.term))
            uv_close((uv_handle_t *)&program.term, NULL);
    } else {
        uv_signal_start(&program.hup, on_hup, SIGHUP);
        uv_signal_start(&program.term, on_term, SIGTERM);
        tell_ready(&program);
    }
    uv_run(&program.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&program.loop) != 0)
        fprintf(stderr, "embed: something is left on the loop\n");
    return rc ? 1 : 0;
}
