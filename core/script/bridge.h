/* script/bridge.h — the stair between Lua and C that every state walks: flat functions for LuaJIT's FFI over what the
 * gateway serves. Read by the C compiler and, the marked regions, by LuaJIT (module moongate.cdef): plain types only.
 * Nothing here waits or calls back, and what is allocated (a text that is kept with its certificate) stays C's. What only the
 * control state may do is in script/control.h. */
#ifndef MOON_SCRIPT_BRIDGE_H
#define MOON_SCRIPT_BRIDGE_H

#include "base/log.h"
#include "gate/facts.h"
#include "gate/snapshot.h"
#include "script/ffi.h"

/* Raised whenever a struct or function in a marked region changes its meaning; lua/ffi.lua refuses to run against
 * another. */
#define MOON_FFI_ABI 19

/* ffi: begin */
struct moon_snapshot;
struct moon_section;
struct moon_log_channel;

MOON_FFI int moon_ffi_abi(void);
MOON_FFI const char *moon_ffi_version(void); /* constant, NUL terminated */

/* The snapshot that is being adopted (gate/snapshot.h says how long it lives). Sections: NULL past the end. */
MOON_FFI uint64_t moon_ffi_snapshot_generation(const struct moon_snapshot *snapshot);
MOON_FFI const struct moon_section *moon_ffi_snapshot_section(const struct moon_snapshot *snapshot, size_t index);
/* Views are borrowed from the section. */
MOON_FFI void moon_ffi_section_domain(const struct moon_section *section, struct moon_str *domain);
MOON_FFI void moon_ffi_section_rules(const struct moon_section *section, struct moon_str *rules);
/* The host that a request's facts point to. The view is borrowed from the host. */
MOON_FFI void moon_ffi_host_name(const struct moon_host *host, struct moon_str *name);
MOON_FFI const struct moon_section *moon_ffi_host_section(const struct moon_host *host);
/* Of no host: empty. */
MOON_FFI void moon_ffi_host_metadata(const struct moon_host *host, struct moon_str *metadata);

/* What the rules ask about a request's certificate and TLS session (facts.certificate.peer, facts.tls; NULL is fine: empty).
 * `which` is of enum moon_certificate_text, moon_certificate_list, moon_tls_text. Views are borrowed until the rules have
 * returned. 1: there is a text, but too large to be shown. */
MOON_FFI int moon_ffi_certificate_text(struct moon_peer *peer, int which, struct moon_str *text);
/* False past the end. */
MOON_FFI bool moon_ffi_certificate_entry(struct moon_peer *peer, int which, size_t index, struct moon_str *entry);
MOON_FFI void moon_ffi_tls_text(struct moon_tls_session *session, int which, struct moon_str *text);
MOON_FFI unsigned moon_ffi_tls_hello_length(const struct moon_tls_session *session);

/* What the kernel knows of a request's connection (facts.socket). The local address: 4 or 16 bytes into `ip`, its length is
 * returned (0 when unknown), and the port. */
MOON_FFI int moon_ffi_local_address(int socket, unsigned char *ip, unsigned *port);
/* Smoothed round-trip time in microseconds, delivery rate in bytes a second; 0 when unknown. */
MOON_FFI void moon_ffi_tcp_info(int socket, uint64_t *rtt_us, uint64_t *delivery_rate);
/* UNIX time in milliseconds. */
MOON_FFI double moon_ffi_time_ms(void);
/* From the CSPRNG. */
MOON_FFI void moon_ffi_seed(char *room, size_t size);

/* One log line of this thread. `level` as in base/log.h; `detail` may be NULL. Copies. */
MOON_FFI void moon_ffi_log(struct moon_log_channel *channel, int level, const char *subject, const char *what,
                           const char *detail, size_t detail_len);
MOON_FFI bool moon_ffi_log_wants(const struct moon_log_channel *channel, int level);
/* ffi: end */

#endif
