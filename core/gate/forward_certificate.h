/* gate/forward_certificate.h — what an origin is told about the client's certificate, as the host's terms say
 * (gate/snapshot.h: enum moon_forward_family). Only what is verified and not revoked is told of, except by the `fields` family,
 * which tells its state as well. What the client itself sent under these names never gets this far (gate/forward.h). */
#ifndef MOON_GATE_FORWARD_CERTIFICATE_H
#define MOON_GATE_FORWARD_CERTIFICATE_H

#include "gate/conn.h"

/* Fields that were written once and are kept with their connection, until what they say has changed. */
struct moon_forwarded_certificate;

/* The lines toward the origin of `host` about this connection's certificate at this moment; none for most hosts. Borrowed until the
 * next call for `conn`. 0, or MOON_ETOOBIG. */
int moon_forward_certificate(struct moon_conn *conn, const struct moon_host *host, struct moon_str *lines);

/* NULL inside is fine; clears it. */
void moon_forward_certificate_free(struct moon_forwarded_certificate **forwarded);

#endif
