// MicroPython's console, clock and delays. Part of uwebsocket; MIT licence.
//
// Stands for the port's esp_mphal.c. Differs: a delay and the prompt sleep where the chip spins.

#include <stdio.h>

#include "py/mphal.h"
#include "py/mpprint.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "extmod/misc.h"
#include "ets_alt_task.h"
#include "modmachine.h"
#include "uart.h"
#include "chip.h"

#define IRQ_STATE_LOOP (1u << 12) // a bit of PS that the processor does not use: the event loop was shut

static byte stdin_bytes[256];
ringbuf_t stdin_ringbuf = {stdin_bytes, sizeof(stdin_bytes), 0, 0};
int uart_attached_to_dupterm;

static void print_debug(void *env, const char *text, size_t length) {
    while (length--) {
        if (*text == '\n') {
            uart_tx_one_char(UART0, '\r');
        }
        uart_tx_one_char(UART0, *text++);
    }
}

const mp_print_t mp_debug_print = {NULL, print_debug};

void mp_hal_init(void) {
    mp_hal_rtc_init();
    uart_init(UART_BIT_RATE_115200, UART_BIT_RATE_115200);
    uart_attached_to_dupterm = 0;
}

int mp_hal_stdin_rx_chr(void) {
    for (;;) {
        int byte = ringbuf_get(&stdin_ringbuf);
        if (byte >= 0) {
            return byte;
        }
        mp_event_handle_nowait();
        if (!ringbuf_avail(&stdin_ringbuf)) {
            chip_idle(UINT32_MAX);
        }
    }
}

uintptr_t mp_hal_stdio_poll(uintptr_t flags) {
    uintptr_t ready = 0;
    if ((flags & MP_STREAM_POLL_RD) && ringbuf_avail(&stdin_ringbuf)) {
        ready |= MP_STREAM_POLL_RD;
    }
    if (flags & MP_STREAM_POLL_WR) {
        ready |= mp_os_dupterm_poll(flags);
    }
    return ready;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t length) {
    int written = mp_os_dupterm_tx_strn(text, length);
    return written < 0 ? 0 : written;
}

void mp_hal_signal_input(void) {
}

uint32_t mp_hal_ticks_ms(void) {
    return chip_time_us() / 1000;
}

uint64_t mp_hal_time_ns(void) {
    return pyb_rtc_get_us_since_epoch() * 1000;
}

void mp_hal_delay_us(uint32_t us) {
    uint32_t start_us = system_get_time();
    for (;;) {
        mp_event_handle_nowait();
        uint32_t elapsed_us = system_get_time() - start_us;
        if (elapsed_us >= us) {
            return;
        }
        if (us - elapsed_us > 100) {
            chip_idle(us - elapsed_us);
        }
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    mp_hal_delay_us(ms * 1000);
}

uint32_t esp_disable_irq(void) {
    uint32_t state = (disable_irq() & ~IRQ_STATE_LOOP) | (ets_loop_iter_disable ? IRQ_STATE_LOOP : 0);
    ets_loop_iter_disable = 1;
    return state;
}

void esp_enable_irq(uint32_t state) {
    ets_loop_iter_disable = (state & IRQ_STATE_LOOP) != 0;
    enable_irq(state & ~IRQ_STATE_LOOP);
}

void __assert_func(const char *file, int line, const char *function, const char *expression) {
    printf("assert:%s:%d:%s: %s\n", file, line, function, expression);
    mp_raise_msg(&mp_type_AssertionError, MP_ERROR_TEXT("C-level assert"));
}

int ets_esf_free_bufs(int index) {
    return 0;
}
