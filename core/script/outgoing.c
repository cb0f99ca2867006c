#include "script/outgoing.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/hostname.h"
#include "base/mem.h"
#include "net/address.h"
#include "tls/crypto.h"

#define HEAD_CEILING (64 * 1024)
#define URL_CEILING (8 * 1024)
#define CONNECT_MS 10000L

/* libcurl's view of the loop. Its handle lives until the loop has closed it; then the client is freed. */
struct moon_outgoing {
    uv_loop_t *loop;
    uv_timer_t timer;
    CURLM *multi;
};

/* One of libcurl's sockets, watched. Freed by the loop. */
struct watch {
    uv_poll_t poll;
    struct moon_outgoing *client;
    curl_socket_t fd;
};

struct moon_outgoing_request {
    struct moon_outgoing *client;
    CURL *easy; /* NULL once done */
    struct curl_slist *headers;
    struct moon_buf body;
    size_t head_bytes;
    size_t max_bytes;
    unsigned timeout_ms;
    bool allow_local;
    size_t passed;                   /* the ceiling that the answer went beyond; 0: none */
    char refused[MOON_ADDRESS_TEXT]; /* the last address that was */
    moon_outgoing_done_fn done;
    void *data;
    unsigned status;
    char failure[384];
    char told[CURL_ERROR_SIZE]; /* by libcurl */
};

/* ---- the end of a request ---- */

static void release(struct moon_outgoing_request *request) {
    if (!request->easy)
        return;
    curl_multi_remove_handle(request->client->multi, request->easy);
    curl_easy_cleanup(request->easy);
    request->easy = NULL;
}

static void tell_failure(struct moon_outgoing_request *request, CURLcode code) {
    char *room = request->failure;
    size_t size = sizeof request->failure;
    if (request->passed)
        snprintf(room, size, "the answer or its head is larger than %zu bytes", request->passed);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        snprintf(room, size, "there was no whole answer within %u ms", request->timeout_ms);
    else if (code == CURLE_COULDNT_CONNECT && request->refused[0])
        snprintf(room, size, "%s is an address of this machine or its link, and those are not allowed",
                 request->refused);
    else
        snprintf(room, size, "%s", request->told[0] ? request->told : curl_easy_strerror(code));
}

static void finish(struct moon_outgoing_request *request, CURLcode code) {
    long status = 0;
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status >= 200 && status <= 999)
        request->status = (unsigned)status;
    else if (code == CURLE_OK)
        snprintf(request->failure, sizeof request->failure, "the answer has no status");
    else
        tell_failure(request, code);
    release(request);
    request->done(request->data);
}

/* Asked anew each time: who is told may end other requests, or begin some. */
static void tell_finished(struct moon_outgoing *client) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left))) {
        struct moon_outgoing_request *request = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        finish(request, code);
    }
}

/* ---- the loop ---- */

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct watch *watch = poll->data;
    struct moon_outgoing *client = watch->client;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0, running;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(client->multi, watch->fd, flags, &running); /* the watch may be gone afterwards */
    tell_finished(client);
}

static void on_timer(uv_timer_t *timer) {
    struct moon_outgoing *client = timer->data;
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    tell_finished(client);
}

static int set_timer(CURLM *multi, long ms, void *data) {
    struct moon_outgoing *client = data;
    (void)multi;
    if (ms < 0) {
        uv_timer_stop(&client->timer);
    } else {
        uv_update_time(client->loop);
        uv_timer_start(&client->timer, on_timer, (uint64_t)ms, 0);
    }
    return 0;
}

static void on_watch_closed(uv_handle_t *handle) {
    free(handle->data);
}

static struct watch *watch_socket(struct moon_outgoing *client, curl_socket_t fd) {
    struct watch *watch = moon_new(struct watch);
    watch->client = client;
    watch->fd = fd;
    if (uv_poll_init_socket(client->loop, &watch->poll, fd) != 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    curl_multi_assign(client->multi, fd, watch);
    return watch;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data) {
    struct moon_outgoing *client = data;
    struct watch *watch = socket_data;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(client->multi, fd, NULL);
        if (watch) {
            uv_poll_stop(&watch->poll);
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        }
        return 0;
    }
    if (!watch && !(watch = watch_socket(client, fd)))
        return -1;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&watch->poll, events, on_readable) == 0 ? 0 : -1;
}

