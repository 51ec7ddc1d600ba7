// Included before network_wlan.c: lwIP 1.4's dns_getserver(), which returns the address. Part of uwebsocket; MIT
// licence.

#include "lwip/dns.h"

#undef IPADDR_STRLEN_MAX // the port has its own
#define dns_getserver(index) (*dns_getserver(index))
