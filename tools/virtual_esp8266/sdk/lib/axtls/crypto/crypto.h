// The part of axTLS's crypto.h that MicroPython's hashlib uses, for the SHA-1 of sha1.c. Part of uwebsocket; MIT licence.

#ifndef VIRTUAL_ESP8266_CRYPTO_H
#define VIRTUAL_ESP8266_CRYPTO_H

#include <stdint.h>

#define SHA1_SIZE 20

typedef struct {
    uint32_t state[5];
    uint64_t length;
    uint8_t block[64];
} SHA1_CTX;

void SHA1_Init(SHA1_CTX *context);
void SHA1_Update(SHA1_CTX *context, const uint8_t *data, int length);
void SHA1_Final(uint8_t *digest, SHA1_CTX *context);

#endif
