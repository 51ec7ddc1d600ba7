// The processor: its first instructions and its exception vectors. Part of uwebsocket; MIT licence.
//
// Stands for the chip's ROM, which starts what it has read from flash, and for the SDK's exception handlers. Differs:
// QEMU loads the program and jumps to _start, and no interrupt has a handler: devices are asked by the event loop
// (tasks.c). An interrupt only ends a `waiti`.

    .section .vectors, "ax"
    .literal_position
    .align 4

    // VECBASE points here; the offsets are those of the LX106.
    .global _vectors
    .align 256
_vectors:
    .org _vectors + 0x10        // debug
    wsr     a0, excsave1
    j       _fatal
    .org _vectors + 0x20        // NMI
    wsr     a0, excsave1
    j       _fatal
    .org _vectors + 0x30        // kernel mode: never entered
    wsr     a0, excsave1
    j       _fatal
    .org _vectors + 0x50        // user mode: interrupts and faults
    wsr     a0, excsave1
    rsr     a0, exccause
    beqi    a0, 4, _interrupt
    j       _fatal
    .org _vectors + 0x70        // a fault in an exception handler
    wsr     a0, excsave1
    j       _fatal
    .org _vectors + 0x80

    // Wake up: hush the devices until the next wait (chip_idle), let the timer come again in 1 ms, tell the event loop.
    // That also wakes the port's own `waiti`, in machine.idle() and machine.lightsleep().
_interrupt:
    addi    a1, a1, -16
    s32i    a2, a1, 0
    movi    a0, 64              // INTERRUPT_TIMER
    wsr     a0, intenable
    movi    a0, 40000           // 1 ms in CYCLES_PER_US
    rsr     a2, ccount
    add     a2, a2, a0
    wsr     a2, ccompare0       // takes the timer's interrupt back
    esync
    movi    a2, chip_tick
    s32i    a0, a2, 0
    l32i    a2, a1, 0
    addi    a1, a1, 16
    rsr     a0, excsave1
    rfe

    // chip_fatal(cause, address, depc, return address, stack), on a stack of its own.
_fatal:
    mov     a6, a1
    rsr     a5, excsave1
    rsr     a2, exccause
    rsr     a3, excvaddr
    rsr     a4, depc
    movi    a1, _fatal_stack_top
    movi    a0, 0x2f            // user mode, interrupts off, faults allowed
    wsr     a0, ps
    rsync
    movi    a0, chip_fatal
    callx0  a0

    .global _start
    .type _start, @function
_start:
    movi    a0, 0
    wsr     a0, intenable
    movi    a0, _vectors
    wsr     a0, vecbase
    movi    a0, 0x20            // user mode: with EXCM set every exception would be a double one
    wsr     a0, ps
    rsync
    movi    a1, _stack_top
    movi    a2, _bss_start
    movi    a3, _bss_end
    movi    a0, clear
    callx0  a0
    movi    a2, _system_start
    movi    a3, _system_end
    movi    a0, clear
    callx0  a0
    movi    a0, chip_start
    callx0  a0

    // Clear the words from a2 up to a3.
clear:
    movi    a4, 0
1:  bgeu    a2, a3, 2f
    s32i    a4, a2, 0
    addi    a2, a2, 4
    j       1b
2:  ret

    .section .bss._fatal_stack, "aw", @nobits
    .align 16
    .space 1024
_fatal_stack_top:
