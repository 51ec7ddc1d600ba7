// The SDK's system functions: start, time, resets, and what remains over a reset. Part of uwebsocket; MIT licence.
//
// Stands for the SDK's system_* and for the RTC's memory, which keeps its content over a reset. Differs: the time is
// QEMU's (a processor of 40 MHz whose ccount we extend to 64 bits), frequency and sleep modes are remembered and do
// nothing, a deep sleep is a wait and a reset, memory of the SDK's own heap is not counted.

#include <string.h>

#include "py/mpstate.h"
#include "chip.h"

#define RTC_MEMORY 0x60001000 // 192 words, on the chip too; plain memory in QEMU, kept over its resets
#define RTC_WORDS 192
#define RESET_REASON (*(volatile uint32_t *)(RTC_MEMORY + 4 * RTC_WORDS))
#define RESET_MAGIC 0x52535400 // with the reason in the low bits: without it the power was off
#define FPGA_RESET (*(volatile uint32_t *)0x9d020010)
#define FPGA_RESET_NOW 0xdead
#define FREE_HEAP 20000

void user_init(void); // of the port's main.c

static struct rst_info reset_info;
static init_done_cb_t init_done;
static uint32_t last_cycles;
static uint64_t time_us;
static uint8_t cpu_mhz = 80;

void chip_start(void) {
    last_cycles = READ_SPECIAL(ccount);
    WRITE_SPECIAL(ccompare0, last_cycles + 1000 * CYCLES_PER_US);
    WRITE_SPECIAL(intenable, INTERRUPT_TIMER);
    uint32_t reason = RESET_REASON;
    reset_info.reason = (reason & ~0xffu) == RESET_MAGIC ? reason & 0xff : REASON_DEFAULT_RST;
    RESET_REASON = RESET_MAGIC | REASON_EXT_SYS_RST; // unless the program itself resets the chip
    uart_start();
    flash_start();
    netif_start();
    wifi_start();
    user_init();
    init_done();
    host_exit(1);
}

void chip_reset(uint32_t reason) {
    RESET_REASON = RESET_MAGIC | reason;
    FPGA_RESET = FPGA_RESET_NOW; // once: QEMU takes a moment, and a second store would be a second reset
    for (;;) {
    }
}

uint64_t chip_time_us(void) {
    uint32_t cycles = READ_SPECIAL(ccount) - last_cycles;
    // A division by 40 in two steps of the processor, right for the short times between two calls.
    uint32_t us = cycles < 65536 ? (cycles * 52429u) >> 21 : cycles / CYCLES_PER_US;
    last_cycles += us * CYCLES_PER_US;
    time_us += us;
    return time_us;
}

uint32_t system_get_time(void) {
    return chip_time_us();
}

uint32_t system_get_rtc_time(void) {
    return chip_time_us();
}

uint32_t system_rtc_clock_cali_proc(void) {
    return 1u << 12; // 1 us a tick, in the SDK's fixed point
}

void system_timer_reinit(void) {
}

void system_init_done_cb(init_done_cb_t callback) {
    init_done = callback;
}

bool system_rtc_mem_read(uint8_t block, void *data, uint16_t length) {
    memcpy(data, (void *)(RTC_MEMORY + 4 * block), length);
    return true;
}

bool system_rtc_mem_write(uint8_t block, const void *data, uint16_t length) {
    memcpy((void *)(RTC_MEMORY + 4 * block), data, length);
    return true;
}

struct rst_info *system_get_rst_info(void) {
    return &reset_info;
}

void system_restart(void) {
    chip_reset(REASON_SOFT_RESTART);
}

void system_deep_sleep(uint64_t us) {
    uint64_t start_us = chip_time_us();
    while (us == 0 || chip_time_us() - start_us < us) {
        __asm__ volatile ("waiti 0");
    }
    chip_reset(REASON_DEEP_SLEEP_AWAKE);
}

bool system_deep_sleep_set_option(uint8_t option) {
    return true;
}

uint32_t system_get_chip_id(void) {
    return 0x00c0ffee;
}

uint8_t system_get_cpu_freq(void) {
    return cpu_mhz;
}

bool system_update_cpu_freq(uint8_t mhz) {
    cpu_mhz = mhz;
    return true;
}

uint32_t system_get_free_heap_size(void) {
    return FREE_HEAP;
}

const char *system_get_sdk_version(void) {
    return "virtual";
}

uint16_t system_get_vdd33(void) {
    return 65535;
}

uint16_t system_adc_read(void) {
    return 0;
}

void system_print_meminfo(void) {
}

void system_soft_wdt_feed(void) {
}

void system_phy_set_max_tpw(uint8_t power) {
}

void ets_isr_mask(uint32_t mask) {
}

void ets_isr_unmask(uint32_t mask) {
}

void os_delay_us(uint32_t us) {
    uint32_t start_us = system_get_time();
    while (system_get_time() - start_us < us) {
    }
}

void *os_malloc(size_t size) {
    return NULL;
}

void os_free(void *pointer) {
}

// esp.check_fw() sums the firmware that is in flash; here none is.
void MD5Init(MD5_CTX *context) {
}

void MD5Update(MD5_CTX *context, const void *data, unsigned int length) {
}

void MD5Final(unsigned char digest[16], MD5_CTX *context) {
    memset(digest, 0, 16);
}
