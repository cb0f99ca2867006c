/* gate/route.h — the steps between a request that was read and whoever answers it, all by the snapshot of now: may this connection
 * speak for that host, what do the rules say, what do policies, and to which origin. */
#ifndef MOON_GATE_ROUTE_H
#define MOON_GATE_ROUTE_H

#include "gate/request.h"

/* Goes all of the way, unless the rules or a policy have to wait for something. Within a turn; worker->head is the request's. */
void moon_request_route(struct moon_request *request, struct moon_str user_agent);

/* A kept request goes to its origin as the present snapshot has it, with the head that worker->head holds. Within a turn. */
void moon_request_go_on(struct moon_request *request);

/* Whether the rules of now would let a request pass that asked for a tunnel (request->asked) and has it, or waits for it. Outside of
 * any turn. False: request->rule_id is the rule that would not; the view is good until another snapshot is adopted. */
bool moon_request_passes_still(struct moon_request *request, const struct moon_host *host);

/* The rules decide about a kept request with what `collected` holds of its body, and it goes on from there. Within a turn. */
void moon_request_ask_again(struct moon_request *request);

#endif
