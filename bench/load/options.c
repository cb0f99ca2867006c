#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: moongate-load --connect ADDRESS:PORT --host NAME [options]\n"
    "  --tls 1.2|1.3          TLS of exactly that version (default: plain HTTP)\n"
    "  --host NAME            SNI and Host\n"
    "  --hosts FILE           several, one a line, spread over the connections\n"
    "  --path PATH            (default: /)\n"
    "  --certificate FILE     client certificate and key, PEM in one file; may be repeated\n"
    "  --connections N        open at the same time (default: 64)\n"
    "  --threads N            (default: 2)\n"
    "  --pipeline N           requests sent at once on a connection (default: 1)\n"
    "  --new-connections      one request on each connection\n"
    "  --resume               new connections offer the last session\n"
    "  --idle                 one request per connection, then hold them and look at memory\n"
    "  --requests N           so many of each connection and its successors, without a window: for counting\n"
    "  --upload BYTES         POST with a body of that size\n"
    "  --expect STATUS        every answer must have it (default: 200)\n"
    "  --seconds S            measuring window (default: 3)\n"
    "  --warm-up S            before it (default: 0.5)\n"
    "  --watch PID            measure CPU and memory of this process and its children; may be repeated\n"
    "Prints one JSON object. Exit code 0 when every answer was as expected, 1 otherwise, 2 usage.\n";

enum {
    OPT_CONNECT = 1,
    OPT_TLS,
    OPT_HOST,
    OPT_HOSTS,
    OPT_PATH,
    OPT_CERTIFICATE,
    OPT_CONNECTIONS,
    OPT_THREADS,
    OPT_PIPELINE,
    OPT_FRESH,
    OPT_RESUME,
    OPT_IDLE,
    OPT_REQUESTS,
    OPT_UPLOAD,
    OPT_EXPECT,
    OPT_SECONDS,
    OPT_WARM_UP,
    OPT_WATCH,
    OPT_HELP
};

static const struct option names[] = {
    {"connect", required_argument, NULL, OPT_CONNECT},
    {"tls", required_argument, NULL, OPT_TLS},
    {"host", required_argument, NULL, OPT_HOST},
    {"hosts", required_argument, NULL, OPT_HOSTS},
    {"path", required_argument, NULL, OPT_PATH},
    {"certificate", required_argument, NULL, OPT_CERTIFICATE},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"pipeline", required_argument, NULL, OPT_PIPELINE},
    {"new-connections", no_argument, NULL, OPT_FRESH},
    {"resume", no_argument, NULL, OPT_RESUME},
    {"idle", no_argument, NULL, OPT_IDLE},
    {"requests", required_argument, NULL, OPT_REQUESTS},
    {"upload", required_argument, NULL, OPT_UPLOAD},
    {"expect", required_argument, NULL, OPT_EXPECT},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"warm-up", required_argument, NULL, OPT_WARM_UP},
    {"watch", required_argument, NULL, OPT_WATCH},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

__attribute__((format(printf, 1, 2))) static int complain(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("moongate-load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return 2;
}

static int read_number(uint64_t *out, const char *name, const char *text, uint64_t min, uint64_t max) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value < min || value > max)
        return complain("--%s: expected a number from %llu to %llu, not \"%s\"", name, (unsigned long long)min,
                        (unsigned long long)max, text);
    *out = value;
    return 0;
}

static int read_count(unsigned *out, const char *name, const char *text, unsigned max) {
    uint64_t value;
    int rc = read_number(&value, name, text, 1, max);
    if (rc == 0)
        *out = (unsigned)value;
    return rc;
}

static int read_seconds(double *out, const char *name, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value <= 3600))
        return complain("--%s: expected seconds from 0 to 3600, not \"%s\"", name, text);
    *out = value;
    return 0;
}

