// The event loop: what is done while MicroPython runs or waits. Part of uwebsocket; MIT licence.
//
// Stands for the port's ets_alt_task.c and the SDK's tasks and interrupts behind it. The port calls ets_loop_iter()
// every ten jumps of byte code and in every wait; here that call asks each device in turn. Differs: without that call
// nothing happens (no interrupt handler of the UART, no watchdog), and a wait sleeps where the chip spins.

#include "py/mpstate.h"
#include "lwip/timeouts.h"
#include "xtirq.h"
#include "chip.h"

#define LONGEST_SLEEP_US 20000 // so often lwIP's timers and the Wi-Fi are looked at

int ets_loop_iter_disable;
int ets_loop_dont_feed_sw_wdt;
uint32_t system_time_low_word;
uint32_t system_time_high_word;

volatile uint32_t chip_tick; // a millisecond has passed: set by the timer's interrupt, start.S
bool chip_progress; // something has happened since the last wait
unsigned int chip_connecting; // milliseconds in which no frame is taken, since an answer over the air takes some
unsigned int chip_wait_rounds; // waits since the last byte code that jumps, and the last call into lwIP

void system_time_update(void) {
    uint64_t now_us = chip_time_us();
    system_time_low_word = now_us;
    system_time_high_word = now_us >> 32;
}

bool ets_loop_iter(void) {
    static bool inside;
    if (ets_loop_iter_disable || inside) {
        return false;
    }
    // The look at the clock is dear in QEMU: most calls end here.
    uint32_t pending = READ_SPECIAL(interrupt) & (INTERRUPT_UART | INTERRUPT_ETHERNET);
    if (!pending && !chip_tick) {
        return false;
    }
    inside = true;
    bool progress = false;
    if (pending & INTERRUPT_UART) {
        progress |= uart_poll();
    }
    if (pending & INTERRUPT_ETHERNET && !chip_connecting) {
        progress |= netif_poll();
    }
    if (chip_tick) {
        chip_tick = 0;
        chip_connecting -= chip_connecting > 0;
        system_time_update();
        progress |= timers_poll();
        wifi_poll();
        sys_check_timeouts();
    }
    chip_progress |= progress;
    inside = false;
    return progress;
}

// Sleep until a device or a timer has something to do, at most for `us`. The caller has just called ets_loop_iter().
void chip_idle(uint32_t us) {
    uint32_t devices = INTERRUPT_ETHERNET | (uart_takes_more() ? INTERRUPT_UART : 0);
    us = timers_next_us(us < LONGEST_SLEEP_US ? us : LONGEST_SLEEP_US);
    if (us == 0 || ets_loop_iter_disable || MP_STATE_VM(sched_state) == MP_SCHED_PENDING) {
        return;
    }
    // With interrupts shut nothing gets lost between the look and the wait.
    uint32_t state = disable_irq();
    if (READ_SPECIAL(interrupt) & devices) {
        enable_irq(state);
        return;
    }
    WRITE_SPECIAL(ccompare0, READ_SPECIAL(ccount) + us * CYCLES_PER_US);
    WRITE_SPECIAL(intenable, devices | INTERRUPT_TIMER);
    __asm__ volatile ("waiti 0" : : : "memory");
}

// MicroPython's wait in poll(), in sockets: at most `ms`, without end where it is negative. The first rounds of a loop
// do not wait, since on the chip none does: connect() on a non-blocking socket, for one, has to come back before the
// network has answered.
void chip_wait(int ms) {
    if (chip_progress || chip_wait_rounds++ < 2) {
        chip_progress = false;
        return;
    }
    chip_idle(ms < 0 || ms > 20 ? LONGEST_SLEEP_US : ms * 1000);
}
