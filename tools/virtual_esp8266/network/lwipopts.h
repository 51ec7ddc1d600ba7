// lwIP's settings: those of the ESP8266's lwIP where they show in a program. Part of uwebsocket; MIT licence.
//
// The chip's are in the open part of its SDK: segments of 1460 B, two of them to send, four to receive, five
// connections, 5 s of TIME_WAIT. Differs: lwIP 2.2.1 where the chip has 1.4, and memory of its own instead of the SDK's
// heap.

#ifndef VIRTUAL_ESP8266_LWIPOPTS_H
#define VIRTUAL_ESP8266_LWIPOPTS_H

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_IPV4 1
#define LWIP_IPV6 0
#define LWIP_ARP 1
#define LWIP_ETHERNET 1
#define LWIP_RAW 1
#define LWIP_DHCP 1 // for MicroPython's network_lwip.c; wifi.c sets the address
#define LWIP_AUTOIP 0
#define LWIP_IGMP 1
#define LWIP_DNS 1
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_STATS 0
#define LWIP_NOASSERT 1
#define LWIP_TESTMODE 1 // MicroPython's network_lwip.c looks into lwIP's inner headers

#define MEM_ALIGNMENT 4
#define MEM_SIZE (24 * 1024)
#define MEMP_NUM_TCP_PCB 5
#define MEMP_NUM_TCP_PCB_LISTEN 2
#define MEMP_NUM_UDP_PCB 4
#define MEMP_NUM_RAW_PCB 4
#define MEMP_NUM_TCP_SEG 32
#define PBUF_POOL_SIZE 16
#define PBUF_POOL_BUFSIZE 1536 // a frame in one piece, as on the chip: a read gets at most one

#define TCP_MSS 1460
#define TCP_SND_BUF (2 * TCP_MSS)
#define TCP_SND_QUEUELEN 8
#define TCP_WND (4 * TCP_MSS)
#define TCP_QUEUE_OOSEQ 0
#define TCP_LISTEN_BACKLOG 1
#define TCP_SYNMAXRTX 1 // gives up after 5 s, the chip after 6
#define TCP_MSL 2500UL
#define SO_REUSE 1

// 127.0.0.1 is reached through the network card: QEMU passes it on to this computer's own.
struct netif;
struct netif *netif_route(void);
#define LWIP_HOOK_IP4_ROUTE(destination) netif_route()

#define DNS_TABLE_SIZE 4
#define DNS_MAX_SERVERS 2

#endif