int moon_outgoing_open(struct moon_outgoing **out, uv_loop_t *loop, struct moon_diag *diag) {
    struct moon_outgoing *client = moon_new(struct moon_outgoing);
    *out = NULL;
    client->loop = loop;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(client->multi = curl_multi_init())) {
        moon_diag_set(diag, "libcurl", "did not start");
        free(client);
        return MOON_ESYSTEM;
    }
    moon_assert(uv_timer_init(loop, &client->timer) == 0);
    client->timer.data = client;
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    *out = client;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle) {
    free(handle->data);
}

void moon_outgoing_close(struct moon_outgoing **pointer) {
    struct moon_outgoing *client = *pointer;
    *pointer = NULL;
    if (!client)
        return;
    curl_multi_cleanup(client->multi); /* its watches close here */
    curl_global_cleanup();
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}

/* ---- what libcurl asks while a request is under way ---- */

/* The address is final here: whatever the name resolved to, and whenever. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *wanted) {
    struct moon_outgoing_request *request = data;
    struct moon_address address = {.len = wanted->addrlen};
    if (purpose != CURLSOCKTYPE_IPCXN || wanted->addrlen > sizeof address.sock ||
        (wanted->family != AF_INET && wanted->family != AF_INET6))
        return CURL_SOCKET_BAD;
    memcpy(&address.sock, &wanted->addr, wanted->addrlen);
    if (!request->allow_local && moon_address_is_local(&address)) {
        moon_address_print_ip(&address, request->refused);
        return CURL_SOCKET_BAD;
    }
    return socket(wanted->family, wanted->socktype | SOCK_CLOEXEC, wanted->protocol);
}

static size_t take_head(char *bytes, size_t size, size_t count, void *data) {
    struct moon_outgoing_request *request = data;
    (void)bytes;
    request->head_bytes += size * count;
    if (request->head_bytes > HEAD_CEILING) {
        request->passed = HEAD_CEILING;
        return 0;
    }
    return size * count;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *data) {
    struct moon_outgoing_request *request = data;
    if (moon_buf_append(&request->body, bytes, size * count) != 0) {
        request->passed = request->max_bytes;
        return 0;
    }
    return size * count;
}

/* ---- the beginning of a request ---- */

static int refuse(struct moon_diag *diag, const char *where, const char *why) {
    moon_diag_set(diag, where, "%s", why);
    return MOON_EREFUSED;
}

static bool is_visible(struct moon_str text, unsigned char lowest) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < lowest || text.data[i] == 0x7f)
            return false;
    return true;
}

static int check_parts(CURLU *parts, struct moon_diag *diag) {
    char *scheme = NULL, *user = NULL, *host = NULL;
    int rc = 0;
    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
    curl_url_get(parts, CURLUPART_USER, &user, 0);
    curl_url_get(parts, CURLUPART_HOST, &host, 0);
    if (!scheme || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        rc = refuse(diag, "url", "must begin with http:// or https://");
    else if (user)
        rc = refuse(diag, "url", "must not carry a user or a password");
    else if (!host || !host[0] || strlen(host) > MOON_HOSTNAME_MAX)
        rc = refuse(diag, "url", "has no host, or one that is too long");
    curl_free(scheme);
    curl_free(user);
    curl_free(host);
    return rc;
}

static int set_url(CURL *easy, struct moon_str url, struct moon_diag *diag) {
    if (!url.len || url.len > URL_CEILING || !is_visible(url, 0x21))
        return refuse(diag, "url", "is empty, too long, or has characters that cannot stand in a URL");
    char *text = moon_strdup(url);
    CURLU *parts = curl_url();
    CURLUcode code = curl_url_set(parts, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    int rc = code ? refuse(diag, "url", curl_url_strerror(code)) : check_parts(parts, diag);
    if (!rc)
        curl_easy_setopt(easy, CURLOPT_URL, text);
    curl_url_cleanup(parts);
    free(text);
    return rc;
}

static int set_method(CURL *easy, const struct moon_outgoing_options *options, struct moon_diag *diag) {
    struct moon_str method = options->method;
    char name[24];
    if (!method.len)
        method = options->body.len ? MOON_STR("POST") : MOON_STR("GET");
    if (method.len >= sizeof name)
        return refuse(diag, "method", "is no method");
    for (size_t i = 0; i < method.len; i++)
        if (method.data[i] < 'A' || method.data[i] > 'Z')
            return refuse(diag, "method", "is no method");
    memcpy(name, method.data, method.len);
    name[method.len] = 0;
    bool has_body =
        options->body.len || moon_str_equal(method, MOON_STR("POST")) || moon_str_equal(method, MOON_STR("PUT"));
    if (has_body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body.len);
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, options->body.len ? options->body.data : "");
    } else if (moon_str_equal(method, MOON_STR("HEAD"))) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return 0;
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, name);
    return 0;
}

