/* moongate.h — libmoongate: the gateway as a part of your own program. It terminates TLS, asks clients for certificates
 * of the CAs that a hostname trusts, decides with the Rules language, and forwards to origins or to handlers of yours.
 * The manual is docs/embedding.md; examples/embed is a whole program.
 *
 *     struct moon_gate_options options;
 *     struct moon_gate *gate;
 *     struct moon_diag diag;
 *     moon_gate_options_init(&options);
 *     options.loop = loop;
 *     int rc = moon_gate_new(&gate, &options, &diag);
 *     if (rc == 0) rc = moon_gate_listen(gate, MOON_GATE_HTTPS, "0.0.0.0:8443", &diag);
 *     if (rc == 0) rc = moon_gate_start(gate, &diag);
 *     if (rc == 0) rc = moon_gate_publish(gate, json, json_len, &diag);
 *     …
 *     moon_gate_close(gate, on_closed, NULL);
 *
 * Two ways to run it. With a loop of yours (options.loop) there is one worker, on that loop, and no thread is started
 * but those of libuv's own pool: the gateway serves while you run the loop. Without one, each worker has a thread and a
 * loop of its own, and nothing of yours needs to turn.
 *
 * Order of calls: new; then listen, handle and field as often as wanted; then start; then publish, as often as wanted:
 * the first one opens the doors; drain when wanted; close.
 *
 * Threads. The *owner* of a gateway is the thread that made it, or, with a loop, the thread that runs the loop.
 * Functions are for the owner unless they say otherwise. Your handlers and field functions are called on workers'
 * threads: on the loop's thread with a loop, else on any of several threads at the same time. A worker serves nobody
 * else while it is in one of them, so they must not block. They must not call functions that change the gateway: those
 * return MOON_EBUSY there.
 *
 * Several gateways in one process do not see each other. A child of fork() must not touch a gateway.
 *
 * Errors. Functions that can be refused return 0, or a negative code: one of ours (moongate/error.h) or one of libuv's;
 * moon_gate_strerror has a text for both. `diag`, which may be NULL, then says where and why, in words for people, and
 * never repeats a private key. What was refused has changed nothing. Arguments that are a mistake of the program (a
 * NULL gateway, a field after start) are refused likewise, with MOON_EREFUSED, as far as they can be seen. Without
 * memory, and when one of its own checks fails, the gateway ends the process rather than serve on in doubt. */
#ifndef MOONGATE_H
#define MOONGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <moongate/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOON_API __attribute__((visibility("default")))

struct moon_gate;
struct uv_loop_s; /* uv_loop_t of <uv.h> */

/* Bytes that somebody else owns; not terminated. How long they are valid is said where they come from. */
struct moon_gate_text {
    const char *data; /* never read when len is 0 */
    size_t len;
};

/* ---- life ---- */

enum moon_gate_log_level { MOON_GATE_ERROR = 0, MOON_GATE_WARN, MOON_GATE_INFO, MOON_GATE_DEBUG };

/* One finished log line: a JSON object and a line feed, valid until the function returns. With a loop: called on its
 * thread, once per turn of the loop. Without: on a thread that does nothing else. Lines that it does not take in time
 * are dropped and counted by the gateway; a request never waits for it. Must not call functions of the gateway but the
 * ones for any thread. */
typedef void (*moon_gate_log_fn)(void *data, struct moon_gate_text line);

struct moon_gate_options {
    /* Yours: never run, stopped or closed by the gateway. NULL: threads of its own. */
    struct uv_loop_s *loop;
    /* Threads; 0: one per core. Of no meaning with a loop. */
    unsigned workers;
    /* JSON with any of "limits", "timeouts" (objects), "policy_budget_ms", "policy_jit", as in docs/configuration.md (bytes,
     * seconds). NULL: the defaults. */
    const char *settings;
    /* Paths of policy files: Lua of yours, loaded once for each worker (docs/policy-files.md). */
    const char *const *policies;
    size_t policy_count;
    /* Directory of local-ca.pem and local-ca.key, which are made when they are not there: the CA that signs for
     * hostnames without a certificate. NULL: one in memory that lives as long as the gateway. */
    const char *local_ca;
    /* NULL: lines go to log_fd. */
    moon_gate_log_fn log;
    void *log_data;
    /* Not closed; -1: lines go nowhere. */
    int log_fd;
    enum moon_gate_log_level log_level;
};

/* Everything at its default: no loop, one thread per core, log lines of MOON_GATE_INFO and above on stderr. */
MOON_API void moon_gate_options_init(struct moon_gate_options *options);

