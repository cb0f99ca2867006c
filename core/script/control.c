#include "script/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/crypto.h"

/* Of a certificate chain or a key in PEM; ours are below 4 KiB unless hundreds of names are in one. */
#define PEM_CEILING (256 * 1024)

double moon_ffi_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)(now.tv_nsec / 1000) / 1e6;
}

void moon_ffi_random(void *room, size_t size) {
    moon_random(room, size);
}

void moon_ffi_sha256(unsigned char *digest, const char *data, size_t len) {
    moon_sha256(digest, moon_str(data, len));
}

bool moon_ffi_equal(const char *a, const char *b, size_t len) {
    return moon_equal_constant_time(a, b, len);
}

/* ---- certificates ---- */

int moon_ffi_certificates(struct moon_certificate *list, size_t room, size_t *count, const char *pem, size_t len,
                          struct moon_diag *diag) {
    return moon_certificates_read(list, room, count, moon_str(pem, len), diag);
}

int moon_ffi_match_key(const char *pem, size_t pem_len, const char *key, size_t key_len, struct moon_diag *diag) {
    return moon_certificates_match_key(moon_str(pem, pem_len), moon_str(key, key_len), diag);
}

int moon_ffi_trust_new(struct moon_trust **out, const struct moon_str *pems, size_t count, struct moon_diag *diag) {
    return moon_trust_new(out, pems, count, diag);
}

void moon_ffi_trust_free(struct moon_trust *trust) {
    moon_trust_unref(&trust);
}

int moon_ffi_policy_new(struct moon_tls_policy **out, const char *certificates, size_t certificates_len,
                        const char *key, size_t key_len, struct moon_diag *diag) {
    struct moon_tls_terms terms = {
        .min_version = TLS1_2_VERSION,
        .certificates = moon_str(certificates, certificates_len),
        .private_key = moon_str(key, key_len),
    };
    return moon_tls_policy_new(out, &terms, diag);
}

int moon_ffi_policy_issue(struct moon_tls_policy **out, struct moon_control *control, const struct moon_str *names,
                          size_t count, struct moon_diag *diag) {
    struct moon_buf certificates, key;
    *out = NULL;
    moon_buf_init(&certificates, PEM_CEILING);
    moon_buf_init(&key, PEM_CEILING);
    int rc = moon_local_ca_issue(control->local_ca, names, count, &certificates, &key, diag);
    if (rc == 0) {
        struct moon_str chain = moon_buf_view(&certificates), secret = moon_buf_view(&key);
        rc = moon_ffi_policy_new(out, chain.data, chain.len, secret.data, secret.len, diag);
    }
    if (key.data)
        OPENSSL_cleanse(key.data, key.capacity);
    moon_buf_free(&key);
    moon_buf_free(&certificates);
    return rc;
}

void moon_ffi_policy_free(struct moon_tls_policy *policy) {
    moon_tls_policy_unref(&policy);
}

/* ---- what will be served ---- */

int moon_ffi_origin_new(struct moon_origin_terms **out, const struct moon_ffi_origin *origin, struct moon_diag *diag) {
    struct moon_origin_options options = {
        .url = origin->url,
        .host_header = origin->host_header,
        .sni = origin->sni,
        .ca = origin->ca,
        .verify = origin->verify,
    };
    return moon_origin_terms_new(out, &options, diag);
}

void moon_ffi_origin_free(struct moon_origin_terms *origin) {
    moon_origin_terms_unref(&origin);
}

struct moon_section *moon_ffi_section_new(const char *domain, size_t domain_len, const char *rules, size_t rules_len,
                                          struct moon_tls_policy *policy) {
    return moon_section_new(moon_str(domain, domain_len), moon_str(rules, rules_len), policy);
}

int moon_ffi_section_add(struct moon_section *section, const char *name, size_t len, struct moon_tls_policy *policy,
                         struct moon_trust *trust, struct moon_origin_terms *origin, struct moon_diag *diag) {
    return moon_section_add(section, moon_str(name, len), policy, trust, origin, diag);
}

void moon_ffi_section_seal(struct moon_section *section, struct moon_control *control) {
    if (control->next_host_id == 0)
        control->next_host_id = 1;
    moon_section_seal(section, &control->next_host_id);
}

void moon_ffi_section_free(struct moon_section *section) {
    moon_section_unref(&section);
}

int moon_ffi_snapshot_new(struct moon_snapshot **out, uint64_t generation, struct moon_section **sections, size_t count,
                          struct moon_tls_policy *fallback, struct moon_diag *diag) {
    return moon_snapshot_new(out, generation, sections, count, fallback, diag);
}

void moon_ffi_snapshot_free(struct moon_snapshot *snapshot) {
    moon_snapshot_unref(&snapshot);
}

int moon_ffi_publish(struct moon_control *control, struct moon_snapshot *snapshot, unsigned deadline_ms,
                     struct moon_diag *diag) {
    if (!control->gateway) {
        moon_diag_set(diag, "publish", "there is no gateway to publish to");
        return MOON_EREFUSED;
    }
    return moon_gateway_publish(control->gateway, snapshot, deadline_ms, diag);
}

unsigned moon_ffi_workers(const struct moon_control *control) {
    return control->gateway ? moon_gateway_workers(control->gateway) : 0;
}

uint64_t moon_ffi_generation(const struct moon_control *control, unsigned worker) {
    return worker < moon_ffi_workers(control) ? moon_gateway_generation(control->gateway, worker) : 0;
}

void moon_ffi_counters(const struct moon_control *control, struct moon_counters *sum) {
    memset(sum, 0, sizeof *sum);
    if (control->gateway)
        moon_gateway_counters(control->gateway, sum);
}

struct moon_log_channel *moon_ffi_control_log(struct moon_control *control) {
    return control->log;
}

/* ---- files ---- */

static int failed(struct moon_diag *diag, const char *path, const char *what) {
    moon_diag_set(diag, path, "%s: %s", what, strerror(errno));
    return MOON_ESYSTEM;
}

static bool write_fully(int fd, const char *data, size_t len) {
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0;
}

/* The rename itself must reach the disk too, or a crash brings the former file back. */
static bool sync_directory(const char *path) {
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(directory, sizeof directory, ".");
    else
        snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool fine = fsync(fd) == 0;
    close(fd);
    return fine;
}

int moon_ffi_write_file(const char *path, const char *data, size_t len, struct moon_diag *diag) {
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof temporary) {
        moon_diag_set(diag, path, "the path is too long");
        return MOON_EREFUSED;
    }
    int fd = mkostemp(temporary, O_CLOEXEC); /* 0600 from birth */
    if (fd < 0)
        return failed(diag, path, "a temporary file cannot be made beside it");
    if (!write_fully(fd, data, len)) {
        int rc = failed(diag, path, "it cannot be written");
        close(fd);
        unlink(temporary);
        return rc;
    }
    if (close(fd) != 0 || rename(temporary, path) != 0) {
        int rc = failed(diag, path, "it cannot be replaced");
        unlink(temporary);
        return rc;
    }
    if (!sync_directory(path))
        return failed(diag, path, "its directory cannot be synchronised");
    return 0;
}
