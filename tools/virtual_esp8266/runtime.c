// Arithmetic that the chip has in ROM and the compiler's library for it lacks. Part of uwebsocket; MIT licence.
//
// Stands for functions of the chip's ROM; their names and contracts are those of libgcc. Floats are IEEE 754 single
// precision, rounded to nearest, ties to even. What is here is complete for what MicroPython links.

#include <stdint.h>

// ---- integers

uint32_t __udivsi3(uint32_t dividend, uint32_t divisor) {
    if (divisor == 0 || divisor > dividend) {
        return 0;
    }
    uint32_t quotient = 0;
    for (int shift = __builtin_clz(divisor) - __builtin_clz(dividend); shift >= 0; shift--) {
        quotient <<= 1;
        if (dividend >= divisor << shift) {
            dividend -= divisor << shift;
            quotient |= 1;
        }
    }
    return quotient;
}

uint32_t __umodsi3(uint32_t dividend, uint32_t divisor) {
    return dividend - __udivsi3(dividend, divisor) * divisor;
}

int32_t __divsi3(int32_t dividend, int32_t divisor) {
    uint32_t quotient = __udivsi3(
        dividend < 0 ? -(uint32_t)dividend : dividend, divisor < 0 ? -(uint32_t)divisor : divisor);
    return (dividend ^ divisor) < 0 ? -quotient : quotient;
}

// Return the 64 bits of a product of 32-bit numbers, from products of their halves.
uint64_t __umulsidi3(uint32_t a, uint32_t b) {
    uint32_t low = (a & 0xffff) * (b & 0xffff), high = (a >> 16) * (b >> 16);
    uint32_t middle = (a >> 16) * (b & 0xffff), other = (a & 0xffff) * (b >> 16);
    uint32_t carry = (low >> 16) + (middle & 0xffff) + (other & 0xffff);
    return (uint64_t)(high + (middle >> 16) + (other >> 16) + (carry >> 16)) << 32 | (carry << 16 | (low & 0xffff));
}

int64_t __muldi3(int64_t a, int64_t b) {
    uint32_t cross = (uint32_t)(a >> 32) * (uint32_t)b + (uint32_t)a * (uint32_t)(b >> 32);
    return __umulsidi3(a, b) + ((uint64_t)cross << 32);
}

uint64_t __udivmoddi4(uint64_t dividend, uint64_t divisor, uint64_t *remainder);

uint64_t __udivdi3(uint64_t dividend, uint64_t divisor) {
    return __udivmoddi4(dividend, divisor, 0);
}

uint64_t __umoddi3(uint64_t dividend, uint64_t divisor) {
    uint64_t remainder;
    __udivmoddi4(dividend, divisor, &remainder);
    return remainder;
}

int64_t __divdi3(int64_t dividend, int64_t divisor) {
    uint64_t quotient = __udivdi3(
        dividend < 0 ? -(uint64_t)dividend : dividend, divisor < 0 ? -(uint64_t)divisor : divisor);
    return (dividend ^ divisor) < 0 ? -quotient : quotient;
}

// ---- floats: bits, and numbers taken apart as significand * 2^(exponent - 157) with the leading 1 in bit 30

#define SIGN 0x80000000u
#define INFINITY_BITS 0x7f800000u
#define NAN_BITS 0x7fc00000u

typedef union {
    float value;
    uint32_t bits;
} single;

typedef union {
    double value;
    uint64_t bits;
} twofold;

// Shift right; a 1 that falls out stays as the last bit, for the rounding.
static uint32_t shift_right(uint32_t word, int count) {
    if (count > 31) {
        return word != 0;
    }
    return word >> count | ((word & ((1u << count) - 1)) != 0);
}

static int take_apart(uint32_t bits, uint32_t *significand) {
    int exponent = bits >> 23 & 0xff;
    uint32_t fraction = bits & 0x7fffff;
    if (exponent) {
        *significand = (fraction | 0x800000) << 7;
        return exponent;
    }
    int shift = fraction ? __builtin_clz(fraction) - 1 : 0;
    *significand = fraction << shift;
    return 8 - shift;
}

static float put_together(uint32_t sign, int exponent, uint32_t significand) {
    if (exponent < 1) {
        significand = shift_right(significand, 1 - exponent);
        exponent = 0;
    }
    uint32_t rest = significand & 0x7f;
    significand = (significand + 0x40) >> 7;
    if (rest == 0x40) {
        significand &= ~1u;
    }
    // Adding lets a significand that was rounded up carry into the exponent.
    uint32_t bits = exponent ? ((uint32_t)exponent << 23) + (significand - 0x800000) : significand;
    return (single) {.bits = sign | (exponent > 254 || bits >= INFINITY_BITS ? INFINITY_BITS : bits)}.value;
}

static float not_a_number(void) {
    return (single) {.bits = NAN_BITS}.value;
}

