#include "net/mailbox.h"

#include "base/error.h"

static void deliver(struct moon_mailbox *mailbox) {
    for (;;) {
        pthread_mutex_lock(&mailbox->lock);
        struct moon_link *link = moon_list_take_first(&mailbox->queue);
        if (link)
            mailbox->length--;
        pthread_mutex_unlock(&mailbox->lock);
        if (!link)
            return;
        mailbox->receive(mailbox->owner, MOON_LINKED(link, struct moon_message, link));
    }
}

static void on_async(uv_async_t *async) {
    deliver(async->data);
}

int moon_mailbox_open(struct moon_mailbox *mailbox, uv_loop_t *loop, moon_mailbox_fn receive, void *owner) {
    int rc = uv_async_init(loop, &mailbox->async, on_async);
    if (rc)
        return rc;
    mailbox->async.data = mailbox;
    pthread_mutex_init(&mailbox->lock, NULL);
    moon_list_init(&mailbox->queue);
    mailbox->length = 0;
    mailbox->closed = false;
    mailbox->receive = receive;
    mailbox->owner = owner;
    return 0;
}

void moon_mailbox_close(struct moon_mailbox *mailbox) {
    pthread_mutex_lock(&mailbox->lock);
    mailbox->closed = true;
    pthread_mutex_unlock(&mailbox->lock);
    deliver(mailbox);
    uv_close((uv_handle_t *)&mailbox->async, NULL);
}

int moon_mailbox_post(struct moon_mailbox *mailbox, struct moon_message *message) {
    int rc = 0;
    moon_list_init(&message->link);
    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->closed) {
        rc = MOON_ECLOSED;
    } else if (mailbox->length >= MOON_MAILBOX_MAX) {
        rc = MOON_EBUSY;
    } else {
        moon_list_append(&mailbox->queue, &message->link);
        mailbox->length++;
        uv_async_send(&mailbox->async); /* under the lock: once it is closed nobody may wake it any more; it never waits */
    }
    pthread_mutex_unlock(&mailbox->lock);
    return rc;
}