/* Makes a gateway that does nothing yet. Copies `options` and all texts in it; `loop`, `log_data` and `log_fd` must
 * outlive the gateway. On failure *gate is NULL; diag->text has FILE:LINE of a mistake in a policy file. Initialises OpenSSL if the program has not done so: without its
 * configuration file, and after taking OPENSSL_CONF, SSL_CERT_FILE and their like out of the environment. */
MOON_API int moon_gate_new(struct moon_gate **gate, const struct moon_gate_options *options, struct moon_diag *diag);

enum moon_gate_protocol {
    MOON_GATE_HTTPS = 0,
    MOON_GATE_HTTP = 1 /* without TLS; the same rules, `ssl` is false */
};

/* Where to listen: "192.0.2.1:443", "[::]:443"; port 0 takes a free one. At most 32 addresses of each protocol. Before
 * start. */
MOON_API int moon_gate_listen(struct moon_gate *gate, enum moon_gate_protocol protocol, const char *address,
                              struct moon_diag *diag);

/* Binds every address and starts the workers. Nobody is accepted yet: that takes a publication. When it is refused (an
 * address in use) it may be called again; with a loop, what had been begun ends while the loop runs on. */
MOON_API int moon_gate_start(struct moon_gate *gate, struct moon_diag *diag);

/* Replaces everything that is served by the configuration in `json` (docs/embedding.md tells its form; UTF-8, not
 * terminated, copied). All of it is checked and built first; then every worker takes it over, and requests that begin
 * afterwards see it, on connections that are open already as well. Zones that are the same as before cost nothing.
 * Returns 0 when every worker serves it. MOON_EREFUSED with diag: it is wrong, and what was served goes on.
 * MOON_ETIMEOUT: some worker has not taken it over within five seconds (two minutes the first time); publish again.
 * MOON_ECLOSED after drain. */
MOON_API int moon_gate_publish(struct moon_gate *gate, const char *json, size_t len, struct moon_diag *diag);

/* Closes the listeners and the idle connections. Requests go on and end when they end; tunnels too. Nothing can be
 * published any more. moon_gate_status tells how many connections are open. */
MOON_API int moon_gate_drain(struct moon_gate *gate);

typedef void (*moon_gate_done_fn)(void *data);

/* The end: drains, waits for requests at most as long as timeouts.drain says, ends what is left, and frees the gateway.
 * `done` (may be NULL) is called last, when nothing of the gateway is left; the gateway is no more when it is called.
 *
 * With a loop the function returns at once, the waiting is done while you run the loop, and `done` is called on it;
 * calling moon_gate_close again meanwhile ends everything at once (its `done` is ignored). Without a loop, and when it
 * was never started, all of this happens before the function returns. NULL is fine. */
MOON_API int moon_gate_close(struct moon_gate *gate, moon_gate_done_fn done, void *data);

/* ---- what is going on; any thread, between start and close ---- */

struct moon_gate_status {
    uint64_t generation; /* number of the configuration that every worker serves at least; 0 before the first */
    unsigned workers;
    uint64_t connections; /* accepted so far */
    uint64_t open;        /* now */
    uint64_t handshakes;
    uint64_t handshakes_failed;
    uint64_t requests;
    uint64_t blocked;     /* by a rule */
    uint64_t misdirected; /* 421: the host has other client CAs than the connection's name */
    uint64_t refused;     /* malformed, or beyond a limit */
    uint64_t origin_failed;
};

/* Counters are sums over the workers. All zero before start. */
MOON_API void moon_gate_status(const struct moon_gate *gate, struct moon_gate_status *status);

/* The real address of listener `index` of a protocol, with the port that was taken for 0. False when there is none, or
 * before start. `size` of 64 is always enough. */
MOON_API bool moon_gate_address(const struct moon_gate *gate, enum moon_gate_protocol protocol, unsigned index,
                                char *text, size_t size);

/* The certificate of the gateway's own CA (options.local_ca) in PEM, NUL terminated, for clients that are to trust it.
 * From new to close; any thread. Valid as long as the gateway. */
MOON_API const char *moon_gate_local_ca(const struct moon_gate *gate);

/* ---- requests, as handlers and fields see them ---- */

/* Valid until the function that it was handed to returns, and so is every text that comes from it. */
struct moon_gate_request;

