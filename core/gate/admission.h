/* gate/admission.h — who may open another connection: a ceiling for the whole gateway, and one per client address (IPv4 address, IPv6
 * /64) counted by each worker. What is over is closed at once, unless an idle one makes room (gate/crowd.h); an outsider must not be able to take every descriptor. The admin
 * listener has a ceiling of its own, so that the world cannot shut the operator out. */
#ifndef MOON_GATE_ADMISSION_H
#define MOON_GATE_ADMISSION_H

#include "gate/worker.h"
#include "net/address.h"

void moon_admission_init(struct moon_worker *worker);
void moon_admission_deinit(struct moon_worker *worker);
enum moon_admitted {
    MOON_ADMITTED_NOT = 0, /* too many of that address */
    MOON_ADMITTED_FULL,    /* too many of all */
    MOON_ADMITTED          /* counted; leave must follow */
};
enum moon_admitted moon_admission_enter(struct moon_worker *worker, const struct moon_address *peer);
void moon_admission_leave(struct moon_worker *worker, const struct moon_address *peer);

#endif
