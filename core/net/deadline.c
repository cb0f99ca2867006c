#include "net/deadline.h"

static unsigned slot_of(const struct moon_clock *clock, uint64_t at) {
    uint64_t tick = at / MOON_CLOCK_TICK_MS + 1; /* rounded up: never early */
    uint64_t first = clock->slot_time + 1;
    uint64_t last = clock->slot_time + MOON_CLOCK_SLOTS - 1;
    if (tick < first)
        tick = first;
    if (tick > last)
        tick = last; /* far away: looked at again when that slot comes up */
    return (unsigned)(tick % MOON_CLOCK_SLOTS);
}

static void put(struct moon_clock *clock, struct moon_deadline *deadline) {
    unsigned slot = slot_of(clock, deadline->at);
    moon_list_append(&clock->slots[slot], &deadline->link);
    deadline->linked = slot + 1;
}

static void on_tick(uv_timer_t *timer) {
    struct moon_clock *clock = timer->data;
    uint64_t now = uv_now(clock->loop);
    uint64_t present = now / MOON_CLOCK_TICK_MS;
    while (clock->slot_time < present) {
        clock->slot_time++;
        struct moon_link due;
        struct moon_link *slot = &clock->slots[clock->slot_time % MOON_CLOCK_SLOTS];
        if (moon_list_is_empty(slot))
            continue;
        due = *slot; /* move the whole slot aside: callbacks may link into it again */
        due.next->previous = &due;
        due.previous->next = &due;
        moon_list_init(slot);
        struct moon_link *link;
        while ((link = moon_list_take_first(&due))) {
            struct moon_deadline *deadline = MOON_LINKED(link, struct moon_deadline, link);
            deadline->linked = 0;
            if (!deadline->at)
                continue;
            if (deadline->at > now) {
                put(clock, deadline);
                continue;
            }
            deadline->at = 0;
            deadline->passed(deadline);
        }
    }
}

void moon_clock_open(struct moon_clock *clock, uv_loop_t *loop) {
    clock->loop = loop;
    for (unsigned i = 0; i < MOON_CLOCK_SLOTS; i++)
        moon_list_init(&clock->slots[i]);
    uv_update_time(loop);
    clock->slot_time = uv_now(loop) / MOON_CLOCK_TICK_MS;
    uv_timer_init(loop, &clock->timer);
    clock->timer.data = clock;
    uv_timer_start(&clock->timer, on_tick, MOON_CLOCK_TICK_MS, MOON_CLOCK_TICK_MS);
    uv_unref((uv_handle_t *)&clock->timer);
}

void moon_clock_close(struct moon_clock *clock) {
    uv_close((uv_handle_t *)&clock->timer, NULL);
}

void moon_deadline_set(struct moon_clock *clock, struct moon_deadline *deadline, uint64_t after_ms) {
    uint64_t at = uv_now(clock->loop) + after_ms;
    bool later = deadline->linked && deadline->at && at >= deadline->at;
    deadline->at = at;
    if (later)
        return;
    if (deadline->linked)
        moon_list_remove(&deadline->link);
    put(clock, deadline);
}

void moon_deadline_clear(struct moon_deadline *deadline) {
    deadline->at = 0;
    if (deadline->linked) {
        moon_list_remove(&deadline->link);
        deadline->linked = 0;
    }
}
