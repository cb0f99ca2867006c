/* gate/snapshot.h — what the gateway serves right now, frozen. A snapshot is a numbered set of sections; a section is one immutable
 * document with the hostnames under one domain: their TLS terms, trust sets, origins, and the rules as opaque bytes.
 * A section may have guests beside: names of other domains, which it serves as long as no section has their domain.
 * Sections are shared by reference between snapshots, so that a change in one costs that one. Built and proven on the
 * control thread, then shared by counting; nothing changes after sealing. Knows nothing of accounts, zones or Lua. */
#ifndef MOON_GATE_SNAPSHOT_H
#define MOON_GATE_SNAPSHOT_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "gate/origin_terms.h"
#include "tls/policy.h"
#include "tls/trust.h"

/* ffi: begin */
struct moon_tls_policy;
struct moon_trust;
struct moon_origin_terms;

/* What an origin is told about the client's certificate, added up (gate/forward_certificate.h). */
enum moon_forward_family {
    MOON_FORWARD_CLOUDFLARE = 1, /* Cf-Client-Cert-Der-Base64, Cf-Client-Cert-Sha256 */
    MOON_FORWARD_FIELDS = 2,     /* Cf-Cert-…: one for each field of the rules language */
    MOON_FORWARD_RFC9440 = 4,    /* Client-Cert, Client-Cert-Chain */
    MOON_FORWARD_XFCC = 8        /* X-Forwarded-Client-Cert */
};

/* How a name is served. All zero: the section's policy, no client certificates, no origin. */
struct moon_host_terms {
    struct moon_tls_policy *policy;   /* NULL takes the section's */
    struct moon_trust *trust;         /* NULL: no client certificate is asked for */
    struct moon_origin_terms *origin; /* NULL: "no origin" */
    unsigned forward;                 /* of enum moon_forward_family */
    bool no_resumption;               /* every connection makes a full handshake */
    bool https_only;                  /* plain HTTP is sent to https:// */
    bool no_websockets;               /* a request to switch to websocket is answered like any other */
    bool true_client_ip;              /* the origin is told the client's address in True-Client-IP, too */
    bool strict_sni;                  /* answered only on connections that were opened under the very name */
    struct moon_str metadata;         /* what the rules are told about the name; empty: nothing */
};
/* ffi: end */

/* What is served under one name. Immutable; lives as long as its section. */
struct moon_host {
    struct moon_str name;         /* "api.example.com", "*.example.com", "*" for the rest of the section */
    uint32_t id;                  /* never used twice in a process */
    struct moon_section *section; /* the section it belongs to (not counted) */
    bool guest;                   /* its name lies outside the section's domain */
    struct moon_host_terms terms; /* counted; the policy is never NULL */
};

struct moon_section;

/* Control thread. `domain` is normalised; the section answers for it and every name below it that no more specific section
 * answers for. `rules` is copied. `policy` is counted; it is the default of its hosts and serves the names without an entry. */
struct moon_section *moon_section_new(struct moon_str domain, struct moon_str rules, struct moon_tls_policy *policy);
/* Adds a host. `name` is exact, "*.<name>" (one more label), or "*"; must be the domain itself or below it.
 * Copies `terms` and counts what they hold. MOON_EREFUSED with diag for a bad or repeated name. Not after sealing. */
int moon_section_add(struct moon_section *section, struct moon_str name, const struct moon_host_terms *terms,
                     struct moon_diag *diag);
/* The same for a guest: exact or "*.<name>", neither the domain nor below it. */
int moon_section_add_guest(struct moon_section *section, struct moon_str name, const struct moon_host_terms *terms,
                           struct moon_diag *diag);
/* From here on immutable. Assigns ids from *next_id (which moves on). A section without a "*" host gets one with all-zero
 * terms. */
void moon_section_seal(struct moon_section *section, uint32_t *next_id);
/* Any thread. */
struct moon_section *moon_section_ref(struct moon_section *section);
void moon_section_unref(struct moon_section **section);
struct moon_str moon_section_domain(const struct moon_section *section);
struct moon_str moon_section_rules(const struct moon_section *section);
/* Hosts in the order they were added; NULL past the end. */
const struct moon_host *moon_section_host(const struct moon_section *section, size_t index);

struct moon_snapshot;

/* Control thread. Counts the sections (all sealed; two of one domain are refused, and a guest of two sections) and `fallback`, the policy for names that
 * no section answers for (NULL: such handshakes are refused with unrecognized_name). */
int moon_snapshot_new(struct moon_snapshot **out, uint64_t generation, struct moon_section **sections, size_t count,
                      struct moon_tls_policy *fallback, struct moon_diag *diag);
/* Any thread. */
struct moon_snapshot *moon_snapshot_ref(struct moon_snapshot *snapshot);
void moon_snapshot_unref(struct moon_snapshot **snapshot); /* clears it; NULL inside is fine */

uint64_t moon_snapshot_generation(const struct moon_snapshot *snapshot);
struct moon_tls_policy *moon_snapshot_fallback(const struct moon_snapshot *snapshot); /* borrowed; may be NULL */
/* Sections, in no particular order; NULL past the end. Borrowed. */
struct moon_section *moon_snapshot_section(const struct moon_snapshot *snapshot, size_t index);

/* The one lookup, for SNI and Host alike. `name` is normalised (base/hostname.h). The most specific section, in it the exact
 * name, else the wildcard one label up, else "*". Without a section: the guest of that name, else the guest that is its wildcard.
 * NULL when nobody answers for the name. Borrowed. */
const struct moon_host *moon_snapshot_find(const struct moon_snapshot *snapshot, struct moon_str name);

#endif
