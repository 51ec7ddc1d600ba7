// Included before modlwip.c: its calls into lwIP, with what lwIP 1.4 would do to a bad pcb. Part of uwebsocket; MIT
// licence.
//
// After a reset by the peer modlwip's `pcb` is NULL, and some of its paths hand that on. The chip's lwIP 1.4 follows
// the pointer and the chip stops with a fatal exception; lwIP 2 returns an error instead and hides the mistake. Here
// the pointer is followed before the call, so that it is as visible as on the chip.
//
// Each call also tells chip_wait() (tasks.c) that a new loop begins, and connect() that the answer takes more than a
// round of it.

#ifndef VIRTUAL_ESP8266_MODLWIP_PCB_H
#define VIRTUAL_ESP8266_MODLWIP_PCB_H

#include "lwip/tcp.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/udp.h"
#include "lwip/raw.h"

extern unsigned int chip_connecting, chip_wait_rounds;

// Load a byte of *pcb: at address 0 there is no memory.
static inline __attribute__((always_inline)) void pcb_follow(const void *pcb) {
    __asm__ volatile ("l8ui a8, %0, 0" : : "a" (pcb) : "a8", "memory");
    chip_wait_rounds = 0;
}

#define FOLLOWED(pcb) (pcb_follow(pcb), (pcb))

// modlwip's close() sets these on a listening socket too, whose pcb is too short for them. The chip's lwIP writes
// behind it, into what happens to be free; here it is left out.
#define IS_LISTENING(pcb) ((pcb)->state == LISTEN)

#define tcp_write(pcb, data, length, flags) tcp_write(FOLLOWED(pcb), data, length, flags)
#define tcp_output(pcb) tcp_output(FOLLOWED(pcb))
#define tcp_recved(pcb, length) tcp_recved(FOLLOWED(pcb), length)
#define tcp_arg(pcb, argument) tcp_arg(FOLLOWED(pcb), argument)
#define tcp_err(pcb, function) (IS_LISTENING(FOLLOWED(pcb)) ? (void)0 : tcp_err(pcb, function))
#define tcp_recv(pcb, function) (IS_LISTENING(FOLLOWED(pcb)) ? (void)0 : tcp_recv(pcb, function))
#define tcp_poll(pcb, function, interval) tcp_poll(FOLLOWED(pcb), function, interval)
#define tcp_bind(pcb, address, port) tcp_bind(FOLLOWED(pcb), address, port)
#define tcp_connect(pcb, address, port, function) \
    (chip_connecting = 2, tcp_connect(FOLLOWED(pcb), address, port, function))
#define tcp_close(pcb) tcp_close(FOLLOWED(pcb))
#define tcp_abort(pcb) tcp_abort(FOLLOWED(pcb))
#define udp_send(pcb, data) udp_send(FOLLOWED(pcb), data)
#define udp_sendto(pcb, data, address, port) udp_sendto(FOLLOWED(pcb), data, address, port)
#define udp_bind(pcb, address, port) udp_bind(FOLLOWED(pcb), address, port)

#endif