static int read_target(struct sockaddr_in *out, const char *text) {
    char address[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (!colon || (size_t)(colon - text) >= sizeof address)
        return complain("--connect: expected ADDRESS:PORT (IPv4), not \"%s\"", text);
    memcpy(address, text, (size_t)(colon - text));
    address[colon - text] = 0;
    out->sin_family = AF_INET;
    if (inet_pton(AF_INET, address, &out->sin_addr) != 1)
        return complain("--connect: \"%s\" is not an IPv4 address", address);
    int rc = read_number(&port, "connect", colon + 1, 1, 65535);
    if (rc == 0)
        out->sin_port = htons((uint16_t)port);
    return rc;
}

static void add_host(struct moon_load_options *options, const char *name, size_t len) {
    options->hosts = realloc(options->hosts, (options->host_count + 1) * sizeof *options->hosts);
    if (!options->hosts || !(options->hosts[options->host_count] = strndup(name, len)))
        abort();
    options->host_count++;
}

static int read_hosts(struct moon_load_options *options, const char *path) {
    FILE *file = fopen(path, "r");
    char line[512];
    if (!file)
        return complain("--hosts: %s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, file)) {
        size_t len = strcspn(line, "\r\n");
        if (len)
            add_host(options, line, len);
    }
    fclose(file);
    return options->host_count ? 0 : complain("--hosts: %s is empty", path);
}

static int read_option(struct moon_load_options *options, int option, const char *text) {
    uint64_t number;
    int rc = 0;
    switch (option) {
    case OPT_CONNECT:
        return read_target(&options->target, text);
    case OPT_TLS:
        options->tls = strcmp(text, "1.3") == 0 ? TLS1_3_VERSION : strcmp(text, "1.2") == 0 ? TLS1_2_VERSION : 0;
        return options->tls ? 0 : complain("--tls: expected 1.2 or 1.3, not \"%s\"", text);
    case OPT_HOST:
        add_host(options, text, strlen(text));
        return 0;
    case OPT_HOSTS:
        return read_hosts(options, text);
    case OPT_PATH:
        options->path = text;
        return text[0] == '/' ? 0 : complain("--path: expected a path from /, not \"%s\"", text);
    case OPT_CERTIFICATE:
        if (options->certificate_count == MOON_LOAD_CERTIFICATES_MAX)
            return complain("--certificate: more than %d", MOON_LOAD_CERTIFICATES_MAX);
        options->certificates[options->certificate_count++] = text;
        return 0;
    case OPT_CONNECTIONS:
        return read_count(&options->connections, "connections", text, 100000);
    case OPT_THREADS:
        return read_count(&options->threads, "threads", text, 64);
    case OPT_PIPELINE:
        return read_count(&options->pipeline, "pipeline", text, 64);
    case OPT_FRESH:
        options->fresh = true;
        return 0;
    case OPT_RESUME:
        options->resume = true;
        return 0;
    case OPT_IDLE:
        options->idle = true;
        return 0;
    case OPT_REQUESTS:
        return read_number(&options->requests, "requests", text, 1, UINT32_MAX);
    case OPT_UPLOAD:
        return read_number(&options->upload, "upload", text, 1, (uint64_t)1 << 40);
    case OPT_EXPECT:
        rc = read_number(&number, "expect", text, 100, 999);
        options->expect = (unsigned)number;
        return rc;
    case OPT_SECONDS:
        return read_seconds(&options->seconds, "seconds", text);
    case OPT_WARM_UP:
        return read_seconds(&options->warm_up, "warm-up", text);
    case OPT_WATCH:
        if (options->watch_count == MOON_LOAD_WATCH_MAX)
            return complain("--watch: more than %d", MOON_LOAD_WATCH_MAX);
        rc = read_number(&number, "watch", text, 1, INT32_MAX);
        options->watch[options->watch_count++] = (pid_t)number;
        return rc;
    case OPT_HELP:
        fputs(usage, stdout);
        return -1;
    default:
        return 2; /* getopt has said what it does not know */
    }
}

static int check_together(const struct moon_load_options *options) {
    if (!options->target.sin_port)
        return complain("--connect is missing");
    if (!options->host_count)
        return complain("--host is missing");
    if (options->resume && (!options->fresh || !options->tls))
        return complain("--resume needs --new-connections and --tls");
    if (options->certificate_count && !options->tls)
        return complain("--certificate needs --tls");
    if (options->upload && options->pipeline > 1)
        return complain("--upload and --pipeline exclude each other");
    if (options->idle && options->fresh)
        return complain("--idle and --new-connections exclude each other");
    if (options->requests && (options->idle || options->requests % options->pipeline))
        return complain(options->idle ? "--requests and --idle exclude each other"
                                      : "--requests: expected a multiple of --pipeline");
    if (options->threads > options->connections)
        return complain("more threads than connections");
    return 0;
}

int moon_load_options_read(struct moon_load_options *options, int argc, char **argv) {
    *options = (struct moon_load_options){
        .path = "/", .connections = 64, .threads = 2, .pipeline = 1, .seconds = 3, .warm_up = 0.5, .expect = 200};
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        int rc = read_option(options, option, optarg);
        if (rc)
            return rc;
    }
    if (optind < argc)
        return complain("\"%s\" is not an option", argv[optind]);
    return check_together(options);
}
