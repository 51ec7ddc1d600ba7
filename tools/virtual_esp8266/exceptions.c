// Faults: the message that the SDK prints, and the reset after it. Part of uwebsocket; MIT licence.
//
// Stands for the SDK's handler of fatal exceptions: same first two lines. Differs: a third line has the return address
// and what on the stack looks like one, for tools/common/virtual_esp8266.py, which gives all of them their names.

#include "py/mphal.h"
#include "py/mpprint.h"
#include "chip.h"

#define STACK_WORDS 4096
#define PROGRAM 0x40209000
#define CALLERS 12 // at most

extern uint8_t _program_end, _stack_top;
static bool in_fault;

// Return whether an instruction stores: S8I, S16I and S32I, or S32I.N.
static bool is_store(const uint8_t *instruction) {
    uint8_t group = instruction[0] & 15, operation = instruction[1] >> 4;
    return group == 9 || (group == 2 && operation >= 4 && operation <= 6);
}

// QEMU calls an address without memory a bus error, 14 or 15; the chip's memory protection refuses it.
static uint32_t cause_on_chip(uint32_t cause) {
    return cause == 14 ? 20 : cause == 15 ? (is_store((const uint8_t *)READ_SPECIAL(epc1)) ? 29 : 28) : cause;
}

static const char *name_of(uint32_t cause) {
    switch (cause) {
        case 0: return "IllegalInstructionCause";
        case 2: return "InstructionFetchErrorCause";
        case 3: return "LoadStoreErrorCause";
        case 6: return "IntegerDivideByZeroCause";
        case 9: return "LoadStoreAlignmentCause";
        case 20: return "InstFetchProhibitedCause";
        case 28: return "LoadProhibitedCause";
        case 29: return "StoreProhibitedCause";
        default: return "";
    }
}

void chip_fatal(uint32_t cause, uint32_t excvaddr, uint32_t depc, uint32_t return_address, uint32_t *stack) {
    if (!in_fault) {
        in_fault = true;
        cause = cause_on_chip(cause);
        mp_printf(&mp_debug_print, "\nFatal exception %u(%s):\n", (unsigned)cause, name_of(cause));
        mp_printf(&mp_debug_print, "epc1=0x%08x, epc2=0x%08x, epc3=0x%08x, excvaddr=0x%08x, depc=0x%08x\n",
            (unsigned)READ_SPECIAL(epc1), (unsigned)READ_SPECIAL(epc2), (unsigned)READ_SPECIAL(epc3),
            (unsigned)excvaddr, (unsigned)depc);
        mp_printf(&mp_debug_print, "called from 0x%08x", (unsigned)return_address);
        uint32_t *top = (uint32_t *)&_stack_top;
        int found = 0;
        for (uint32_t *word = stack; word >= top - STACK_WORDS && word < top && found < CALLERS; word++) {
            if (*word > PROGRAM && *word < (uint32_t)&_program_end) {
                mp_printf(&mp_debug_print, " 0x%08x", (unsigned)*word);
                found++;
            }
        }
        mp_printf(&mp_debug_print, "\n");
    }
    chip_reset(REASON_EXCEPTION_RST);
}
