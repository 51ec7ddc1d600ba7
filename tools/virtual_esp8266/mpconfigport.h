// MicroPython's configuration: that of ports/esp8266, and what the virtual chip changes. Part of uwebsocket; MIT
// licence.

#ifndef VIRTUAL_ESP8266_MPCONFIGPORT_H
#define VIRTUAL_ESP8266_MPCONFIGPORT_H

// The makefile defines it for extmod.mk; the port's file sets it again.
#undef MICROPY_PY_LWIP
#define MICROPY_INCLUDED_ESP8266_ETSHAL_H // sdk.h has what that header declares

#include "ports/esp8266/mpconfigport.h"

#ifndef BYTE_ORDER
#define LITTLE_ENDIAN 1234
#define BIG_ENDIAN 4321
#define BYTE_ORDER LITTLE_ENDIAN
#endif

// Random numbers come from this computer: the chip's generator has no address here.
#undef WDEV_HWRNG
#define WDEV_HWRNG (chip_random())
volatile uint32_t *chip_random(void);

// Waiting gives the processor back to this computer, where the chip spins.
#undef MICROPY_INTERNAL_WFE
#define MICROPY_INTERNAL_WFE(TIMEOUT_MS) chip_wait(TIMEOUT_MS)
void chip_wait(int ms);

// The port's hook, and one store by which chip_wait() knows that a new loop has begun.
extern unsigned int chip_wait_rounds;
#undef MICROPY_VM_HOOK_POLL
#define MICROPY_VM_HOOK_POLL \
    do { \
        chip_wait_rounds = 0; \
        if (--vm_hook_divisor == 0) { \
            vm_hook_divisor = MICROPY_VM_HOOK_COUNT; \
            MICROPY_INTERNAL_EVENT_HOOK; \
        } \
    } while (0);

// No device, or no source in Debian.
#undef MICROPY_PY_MACHINE_BITSTREAM
#undef MICROPY_PY_MACHINE_DHT_READINTO
#undef MICROPY_PY_MACHINE_SPI
#undef MICROPY_PY_MACHINE_SOFTSPI
#undef MICROPY_PY_MACHINE_WDT
#undef MICROPY_ESP8266_APA102
#undef MICROPY_PY_CRYPTOLIB
#define MICROPY_PY_MACHINE_BITSTREAM (0)
#define MICROPY_PY_MACHINE_DHT_READINTO (0)
#define MICROPY_PY_MACHINE_SPI (0)
#define MICROPY_PY_MACHINE_SOFTSPI (0)
#define MICROPY_PY_MACHINE_WDT (0)
#define MICROPY_ESP8266_APA102 (0)
#define MICROPY_PY_CRYPTOLIB (0)

// SHA-1 without axTLS: sha1.c.
#undef MICROPY_PY_HASHLIB_SHA1
#define MICROPY_PY_HASHLIB_SHA1 (1)

#endif
