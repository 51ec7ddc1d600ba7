// os_timer: the SDK's software timers, on which machine.Timer is built. Part of uwebsocket; MIT licence.
//
// Stands for the timer list in the chip's ROM, with its weakness: the list runs through the callers' own memory, and a
// soft reset of MicroPython does not empty it. A machine.Timer that was not stopped then leads into a heap that was
// handed out anew. Differs: due timers are found by the event loop, not by an interrupt and a task.

#include "chip.h"

static os_timer_t *first;

static bool is_due(const os_timer_t *timer, uint32_t now_us) {
    return (int32_t)(timer->due_us - now_us) <= 0;
}

static void insert(os_timer_t *timer) {
    os_timer_t **place = &first;
    while (*place && (int32_t)((*place)->due_us - timer->due_us) <= 0) {
        place = &(*place)->next;
    }
    timer->next = *place;
    *place = timer;
}

void os_timer_setfn(os_timer_t *timer, os_timer_func_t *function, void *argument) {
    timer->function = function;
    timer->argument = argument;
}

void os_timer_disarm(os_timer_t *timer) {
    for (os_timer_t **place = &first; *place; place = &(*place)->next) {
        if (*place == timer) {
            *place = timer->next;
            return;
        }
    }
}

void os_timer_arm_us(os_timer_t *timer, uint32_t us, bool repeat) {
    os_timer_disarm(timer);
    timer->due_us = system_get_time() + us;
    timer->period_us = repeat ? us : 0;
    insert(timer);
}

void os_timer_arm(os_timer_t *timer, uint32_t ms, bool repeat) {
    os_timer_arm_us(timer, ms * 1000, repeat);
}

// Call what is due; return whether anything was.
bool timers_poll(void) {
    if (!first) {
        return false;
    }
    uint32_t now_us = system_get_time();
    bool any = false;
    while (first && is_due(first, now_us)) {
        os_timer_t *timer = first;
        first = timer->next;
        if (timer->period_us) {
            timer->due_us += timer->period_us;
            if (is_due(timer, now_us)) {
                timer->due_us = now_us + timer->period_us; // late by more than a period: these are lost
            }
            insert(timer);
        }
        timer->function(timer->argument);
        any = true;
    }
    return any;
}

// Return the time until the next timer, at most `limit_us`.
uint32_t timers_next_us(uint32_t limit_us) {
    if (first) {
        int32_t left_us = first->due_us - system_get_time();
        limit_us = left_us <= 0 ? 0 : (uint32_t)left_us < limit_us ? (uint32_t)left_us : limit_us;
    }
    return limit_us;
}
