// SHA-1 (FIPS 180-4), for hashlib.sha1. Part of uwebsocket; MIT licence.
//
// Stands for axTLS's, which Debian's source package leaves out.

#include <string.h>

#include "lib/axtls/crypto/crypto.h"

static uint32_t rotate(uint32_t word, int bits) {
    return word << bits | word >> (32 - bits);
}

static void take_block(SHA1_CTX *context) {
    uint32_t w[80];
    for (int t = 0; t < 16; t++) {
        const uint8_t *p = &context->block[4 * t];
        w[t] = (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
    }
    for (int t = 16; t < 80; t++) {
        w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    }
    uint32_t a = context->state[0], b = context->state[1], c = context->state[2];
    uint32_t d = context->state[3], e = context->state[4];
    for (int t = 0; t < 80; t++) {
        uint32_t mixed, constant;
        if (t < 20) {
            mixed = (b & c) | (~b & d), constant = 0x5a827999;
        } else if (t < 40) {
            mixed = b ^ c ^ d, constant = 0x6ed9eba1;
        } else if (t < 60) {
            mixed = (b & c) | (b & d) | (c & d), constant = 0x8f1bbcdc;
        } else {
            mixed = b ^ c ^ d, constant = 0xca62c1d6;
        }
        uint32_t next = rotate(a, 5) + mixed + e + constant + w[t];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    context->state[0] += a, context->state[1] += b, context->state[2] += c;
    context->state[3] += d, context->state[4] += e;
}

void SHA1_Init(SHA1_CTX *context) {
    static const uint32_t start[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    memcpy(context->state, start, sizeof(start));
    context->length = 0;
}

void SHA1_Update(SHA1_CTX *context, const uint8_t *data, int length) {
    for (; length > 0; length--) {
        context->block[context->length++ % 64] = *data++;
        if (context->length % 64 == 0) {
            take_block(context);
        }
    }
}

void SHA1_Final(uint8_t *digest, SHA1_CTX *context) {
    uint64_t bits = context->length * 8;
    SHA1_Update(context, (const uint8_t *)"\x80", 1);
    while (context->length % 64 != 56) {
        SHA1_Update(context, (const uint8_t *)"", 1);
    }
    for (int shift = 56; shift >= 0; shift -= 8) {
        uint8_t byte = bits >> shift;
        SHA1_Update(context, &byte, 1);
    }
    for (int i = 0; i < 20; i++) {
        digest[i] = context->state[i / 4] >> (24 - 8 * (i % 4));
    }
}
