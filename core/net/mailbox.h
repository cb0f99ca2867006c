/* net/mailbox.h — posts a message to another loop: the only door between threads. The queue is bounded; a message that does not
 * fit is refused, never dropped silently. */
#ifndef MOON_NET_MAILBOX_H
#define MOON_NET_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

#include "base/list.h"

#define MOON_MAILBOX_MAX 1024

struct moon_message {
    struct moon_link link;
    int kind; /* the owner's enum */
    void *data;
};

/* Called on the loop's thread; takes `message` (frees it, or whatever it lives in). */
typedef void (*moon_mailbox_fn)(void *owner, struct moon_message *message);

struct moon_mailbox {
    uv_async_t async;
    pthread_mutex_t lock;
    struct moon_link queue;
    unsigned length;
    bool closed;
    moon_mailbox_fn receive;
    void *owner;
};

/* Before the loop's thread starts, or on it. Returns 0 or a libuv error. */
int moon_mailbox_open(struct moon_mailbox *mailbox, uv_loop_t *loop, moon_mailbox_fn receive, void *owner);
/* On the loop's thread; messages that wait are handed to `receive` first, later ones are refused. The mailbox's memory must stay valid as
 * long as anybody may post. */
void moon_mailbox_close(struct moon_mailbox *mailbox);
/* Any thread. Takes `message`; nothing is taken when it returns MOON_EBUSY (the queue is full) or MOON_ECLOSED. */
int moon_mailbox_post(struct moon_mailbox *mailbox, struct moon_message *message);

#endif
