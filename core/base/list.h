/* base/list.h — an intrusive, circular, doubly linked list. A link that is in no list points at itself.
 * The list never owns what is linked in it. */
#ifndef MOON_BASE_LIST_H
#define MOON_BASE_LIST_H

#include <stdbool.h>

#include "base/check.h"

struct moon_link {
    struct moon_link *next;
    struct moon_link *previous;
};

static inline void moon_list_init(struct moon_link *link) {
    link->next = link;
    link->previous = link;
}

static inline bool moon_list_is_empty(const struct moon_link *list) {
    return list->next == list;
}

static inline void moon_list_remove(struct moon_link *link) {
    link->next->previous = link->previous;
    link->previous->next = link->next;
    moon_list_init(link);
}

/* At the end; `link` must be in no list. */
static inline void moon_list_append(struct moon_link *list, struct moon_link *link) {
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

static inline void moon_list_prepend(struct moon_link *list, struct moon_link *link) {
    moon_list_append(list->next, link);
}

/* Takes the first one out; NULL when the list is empty. */
static inline struct moon_link *moon_list_take_first(struct moon_link *list) {
    if (moon_list_is_empty(list))
        return NULL;
    struct moon_link *first = list->next;
    moon_list_remove(first);
    return first;
}

#define MOON_LINKED(link, type, member) MOON_CONTAINER(link, type, member)

#endif
