// What the parts of the virtual chip offer each other. Part of uwebsocket; MIT licence.

#ifndef VIRTUAL_ESP8266_CHIP_H
#define VIRTUAL_ESP8266_CHIP_H

#include "sdk.h"

// The interrupts that QEMU's board wires to the processor, as bits of INTERRUPT and INTENABLE.
#define INTERRUPT_UART (1u << 0)
#define INTERRUPT_ETHERNET (1u << 1)
#define INTERRUPT_TIMER (1u << 6) // CCOMPARE0

#define CYCLES_PER_US 40 // of QEMU's board; ccount wraps after 107 s
#define FLASH_SIZE (4 * 1024 * 1024)

// A processor register by name: READ_SPECIAL(ccount).
#define READ_SPECIAL(name) ({ uint32_t value_; __asm__ volatile ("rsr %0, " #name : "=a" (value_)); value_; })
#define WRITE_SPECIAL(name, value) __asm__ volatile ("wsr %0, " #name "\n\tesync" : : "a" (value) : "memory")

// start.S, system.c
void chip_start(void);
void chip_reset(uint32_t reason) __attribute__((noreturn));
uint64_t chip_time_us(void);
void chip_print(const char *text);

// exceptions.c
void chip_fatal(uint32_t cause, uint32_t excvaddr, uint32_t depc, uint32_t return_address, uint32_t *stack);

// host.c
const char *host_option(const char *name);
uint32_t host_option_number(const char *name);
int host_open(const char *path, int flags);
int host_read(int file, uint32_t offset, void *data, uint32_t length);
int host_write(int file, uint32_t offset, const void *data, uint32_t length);
void host_exit(int status) __attribute__((noreturn));

// tasks.c
extern volatile uint32_t chip_tick;
extern bool chip_progress;
void chip_idle(uint32_t us);

// uart.c, flash.c, netif.c, wifi.c, timers.c: each has a place in the event loop
void uart_start(void);
bool uart_poll(void);
bool uart_takes_more(void);
void flash_start(void);
void netif_start(void);
bool netif_poll(void);
bool netif_has_carrier(void);
void netif_connect(bool up);
void netif_addresses(struct ip_info *info, bool set);
void wifi_start(void);
void wifi_poll(void);
bool timers_poll(void);
uint32_t timers_next_us(uint32_t limit_us);

#endif
