/* app/request_view.h — a request as moongate.h shows it to handlers and fields of the program: one face over the two
 * forms in which the core knows requests. Made on the stack for one call. */
#ifndef MOON_APP_REQUEST_VIEW_H
#define MOON_APP_REQUEST_VIEW_H

#include "gate/facts.h"
#include "gate/handler.h"
#include "include/moongate.h"
#include "net/address.h"

/* Exactly one of the two is not NULL. */
struct moon_gate_request {
    const struct moon_handler_request *handler; /* of content */
    const struct moon_facts *facts;             /* of rules */
    char address[MOON_ADDRESS_TEXT];            /* of facts, once asked for */
};

#endif