static int set_headers(struct moon_outgoing_request *request, const struct moon_outgoing_options *options,
                       struct moon_diag *diag) {
    static const char content_type[] = "content-type:";
    bool typed = false;
    if (options->header_count > MOON_OUTGOING_HEADERS)
        return refuse(diag, "headers", "are too many");
    request->headers = curl_slist_append(NULL, "Expect:"); /* the body goes out at once */
    for (size_t i = 0; i < options->header_count; i++) {
        struct moon_str line = options->headers[i];
        const char *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
        if (!colon || colon == line.data || !is_visible(line, 0x20) ||
            !is_visible(moon_str(line.data, (size_t)(colon - line.data)), 0x21))
            return refuse(diag, "headers", "one of them is not \"Name: value\"");
        char *text = moon_strdup(line);
        request->headers = curl_slist_append(request->headers, text);
        moon_wipe(text, line.len);
        free(text);
        size_t len = sizeof content_type - 1;
        typed |= line.len >= len && moon_str_equal_nocase(moon_str(line.data, len), moon_str(content_type, len));
    }
    if (!typed) /* or it would be said to be a form */
        request->headers = curl_slist_append(request->headers, "Content-Type:");
    curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
    return 0;
}

static void set_terms(struct moon_outgoing_request *request, const struct moon_outgoing_options *options) {
    CURL *easy = request->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->told);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "moongate/" MOONGATE_VERSION);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not what the environment says */
    /* A thread that still waits for the name server must not hold up the loop when the request has ended. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    /* Every request opens its own connection: an address is looked at before, and nothing idle is left behind. */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, request);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (options->ca.len) {
        struct curl_blob blob = {(void *)(uintptr_t)options->ca.data, options->ca.len, CURL_BLOB_COPY};
        curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
}

static unsigned bounded(unsigned value, unsigned most) {
    return value && value < most ? value : most;
}

int moon_outgoing_begin(struct moon_outgoing_request **out, struct moon_outgoing *client,
                        const struct moon_outgoing_options *options, moon_outgoing_done_fn done, void *data,
                        struct moon_diag *diag) {
    struct moon_outgoing_request *request = moon_new(struct moon_outgoing_request);
    request->client = client;
    request->easy = curl_easy_init();
    request->allow_local = options->allow_local;
    request->timeout_ms = bounded(options->timeout_ms, MOON_OUTGOING_MS);
    request->max_bytes = options->max_bytes < MOON_OUTGOING_BYTES ? options->max_bytes : MOON_OUTGOING_BYTES;
    request->done = done;
    request->data = data;
    moon_buf_init(&request->body, request->max_bytes);
    int rc = request->easy ? 0 : MOON_ENOMEM;
    if (!rc)
        rc = set_url(request->easy, options->url, diag);
    if (!rc)
        rc = set_method(request->easy, options, diag);
    if (!rc)
        rc = set_headers(request, options, diag);
    if (!rc) {
        set_terms(request, options);
        if (curl_multi_add_handle(client->multi, request->easy) != CURLM_OK)
            rc = refuse(diag, "libcurl", "did not take the request");
    }
    if (rc)
        moon_outgoing_free(&request);
    *out = request;
    return rc;
}

void moon_outgoing_free(struct moon_outgoing_request **pointer) {
    struct moon_outgoing_request *request = *pointer;
    *pointer = NULL;
    if (!request)
        return;
    release(request);
    for (struct curl_slist *line = request->headers; line; line = line->next)
        moon_wipe(line->data, strlen(line->data)); /* one may be a secret */
    curl_slist_free_all(request->headers);
    moon_buf_free(&request->body);
    free(request);
}

unsigned moon_outgoing_status(const struct moon_outgoing_request *request) {
    return request->status;
}

struct moon_str moon_outgoing_body(const struct moon_outgoing_request *request) {
    return moon_buf_view(&request->body);
}

const char *moon_outgoing_failure(const struct moon_outgoing_request *request) {
    return request->failure;
}
