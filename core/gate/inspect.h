/* gate/inspect.h — rules that read the body: the first part of it is held back until they have decided, and goes to the origin with the
 * rest afterwards. Only for requests whose rules ask for it; nobody else waits. All within a turn of the request's
 * connection. */
#ifndef MOON_GATE_INSPECT_H
#define MOON_GATE_INSPECT_H

#include "gate/request.h"

/* What rules see of a body at most. */
#define MOON_INSPECT_BYTES (128 * 1024)

/* The rules said MOON_ACTION_NEED_BODY: the request is kept and its body collected. It may be answered (431) right away. */
void moon_inspect_begin(struct moon_request *request);

/* One span of the body; asks the rules again once enough of it is there. May end the request. */
void moon_inspect_take(struct moon_request *request, struct moon_str payload);

#endif
