// What lwIP asks of a compiler and a system. Part of uwebsocket; MIT licence.

#ifndef VIRTUAL_ESP8266_ARCH_CC_H
#define VIRTUAL_ESP8266_ARCH_CC_H

#include <stdint.h>

volatile uint32_t *chip_random(void);

#define LWIP_NO_INTTYPES_H 1
#define X8_F "02x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "u"
#define LWIP_NO_CTYPE_H 1
#define LWIP_PLATFORM_DIAG(arguments) ((void)0)
#define LWIP_PLATFORM_ASSERT(text) ((void)0)
#define LWIP_RAND() (*chip_random())

#endif
