#include "gate/origin_terms.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/hostname.h"
#include "base/mem.h"
#include "http/write.h"
#include "net/resolve.h"
#include "tls/crypto.h"

#define KEY_MAX 4096

static struct moon_str own(struct moon_str text) {
    return moon_str(moon_strdup(text), text.len);
}

static void release(struct moon_origin_terms *terms) {
    moon_tls_client_unref(&terms->client);
    free((char *)terms->url.data);
    free((char *)terms->host.data);
    free(terms->addresses);
    free((char *)terms->server_name.data);
    free((char *)terms->host_header.data);
    free((char *)terms->key.data);
    free(terms);
}

static int refuse_url(struct moon_str url, struct moon_diag *diag) {
    moon_diag_set(diag, "url", "\"%.*s\" is no origin URL: http://host[:port] or https://host[:port] is expected",
                  (int)(url.len > 200 ? 200 : url.len), url.data);
    return MOON_EREFUSED;
}

static int read_url(struct moon_origin_terms *terms, struct moon_str url, struct moon_diag *diag) {
    struct moon_str rest = url;
    char host[MOON_HOSTNAME_MAX + 1];
    unsigned port;
    if (moon_str_starts_with(url, MOON_STR("https://"))) {
        terms->tls = true;
        rest = moon_str(url.data + 8, url.len - 8);
    } else if (moon_str_starts_with(url, MOON_STR("http://"))) {
        rest = moon_str(url.data + 7, url.len - 7);
    } else {
        return refuse_url(url, diag);
    }
    if (rest.len && rest.data[rest.len - 1] == '/')
        rest.len--;
    struct moon_str authority = rest, name;
    int len;
    if (!moon_authority_split(authority, &name, &port) || (len = moon_hostname_normalise(host, name, true)) < 0) {
        return refuse_url(url, diag);
    }
    terms->host = own(moon_str(host, (size_t)len));
    terms->port = port ? port : terms->tls ? 443 : 80;
    terms->url = own(moon_str(url.data, (size_t)(rest.data + rest.len - url.data)));
    return 0;
}

static int read_addresses(struct moon_origin_terms *terms, struct moon_str list, struct moon_diag *diag) {
    struct moon_str one;
    if (list.len)
        terms->addresses = moon_alloc(MOON_ORIGIN_ADDRESSES * sizeof *terms->addresses);
    while (moon_str_next_element(&list, &one)) {
        if (terms->address_count == MOON_ORIGIN_ADDRESSES ||
            !moon_resolve_literal(&terms->addresses[terms->address_count], one, terms->port)) {
            moon_diag_set(diag, "addresses", "at most %d addresses with commas between are expected",
                          MOON_ORIGIN_ADDRESSES);
            return MOON_EREFUSED;
        }
        terms->address_count++;
    }
    return 0;
}

static int read_tls(struct moon_origin_terms *terms, const struct moon_origin_options *options,
                    struct moon_diag *diag) {
    if (!terms->tls) {
        const char *idle = options->sni.len            ? "sni"
                           : options->ca.len           ? "ca"
                           : options->certificates.len ? "certificates"
                                                       : NULL;
        if (idle) {
            moon_diag_set(diag, idle, "has no meaning for an origin spoken to without TLS");
            return MOON_EREFUSED;
        }
        return 0;
    }
    struct moon_str name = options->sni.len ? options->sni : terms->host;
    char normal[MOON_HOSTNAME_MAX + 1];
    int len = moon_hostname_normalise(normal, name, !options->sni.len);
    if (len < 0) {
        moon_diag_set(diag, "sni", "\"%.*s\" is no hostname", (int)(name.len > 200 ? 200 : name.len), name.data);
        return MOON_EREFUSED;
    }
    terms->server_name = own(moon_str(normal, (size_t)len));
    terms->request_name = options->request_name;
    if (options->client && options->verify && !options->ca.len) {
        terms->client = moon_tls_client_ref(options->client);
        return 0;
    }
    struct moon_tls_client_terms client = {
        .verify = options->verify,
        .ca = options->ca,
        .certificates = options->certificates,
        .private_key = options->private_key,
    };
    return moon_tls_client_new(&terms->client, &client, diag);
}

static void write_digest(char hex[65], struct moon_str text) {
    unsigned char digest[32];
    moon_sha256(digest, text);
    moon_hex_write(hex, digest, sizeof digest, false);
}

/* Everything that makes a connection what it is; the CA and what we present by their digests. (The private key
 * belongs to the certificate: equal certificates are equal identities.) */
static void write_key(struct moon_origin_terms *terms, const struct moon_origin_options *options) {
    char ca[65], identity[65];
    struct moon_buf key;
    write_digest(ca, options->ca);
    write_digest(identity, options->certificates);
    moon_buf_init(&key, KEY_MAX);
    moon_buf_printf(&key, "%s %s %u %s %s %d %s %s ", terms->tls ? "https" : "http", terms->host.data, terms->port,
                    !terms->tls           ? "-"
                    : terms->request_name ? "*"
                                          : terms->server_name.data,
                    terms->host_header.len ? terms->host_header.data : "-", terms->tls && options->verify,
                    terms->tls ? ca : "-", terms->tls && options->certificates.len ? identity : "-");
    moon_buf_append_str(&key, options->addresses);
    terms->key = own(moon_buf_view(&key));
    terms->hash = moon_hash(terms->key);
    moon_buf_free(&key);
}

int moon_origin_terms_new(struct moon_origin_terms **out, const struct moon_origin_options *options,
                          struct moon_diag *diag) {
    struct moon_origin_terms *terms = moon_new(struct moon_origin_terms);
    int rc = read_url(terms, options->url, diag);
    *out = NULL;
    terms->references = 1;
    if (rc == 0 && options->host_header.len) {
        struct moon_str name;
        char normal[MOON_HOSTNAME_MAX + 1];
        unsigned port;
        if (!moon_authority_split(options->host_header, &name, &port) || moon_hostname_normalise(normal, name, true) < 0) {
            moon_diag_set(diag, "host_header", "is no host[:port]");
            rc = MOON_EREFUSED;
        } else {
            terms->host_header = own(options->host_header);
        }
    }
    if (rc == 0)
        rc = read_addresses(terms, options->addresses, diag);
    if (rc == 0)
        rc = read_tls(terms, options, diag);
    if (rc) {
        release(terms);
        return rc;
    }
    write_key(terms, options);
    *out = terms;
    return 0;
}

struct moon_origin_terms *moon_origin_terms_ref(struct moon_origin_terms *terms) {
    __atomic_add_fetch(&terms->references, 1, __ATOMIC_RELAXED);
    return terms;
}

void moon_origin_terms_unref(struct moon_origin_terms **pointer) {
    struct moon_origin_terms *terms = *pointer;
    *pointer = NULL;
    if (terms && __atomic_sub_fetch(&terms->references, 1, __ATOMIC_ACQ_REL) == 0)
        release(terms);
}
