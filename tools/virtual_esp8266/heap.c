// A larger heap, where it is asked for. Part of uwebsocket; MIT licence.
//
// Stands for nothing on the chip, whose heap is the 38 KiB of the port's main.c. With the option heap=KIB MicroPython
// gets memory of QEMU's board instead, which the chip does not have: for messages that no chip could hold. More than 1 MiB
// it cannot use: the port's garbage collector numbers blocks of 16 B in 16 bits.

#include "py/gc.h"
#include "chip.h"

#define LARGE_HEAP 0x60100000 // behind what QEMU has in place of registers

// The linker puts this in place of gc_init().
void __real_gc_init(void *start, void *end);

void __wrap_gc_init(void *start, void *end) {
    uint32_t kib = host_option_number("heap");
    if (kib) {
        start = (void *)LARGE_HEAP;
        end = (void *)(LARGE_HEAP + 1024 * kib);
    }
    __real_gc_init(start, end);
}
