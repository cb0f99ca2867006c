#include "script/bridge.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include "net/address.h"
#include "tls/crypto.h"

#ifndef MOONGATE_VERSION
#error "MOONGATE_VERSION comes from the build"
#endif

int moon_ffi_abi(void) {
    return MOON_FFI_ABI;
}

const char *moon_ffi_version(void) {
    return MOONGATE_VERSION;
}

uint64_t moon_ffi_snapshot_generation(const struct moon_snapshot *snapshot) {
    return moon_snapshot_generation(snapshot);
}

const struct moon_section *moon_ffi_snapshot_section(const struct moon_snapshot *snapshot, size_t index) {
    return moon_snapshot_section(snapshot, index);
}

void moon_ffi_section_domain(const struct moon_section *section, struct moon_str *domain) {
    *domain = moon_section_domain(section);
}

void moon_ffi_section_rules(const struct moon_section *section, struct moon_str *rules) {
    *rules = moon_section_rules(section);
}

void moon_ffi_host_name(const struct moon_host *host, struct moon_str *name) {
    *name = host->name;
}

const struct moon_section *moon_ffi_host_section(const struct moon_host *host) {
    return host->section;
}

void moon_ffi_host_metadata(const struct moon_host *host, struct moon_str *metadata) {
    *metadata = host && host->terms.metadata.len ? host->terms.metadata : MOON_STR("");
}

int moon_ffi_certificate_text(struct moon_peer *peer, int which, struct moon_str *text) {
    return moon_peer_text(peer, (enum moon_certificate_text)which, text);
}

bool moon_ffi_certificate_entry(struct moon_peer *peer, int which, size_t index, struct moon_str *entry) {
    return moon_peer_entry(peer, (enum moon_certificate_list)which, index, entry);
}

void moon_ffi_tls_text(struct moon_tls_session *session, int which, struct moon_str *text) {
    *text = session ? moon_tls_session_text(session, (enum moon_tls_text)which) : MOON_STR("");
}

unsigned moon_ffi_tls_hello_length(const struct moon_tls_session *session) {
    return session ? moon_tls_session_hello_length(session) : 0;
}

int moon_ffi_local_address(int socket, unsigned char *ip, unsigned *port) {
    struct moon_address address = {.len = sizeof address.sock};
    *port = 0;
    if (getsockname(socket, &address.sock.any, &address.len) != 0)
        return 0;
    *port = moon_address_port(&address);
    return moon_address_ip(&address, ip);
}

void moon_ffi_tcp_info(int socket, uint64_t *rtt_us, uint64_t *delivery_rate) {
    struct tcp_info info;
    socklen_t len = sizeof info;
    *rtt_us = *delivery_rate = 0;
    memset(&info, 0, sizeof info); /* an older kernel fills less */
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return;
    *rtt_us = info.tcpi_rtt;
    *delivery_rate = info.tcpi_delivery_rate;
}

double moon_ffi_time_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec * 1000 + (double)(now.tv_nsec / 1000000);
}

void moon_ffi_seed(char *room, size_t size) {
    moon_random(room, size);
}

/* Lua hands in any number; a line with an odd level is better than no line. */
static enum moon_log_level level_of(int level) {
    if (level < MOON_LOG_ERROR)
        return MOON_LOG_ERROR;
    if (level > MOON_LOG_DEBUG)
        return MOON_LOG_DEBUG;
    return (enum moon_log_level)level;
}

void moon_ffi_log(struct moon_log_channel *channel, int level, const char *subject, const char *what,
                  const char *detail, size_t detail_len) {
    if (!moon_log_wants(channel, level_of(level)))
        return;
    moon_log_begin(channel, level_of(level), subject, what);
    if (detail)
        moon_log_str(channel, "detail", moon_str(detail, detail_len));
    moon_log_end(channel);
}

bool moon_ffi_log_wants(const struct moon_log_channel *channel, int level) {
    return moon_log_wants(channel, level_of(level));
}