static float add(uint32_t a, uint32_t b) {
    if ((a & ~SIGN) < (b & ~SIGN)) {
        uint32_t swap = a;
        a = b, b = swap;
    }
    if ((a & ~SIGN) >= INFINITY_BITS) {
        if ((a & ~SIGN) > INFINITY_BITS || (b & ~SIGN) > INFINITY_BITS || a == (b ^ SIGN)) {
            return not_a_number();
        }
        return (single) {.bits = a}.value;
    }
    if ((b & ~SIGN) == 0) {
        return (single) {.bits = a & ~SIGN ? a : a & b}.value;
    }
    uint32_t larger, smaller;
    int exponent = take_apart(a, &larger);
    int distance = exponent - take_apart(b, &smaller);
    smaller = shift_right(smaller, distance);
    if ((a ^ b) & SIGN) {
        uint32_t difference = larger - smaller;
        if (difference == 0) {
            return 0;
        }
        int shift = __builtin_clz(difference) - 1;
        return put_together(a & SIGN, exponent - shift, difference << shift);
    }
    uint32_t sum = larger + smaller;
    return sum >> 31 ? put_together(a & SIGN, exponent + 1, shift_right(sum, 1))
        : put_together(a & SIGN, exponent, sum);
}

float __addsf3(float a, float b) {
    return add((single) {.value = a}.bits, (single) {.value = b}.bits);
}

float __subsf3(float a, float b) {
    return add((single) {.value = a}.bits, (single) {.value = b}.bits ^ SIGN);
}

float __mulsf3(float x, float y) {
    uint32_t a = (single) {.value = x}.bits, b = (single) {.value = y}.bits;
    uint32_t sign = (a ^ b) & SIGN;
    a &= ~SIGN, b &= ~SIGN;
    if (a >= INFINITY_BITS || b >= INFINITY_BITS) {
        if (a > INFINITY_BITS || b > INFINITY_BITS || a == 0 || b == 0) {
            return not_a_number();
        }
        return (single) {.bits = sign | INFINITY_BITS}.value;
    }
    if (a == 0 || b == 0) {
        return (single) {.bits = sign}.value;
    }
    uint32_t significand_a, significand_b;
    int exponent = take_apart(a, &significand_a) + take_apart(b, &significand_b) - 127;
    uint64_t product = __umulsidi3(significand_a, significand_b); // the leading 1 in bit 60 or 61
    uint32_t significand = (uint32_t)(product >> 30) | ((product & 0x3fffffff) != 0); // in bit 30 or 31
    return significand >> 31 ? put_together(sign, exponent + 1, shift_right(significand, 1))
        : put_together(sign, exponent, significand);
}

static float from_integer(uint32_t sign, uint32_t number) {
    if (number == 0) {
        return 0;
    }
    int zeros = __builtin_clz(number);
    return put_together(sign, 158 - zeros, zeros ? number << (zeros - 1) : shift_right(number, 1));
}

float __floatsisf(int32_t number) {
    return number < 0 ? from_integer(SIGN, -(uint32_t)number) : from_integer(0, number);
}

float __floatunsisf(uint32_t number) {
    return from_integer(0, number);
}

uint32_t __fixunssfsi(float number) {
    uint32_t bits = (single) {.value = number}.bits, significand;
    int exponent = take_apart(bits, &significand);
    if (bits & SIGN || exponent < 127) {
        return 0;
    }
    return exponent > 158 ? UINT32_MAX : exponent == 158 ? significand << 1 : significand >> (157 - exponent);
}

double __extendsfdf2(float number) {
    uint32_t bits = (single) {.value = number}.bits, significand;
    uint64_t sign = (uint64_t)(bits & SIGN) << 32;
    if ((bits & ~SIGN) >= INFINITY_BITS) {
        return (twofold) {.bits = sign | 0x7ff0000000000000 | (uint64_t)(bits & 0x7fffff) << 29}.value;
    }
    if ((bits & ~SIGN) == 0) {
        return (twofold) {.bits = sign}.value;
    }
    int exponent = take_apart(bits, &significand) - 127 + 1023;
    return (twofold) {.bits = sign | (uint64_t)exponent << 52 | (uint64_t)(significand & 0x3fffffff) << 22}.value;
}

float __truncdfsf2(double number) {
    uint64_t bits = (twofold) {.value = number}.bits;
    uint32_t sign = (uint32_t)(bits >> 32) & SIGN;
    int exponent = bits >> 52 & 0x7ff;
    uint64_t fraction = bits & 0xfffffffffffff;
    if (exponent == 0x7ff) {
        return (single) {.bits = fraction ? NAN_BITS : sign | INFINITY_BITS}.value;
    }
    if (exponent == 0) {
        return (single) {.bits = sign}.value;
    }
    uint32_t significand = 1u << 30 | (uint32_t)(fraction >> 22) | ((fraction & 0x3fffff) != 0);
    return put_together(sign, exponent - 1023 + 127, significand);
}

double __floatsidf(int32_t number) {
    if (number == 0) {
        return 0;
    }
    uint32_t size = number < 0 ? -(uint32_t)number : number;
    int zeros = __builtin_clz(size);
    uint64_t fraction = (uint64_t)size << (21 + zeros) & 0xfffffffffffff;
    return (twofold) {.bits = (uint64_t)(number < 0) << 63 | (uint64_t)(1054 - zeros) << 52 | fraction}.value;
}
