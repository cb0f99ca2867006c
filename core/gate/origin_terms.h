/* gate/origin_terms.h — where requests of a host go and how: frozen, shared by counting. Equal terms have equal keys, so that warm
 * connections survive the publication of a snapshot that did not change them. */
#ifndef MOON_GATE_ORIGIN_TERMS_H
#define MOON_GATE_ORIGIN_TERMS_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "net/address.h"
#include "tls/client.h"

/* More than enough for round-robin, few enough for `key`. */
#define MOON_ORIGIN_ADDRESSES 32

struct moon_origin_terms {
    unsigned references; /* atomic */
    struct moon_str url;         /* as given, without path: for logs */
    struct moon_str host;        /* name or IP literal to connect to */
    unsigned port;
    bool tls;
    struct moon_address *addresses; /* to connect to in place of looking `host` up */
    unsigned address_count;         /* 0: none given */
    unsigned turn;                  /* atomic; which of them is the next connection's first */
    struct moon_str server_name; /* SNI and the name to verify; with tls only */
    bool request_name;           /* … but each request's effective host in its place; with tls only */
    struct moon_str host_header; /* sent as Host; empty: the request's effective host */
    struct moon_tls_client *client; /* with tls only */
    struct moon_str key;         /* everything above as text: equal keys, equal connections */
    uint64_t hash;               /* of key */
};

/* What the admin API gives. Empty texts: not given. */
struct moon_origin_options {
    struct moon_str url;         /* http://host[:port] or https://host[:port]; no path but "/" */
    struct moon_str host_header;
    struct moon_str sni;
    bool request_name;           /* the request's effective host is SNI and the name to verify, whatever `sni` says */
    struct moon_str addresses;   /* IP literals with commas between, to connect to in place of looking the URL's host up */
    struct moon_str ca;          /* PEM; empty: the system's CAs */
    struct moon_str certificates; /* PEM chain that we present when asked, leaf first; with https only */
    struct moon_str private_key; /* PEM, of its first certificate; wiped nowhere here: it is the caller's */
    bool verify;
    struct moon_tls_client *client; /* for the system's CAs, when there is one already (counted); NULL: one is made */
};

/* Control thread. Copies. MOON_EREFUSED with diag->where the option's name. */
int moon_origin_terms_new(struct moon_origin_terms **out, const struct moon_origin_options *options,
                          struct moon_diag *diag);
/* Any thread. */
struct moon_origin_terms *moon_origin_terms_ref(struct moon_origin_terms *terms);
void moon_origin_terms_unref(struct moon_origin_terms **terms);

#endif
