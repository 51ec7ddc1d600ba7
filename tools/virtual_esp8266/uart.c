// The serial port: QEMU's 16550 in place of the chip's UART. Part of uwebsocket; MIT licence.
//
// Stands for the port's uart.c and the hardware under it. Differs: no baud rate, so bytes take no time; where the
// chip's 16-byte FIFO and MicroPython's buffer of 256 overflow, the bytes stay with the host, whose write waits;
// UART(1) prints nothing.

#include "py/mphal.h"
#include "py/runtime.h"
#include "uart.h"
#include "chip.h"

#define DEVICE 0x9d050020
#define DATA *(volatile uint8_t *)(DEVICE + 0)
#define INTERRUPT_ENABLE *(volatile uint8_t *)(DEVICE + 4)
#define FIFO_CONTROL *(volatile uint8_t *)(DEVICE + 8)
#define LINE_STATUS *(volatile uint8_t *)(DEVICE + 20)
#define RECEIVED 0x01
#define ROOM_TO_SEND 0x20
#define NOBODY_US 500000 // a host that reads nothing for so long is not there

UartDevice UartDev = {.baut_rate = UART_BIT_RATE_115200, .data_bits = UART_EIGHT_BITS, .stop_bits = UART_ONE_STOP_BIT};

uint8_t uart_ringbuf_array[UART0_STATIC_RXBUF_LEN];
static ringbuf_t own_buffer = {uart_ringbuf_array, sizeof(uart_ringbuf_array), 0, 0};

void uart_start(void) {
    FIFO_CONTROL = 0x01;
    INTERRUPT_ENABLE = 0x01; // on received bytes
}

static ringbuf_t *receiver(void) {
    return uart_attached_to_dupterm ? &stdin_ringbuf : &own_buffer;
}

bool uart_takes_more(void) {
    return ringbuf_free(receiver()) > 0;
}

// Take what the host has sent, as the chip's interrupt handler does; return whether there was anything.
bool uart_poll(void) {
    bool any = false;
    while ((READ_SPECIAL(interrupt) & INTERRUPT_UART) && uart_takes_more() && (LINE_STATUS & RECEIVED)) {
        uint8_t byte = DATA;
        any = true;
        if (uart_attached_to_dupterm && byte == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ringbuf_put(receiver(), byte);
        }
    }
    return any;
}

// Send a byte; it is lost where nobody reads, as on a cable that is not plugged in.
void uart_tx_one_char(uint8 uart, uint8 byte) {
    static bool nobody;
    if (uart != UART0) {
        return;
    }
    if (!(LINE_STATUS & ROOM_TO_SEND)) {
        uint32_t start_us = system_get_time();
        while (!(LINE_STATUS & ROOM_TO_SEND)) {
            if (nobody || system_get_time() - start_us > NOBODY_US) {
                nobody = true;
                return;
            }
        }
    }
    nobody = false;
    DATA = byte;
}

bool uart_rx_wait(uint32_t timeout_us) {
    uint32_t start_us = system_get_time();
    while (!ringbuf_avail(&own_buffer)) {
        if (system_get_time() - start_us >= timeout_us) {
            return false;
        }
        mp_event_handle_nowait();
    }
    return true;
}

int uart_rx_any(uint8 uart) {
    return ringbuf_avail(&own_buffer) > 0;
}

int uart_rx_char(void) {
    return ringbuf_get(&own_buffer);
}

int uart_tx_any_room(uint8 uart) {
    return 1;
}

int uart_txdone(uint8 uart) {
    return 1;
}

void uart_flush(uint8 uart) {
}

void uart_init(UartBautRate rate0, UartBautRate rate1) {
}

void uart_setup(uint8 uart) {
}

void uart_os_config(int uart) {
}

int uart0_get_rxbuf_len(void) {
    return own_buffer.size;
}

void uart0_set_rxbuf(uint8 *buffer, int length) {
    own_buffer = (ringbuf_t) {buffer, length, 0, 0};
}

void system_uart_swap(void) {
}

void system_uart_de_swap(void) {
}

void chip_print(const char *text) {
    for (; *text; text++) {
        if (*text == '\n') {
            uart_tx_one_char(UART0, '\r');
        }
        uart_tx_one_char(UART0, *text);
    }
}
