// The network interface: QEMU's open_eth under lwIP, in place of the radio. Part of uwebsocket; MIT licence.
//
// Stands for the SDK's Wi-Fi driver below TCP/IP. Behind the card is QEMU's user network: it answers as gateway
// 10.0.2.2, which is this computer, passes 127.0.0.1 on to this computer's own, and is the name server 10.0.2.3.
// Differs: frames take no time and none is lost, unless the option `loss` (so many of 1000 frames, each way) or QEMU's
// filters say so.

#include <string.h>

#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "netif/ethernet.h"
#include "chip.h"

#define CARD 0x9d030000
#define REGISTER(offset) (*(volatile uint32_t *)(CARD + (offset)))
#define MODER REGISTER(0x00)
#define INT_SOURCE REGISTER(0x04)
#define INT_MASK REGISTER(0x08)
#define TX_BD_NUM REGISTER(0x20)
#define MIICOMMAND REGISTER(0x2c)
#define MIIADDRESS REGISTER(0x30)
#define MIIRX_DATA REGISTER(0x38)
#define MAC_ADDR0 REGISTER(0x40)
#define MAC_ADDR1 REGISTER(0x44)
#define ENABLE 0xa003 // receive and send, pad short frames, append the checksum
#define RECEIVED 0x04
#define MII_READ 0x02
#define MII_STATUS_OF_PHY 0x0101 // register 1 of PHY 1
#define MII_CARRIER 0x04

// A descriptor is two words, length and flags, then the address. The first sends, the others receive.
#define DESCRIPTOR(index) ((volatile uint32_t *)(CARD + 0x400) + 2 * (index))
#define RECEIVERS 32
#define FRAME 2048
#define CHECKSUM 4
#define SEND 0xb000 // ready, the last, with checksum
#define EMPTY 0x8000
#define WITH_INTERRUPT 0x4000
#define WRAP 0x2000

static uint8_t received[RECEIVERS][FRAME] __attribute__((aligned(4)));
static uint8_t sent[FRAME] __attribute__((aligned(4)));
static struct netif interface;
static uint32_t next;
static uint32_t loss;

static bool is_lost(void) {
    return loss && *chip_random() % 1000 < loss;
}

static void make_empty(uint32_t index) {
    DESCRIPTOR(1 + index)[0] = EMPTY | WITH_INTERRUPT | (index == RECEIVERS - 1 ? WRAP : 0);
}

static err_t send_frame(struct netif *netif, struct pbuf *frame) {
    if (frame->tot_len > FRAME) {
        return ERR_BUF;
    }
    if (is_lost()) {
        return ERR_OK;
    }
    pbuf_copy_partial(frame, sent, frame->tot_len, 0);
    DESCRIPTOR(0)[1] = (uint32_t)sent;
    DESCRIPTOR(0)[0] = (uint32_t)frame->tot_len << 16 | SEND; // QEMU sends within this store
    return ERR_OK;
}

static err_t initialise(struct netif *netif) {
    netif->name[0] = 's';
    netif->name[1] = 't';
    netif->output = etharp_output;
    netif->linkoutput = send_frame;
    netif->mtu = 1500;
    netif->hwaddr_len = 6;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP;
    wifi_get_macaddr(STATION_IF, netif->hwaddr);
    return ERR_OK;
}

void netif_start(void) {
    lwip_init();
    loss = host_option_number("loss");
    netif_add(&interface, NULL, NULL, NULL, NULL, initialise, ethernet_input);
    netif_set_default(&interface);
    const uint8_t *mac = interface.hwaddr;
    MAC_ADDR0 = (uint32_t)mac[2] << 24 | mac[3] << 16 | mac[4] << 8 | mac[5];
    MAC_ADDR1 = (uint32_t)mac[0] << 8 | mac[1];
    TX_BD_NUM = 1;
    for (uint32_t i = 0; i < RECEIVERS; i++) {
        DESCRIPTOR(1 + i)[1] = (uint32_t)received[i];
        make_empty(i);
    }
    next = 0;
    INT_MASK = RECEIVED;
    MODER = ENABLE;
}

// Give lwIP what has come; return whether anything has.
bool netif_poll(void) {
    if (!(READ_SPECIAL(interrupt) & INTERRUPT_ETHERNET)) {
        return false;
    }
    bool any = false;
    INT_SOURCE = RECEIVED; // before the look: a frame that comes meanwhile sets it again
    for (;;) {
        uint32_t state = DESCRIPTOR(1 + next)[0];
        if (state & EMPTY) {
            return any;
        }
        uint32_t length = (state >> 16) - CHECKSUM;
        struct pbuf *frame = is_lost() ? NULL : pbuf_alloc(PBUF_RAW, length, PBUF_POOL);
        if (frame) {
            pbuf_take(frame, received[next], length);
        }
        make_empty(next);
        next = (next + 1) % RECEIVERS;
        if (frame && interface.input(frame, &interface) != ERR_OK) {
            pbuf_free(frame);
        }
        any = true;
    }
}

// Return whether QEMU's cable is plugged in: whether the access point is in reach.
bool netif_has_carrier(void) {
    MIIADDRESS = MII_STATUS_OF_PHY;
    MIICOMMAND = MII_READ;
    return MIIRX_DATA & MII_CARRIER;
}

// Return the interface for addresses outside of its network; NULL, for "no route", while it is down.
struct netif *netif_route(void) {
    return netif_is_up(&interface) && netif_is_link_up(&interface) ? &interface : NULL;
}

void netif_connect(bool up) {
    if (up) {
        netif_set_up(&interface);
        netif_set_link_up(&interface);
    } else {
        netif_set_link_down(&interface);
        netif_set_down(&interface);
    }
}

// Set the addresses of the station, or get them.
void netif_addresses(struct ip_info *info, bool set) {
    if (set) {
        ip4_addr_t address = {info->ip.addr}, mask = {info->netmask.addr}, gateway = {info->gw.addr};
        netif_set_addr(&interface, &address, &mask, &gateway);
    } else {
        info->ip.addr = netif_ip4_addr(&interface)->addr;
        info->netmask.addr = netif_ip4_netmask(&interface)->addr;
        info->gw.addr = netif_ip4_gw(&interface)->addr;
    }
}

uint32_t sys_now(void) {
    return chip_time_us() / 1000;
}