enum moon_gate_part {
    MOON_GATE_METHOD = 0,  /* as sent */
    MOON_GATE_HOST,        /* lower case, without port */
    MOON_GATE_PATH,        /* normalised, without query */
    MOON_GATE_QUERY,       /* without "?" */
    MOON_GATE_ADDRESS,     /* the client's: "192.0.2.7", "2001:db8::1" */
    MOON_GATE_RAY,         /* the request's id, as in the field CF-Ray and in the log */
    MOON_GATE_FINGERPRINT, /* SHA-256 of the client's certificate, lower-case hex; empty without one */
    MOON_GATE_BODY         /* all of it in a handler; empty in a field */
};
MOON_API struct moon_gate_text moon_gate_request_text(const struct moon_gate_request *request,
                                                      enum moon_gate_part part);

enum moon_gate_flag {
    MOON_GATE_TLS = 0,        /* the client's connection is encrypted */
    MOON_GATE_CERT_PRESENTED, /* to a host that asks for a certificate, a certificate was presented */
    MOON_GATE_CERT_VERIFIED,  /* and it leads to a CA of the host and is within its dates; also when it is revoked */
    MOON_GATE_CERT_REVOKED
};
MOON_API bool moon_gate_request_flag(const struct moon_gate_request *request, enum moon_gate_flag flag);

/* The value of the header field `name` (in any case), of several the `index`th from 0. False when there is none. */
MOON_API bool moon_gate_request_header(const struct moon_gate_request *request, const char *name, unsigned index,
                                       struct moon_gate_text *value);

/* ---- content ---- */

struct moon_gate_header {
    const char *name;
    const char *value;
};

/* Texts are valid until the handler is called again on this thread, or longer: they are copied when it has returned. */
struct moon_gate_response {
    unsigned status;                        /* 200 to 599; 204 and 304 have no body. It is 200 at first */
    const char *content_type;               /* NULL: none */
    const struct moon_gate_header *headers; /* more fields; none of framing and connection, those are the gateway's */
    size_t header_count;                    /* at most 64 */
    const char *body;
    size_t body_len; /* at most 64 MiB */
};

/* Answers one request. Returns 0; anything else answers with 500 instead of *response, as does a response that cannot
 * be sent. */
typedef int (*moon_gate_handler_fn)(void *data, const struct moon_gate_request *request,
                                    struct moon_gate_response *response);

/* Which requests a handler answers. In `host` and `path` "*" stands for any bytes, everything else for itself. */
struct moon_gate_handler {
    const char *host;   /* lower case; NULL: every host that is served */
    const char *method; /* "GET"; NULL: every method */
    const char *path;   /* "/health", "/api/" and a star; NULL: every path */
    size_t body_max;    /* bytes of a request's body, else 413; at most 64 MiB. 0: requests with a body are refused */
    moon_gate_handler_fn answer;
    void *data; /* must outlive the gateway */
};

/* Adds a content handler: it answers instead of the host's origin, after the rules have let the request pass. Of
 * several that fit, the one that was added first answers. Copies *handler and its texts. Before start; at most 256. */
MOON_API int moon_gate_handle(struct moon_gate *gate, const struct moon_gate_handler *handler, struct moon_diag *diag);

/* ---- fields of rules ---- */

enum moon_gate_type { MOON_GATE_BOOLEAN = 0, MOON_GATE_INTEGER, MOON_GATE_STRING, MOON_GATE_IP };

/* The member of the field's type is what counts. */
struct moon_gate_value {
    bool boolean;
    int64_t integer;            /* exact up to 2^53 */
    struct moon_gate_text text; /* MOON_GATE_STRING; valid until the function is called again on this thread.
                                   MOON_GATE_IP: 4 or 16 bytes in network order */
};

/* The value of a field for one request; false: the request has none, as if a built-in field were missing. Called only
 * when a rule asks for it, possibly several times for one request; must give the same value each time. */
typedef bool (*moon_gate_value_fn)(void *data, const struct moon_gate_request *request, struct moon_gate_value *value);

struct moon_gate_field {
    const char *name; /* "tenant.plan": words of letters, digits and "_" with dots between; the first word is none of
                         the language's own (cf, http, ip, mg, raw, ssl, tcp, udp) */
    enum moon_gate_type type;
    moon_gate_value_fn value;
    void *data; /* must outlive the gateway */
};

/* Adds a field: expressions may use it from now on, and are checked against its type when they are published. Copies
 * *field and its name. Before start; at most 256. */
MOON_API int moon_gate_field(struct moon_gate *gate, const struct moon_gate_field *field, struct moon_diag *diag);

/* ---- words ---- */

/* "1.2.3"; constant. Any thread. */
MOON_API const char *moon_gate_version(void);

/* Text for a code that a function returned, ours or libuv's; constant, never NULL. Any thread. */
MOON_API const char *moon_gate_strerror(int code);

#ifdef __cplusplus
}
#endif

#endif
