/* gate/record.h — the one line that every request leaves, however it ended, and the line of a failed handshake. */
#ifndef MOON_GATE_RECORD_H
#define MOON_GATE_RECORD_H

#include "gate/request.h"

void moon_record_request(const struct moon_request *request);
void moon_record_handshake(const struct moon_conn *conn, const char *why);

#endif
