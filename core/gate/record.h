/* gate/record.h — the one line that every request leaves, however it ended, and the lines of handshakes that went wrong: those that
 * failed, and those that were finished with a client certificate that its host does not trust. */
#ifndef MOON_GATE_RECORD_H
#define MOON_GATE_RECORD_H

#include "gate/request.h"

void moon_record_request(const struct moon_request *request);
/* A handshake failed. */
void moon_record_handshake(const struct moon_conn *conn, const char *why);
/* A handshake was finished: a line when what the client presented is not verified, or revoked. */
void moon_record_certificate(const struct moon_conn *conn);

#endif
