/* load/options.h — what the load generator is asked to do: filled from the command line by main, read by every thread
 * afterwards, changed by none. */
#ifndef MOON_LOAD_OPTIONS_H
#define MOON_LOAD_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MOON_LOAD_CERTIFICATES_MAX 256
#define MOON_LOAD_WATCH_MAX 8

struct moon_load_options {
    struct sockaddr_in target;
    int tls;      /* 0: plain; else the one version offered, as OpenSSL numbers it */
    char **hosts; /* connection k takes host k * host_count / connections, as SNI and as Host; at least one */
    size_t host_count;
    const char *path;
    /* PEM files, certificate and key in one; connection k takes number k modulo count. */
    const char *certificates[MOON_LOAD_CERTIFICATES_MAX];
    unsigned certificate_count;
    unsigned connections;
    unsigned threads;
    unsigned pipeline;                /* requests sent at once; the next lot follows when all are answered */
    double seconds;                   /* of the measuring window */
    double warm_up;                   /* seconds before it, counted from when every connection has had an answer */
    bool fresh;                       /* one request per connection, then a new connection */
    bool resume;                      /* a fresh connection offers the session of the last one */
    uint64_t requests;                /* of each connection, then no more; 0: until the window closes */
    bool idle;                        /* one request per connection, then they are held while memory is looked at */
    uint64_t upload;                  /* body bytes per request; 0: GET */
    unsigned expect;                  /* the status that every answer must have */
    pid_t watch[MOON_LOAD_WATCH_MAX]; /* processes, with their children, whose CPU and memory are measured */
    unsigned watch_count;
};

/* Reads the command line. Returns 0, or 2 after saying on stderr what is wrong; -1 when only help was asked for. The
 * texts are borrowed from argv; the hosts are allocated once and kept to the end of the program. */
int moon_load_options_read(struct moon_load_options *options, int argc, char **argv);

#endif
