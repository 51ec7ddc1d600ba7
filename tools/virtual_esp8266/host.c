// Calls to this computer: QEMU's semihosting. Part of uwebsocket; MIT licence.
//
// Stands for nothing on the chip. Through it the flash is a file, random numbers are this computer's, and the options
// of tools/common/virtual_esp8266.py arrive: -semihosting-config arg=lx,arg=name=value,...

#include <string.h>

#include "chip.h"

enum {
    SYS_EXIT = 1, SYS_READ = 3, SYS_WRITE = 4, SYS_OPEN = 5, SYS_LSEEK = 19,
    SYS_ARGC = 1000, SYS_ARGV_SIZE = 1001, SYS_ARGV = 1002,
};

static int call(int number, uint32_t first, uint32_t second, uint32_t third) {
    register uint32_t a2 __asm__("a2") = number;
    register uint32_t a3 __asm__("a3") = first;
    register uint32_t a4 __asm__("a4") = second;
    register uint32_t a5 __asm__("a5") = third;
    __asm__ volatile ("simcall" : "+a" (a2), "+a" (a3) : "a" (a4), "a" (a5) : "memory");
    return a2;
}

// Return the value of an option, or NULL where it is not given.
const char *host_option(const char *name) {
    static uint32_t block[256];
    static bool loaded;
    uint32_t count = call(SYS_ARGC, 0, 0, 0);
    if (!loaded) {
        if ((uint32_t)call(SYS_ARGV_SIZE, 0, 0, 0) > sizeof(block)) {
            return NULL;
        }
        call(SYS_ARGV, (uint32_t)block, 0, 0);
        loaded = true;
    }
    // QEMU's pointers to the strings are wrong; the strings themselves follow the pointers and their closing NULL.
    const char *text = (const char *)&block[count + 1];
    size_t length = strlen(name);
    for (; count; count--, text += strlen(text) + 1) {
        if (strncmp(text, name, length) == 0 && text[length] == '=') {
            return text + length + 1;
        }
    }
    return NULL;
}

// The same as a number; 0 where it is not given.
uint32_t host_option_number(const char *name) {
    uint32_t number = 0;
    for (const char *digit = host_option(name); digit && *digit >= '0' && *digit <= '9'; digit++) {
        number = number * 10 + (*digit - '0');
    }
    return number;
}

int host_open(const char *path, int flags) {
    return call(SYS_OPEN, (uint32_t)path, flags, 0);
}

int host_read(int file, uint32_t offset, void *data, uint32_t length) {
    call(SYS_LSEEK, file, offset, 0);
    return call(SYS_READ, file, (uint32_t)data, length);
}

int host_write(int file, uint32_t offset, const void *data, uint32_t length) {
    call(SYS_LSEEK, file, offset, 0);
    return call(SYS_WRITE, file, (uint32_t)data, length);
}

void host_exit(int status) {
    call(SYS_EXIT, status, 0, 0);
    for (;;) {
    }
}

// Return a pointer to a new random word: WDEV_HWRNG is read through a pointer, as the chip's register is.
volatile uint32_t *chip_random(void) {
    static uint32_t words[64];
    static uint32_t left;
    static int file = -1;
    if (left == 0) {
        if (file < 0) {
            file = host_open("/dev/urandom", 0);
        }
        call(SYS_READ, file, (uint32_t)words, sizeof(words));
        left = 64;
    }
    return &words[--left];
}
