// The Wi-Fi: a station that connects to whatever it is asked to, and loses it. Part of uwebsocket; MIT licence.
//
// Stands for the SDK's wifi_*. Differs: one access point, in reach while QEMU's cable is plugged in, takes every name
// and key; connecting takes 0.1 s, noticing that the network is gone a millisecond; the address is QEMU's, without
// DHCP; sockets do not notice a loss (lwIP's time-outs do). The access point interface only remembers its settings.
//
// With the option `station=1` the chip is connected from its first instruction on, as if its boot.py had waited for
// that.

#include <string.h>

#include "lwip/dns.h"
#include "chip.h"

#define CONNECT_US 100000
#define GIVE_UP_US 2000000
#define ADDRESS(a, b, c, d) ((uint32_t)(a) | (b) << 8 | (c) << 16 | (uint32_t)(d) << 24)

static uint8_t mode;
static uint8_t status;
static bool wanted; // the program wants a connection
static uint64_t since_us; // trying
static struct station_config station;
static struct softap_config access_point;
static struct ip_info own_addresses; // set by the program instead of DHCP's
static uint8_t mac[6] = {0x5c, 0xcf, 0x7f, 0xc0, 0xff, 0xee};
static uint8_t channel = 6;
static int phy_mode = PHY_MODE_11N;
static int sleep_type = MODEM_SLEEP_T;
static scan_done_cb_t scan_done;

static void enter(uint8_t new_status) {
    if ((status == STATION_GOT_IP) != (new_status == STATION_GOT_IP)) {
        if (new_status == STATION_GOT_IP) {
            struct ip_info dhcp = {{ADDRESS(10, 0, 2, 15)}, {ADDRESS(255, 255, 255, 0)}, {ADDRESS(10, 0, 2, 2)}};
            ip_addr_t name_server = IPADDR4_INIT(ADDRESS(10, 0, 2, 3));
            netif_addresses(own_addresses.ip.addr ? &own_addresses : &dhcp, true);
            if (!own_addresses.ip.addr) {
                dns_setserver(0, &name_server);
            }
        }
        netif_connect(new_status == STATION_GOT_IP);
    }
    status = new_status;
}

static void try_to_connect(void) {
    enter(STATION_CONNECTING);
    since_us = chip_time_us();
}

void wifi_start(void) {
    static const char network[] = "virtual";
    mode = SOFTAP_MODE; // as on a chip with erased flash
    memcpy(access_point.ssid, "ESP-C0FFEE", 10);
    access_point.ssid_len = 10;
    access_point.channel = channel;
    if (host_option_number("station")) {
        mode = STATION_MODE;
        memcpy(station.ssid, network, sizeof(network));
        wifi_station_connect();
        if (netif_has_carrier()) {
            enter(STATION_GOT_IP);
        }
    }
}

// Go on with connecting, notice a loss. Called once a millisecond.
void wifi_poll(void) {
    bool in_reach = netif_has_carrier();
    if (scan_done) {
        static struct bss_info found = {.bssid = {2}, .ssid = "virtual", .ssid_len = 7, .rssi = -40, .channel = 6};
        scan_done_cb_t callback = scan_done;
        scan_done = NULL;
        callback(in_reach ? &found : NULL, 0);
    }
    if (!wanted || !(mode & STATION_MODE)) {
        return;
    }
    if (status == STATION_GOT_IP) {
        if (!in_reach) {
            try_to_connect();
        }
        return;
    }
    uint64_t trying_us = chip_time_us() - since_us;
    if (in_reach && trying_us >= CONNECT_US) {
        enter(STATION_GOT_IP);
    } else if (!in_reach && trying_us >= GIVE_UP_US) {
        try_to_connect();
        enter(STATION_NO_AP_FOUND); // until the next attempt
    }
}

uint8_t wifi_get_opmode(void) {
    return mode;
}

bool wifi_set_opmode(uint8_t new_mode) {
    bool begins = (new_mode & STATION_MODE) && !(mode & STATION_MODE);
    mode = new_mode;
    if (!(mode & STATION_MODE)) {
        enter(STATION_IDLE);
    } else if (begins && wanted) {
        try_to_connect();
    }
    return true;
}

bool wifi_station_get_config(struct station_config *config) {
    *config = station;
    return true;
}

bool wifi_station_set_config(struct station_config *config) {
    station = *config;
    return true;
}

bool wifi_station_set_hostname(char *name) {
    return true;
}

bool wifi_station_connect(void) {
    if (!(mode & STATION_MODE)) {
        return false;
    }
    wanted = true;
    try_to_connect();
    return true;
}

bool wifi_station_disconnect(void) {
    wanted = false;
    enter(STATION_IDLE);
    return (mode & STATION_MODE) != 0;
}

uint8_t wifi_station_get_connect_status(void) {
    return status;
}

int8_t wifi_station_get_rssi(void) {
    return status == STATION_GOT_IP ? -40 : 31;
}

bool wifi_station_scan(struct scan_config *config, scan_done_cb_t callback) {
    scan_done = callback;
    return true;
}

bool wifi_station_dhcpc_start(void) {
    memset(&own_addresses, 0, sizeof(own_addresses));
    return true;
}

bool wifi_station_dhcpc_stop(void) {
    return true;
}

enum dhcp_status wifi_station_dhcpc_status(void) {
    return own_addresses.ip.addr ? DHCP_STOPPED : DHCP_STARTED;
}

bool wifi_get_ip_info(uint8_t interface, struct ip_info *info) {
    if (interface == STATION_IF) {
        netif_addresses(info, false);
    } else {
        *info = (struct ip_info) {{ADDRESS(192, 168, 4, 1)}, {ADDRESS(255, 255, 255, 0)}, {ADDRESS(192, 168, 4, 1)}};
    }
    return true;
}

bool wifi_set_ip_info(uint8_t interface, struct ip_info *info) {
    if (interface == STATION_IF) {
        own_addresses = *info;
        netif_addresses(info, true);
    }
    return true;
}

bool wifi_get_macaddr(uint8_t interface, uint8_t *address) {
    memcpy(address, mac, sizeof(mac));
    address[0] ^= interface == SOFTAP_IF ? 2 : 0;
    return true;
}

bool wifi_set_macaddr(uint8_t interface, uint8_t *address) {
    return false;
}

uint8_t wifi_get_channel(void) {
    return channel;
}

bool wifi_set_channel(uint8_t new_channel) {
    channel = new_channel;
    return true;
}

int wifi_get_phy_mode(void) {
    return phy_mode;
}

bool wifi_set_phy_mode(int new_mode) {
    phy_mode = new_mode;
    return true;
}

int wifi_get_sleep_type(void) {
    return sleep_type;
}

bool wifi_set_sleep_type(int type) {
    sleep_type = type;
    return true;
}

bool wifi_softap_get_config(struct softap_config *config) {
    *config = access_point;
    return true;
}

bool wifi_softap_set_config(struct softap_config *config) {
    access_point = *config;
    return true;
}

uint8_t wifi_softap_get_station_num(void) {
    return 0;
}

struct station_info *wifi_softap_get_station_info(void) {
    return NULL;
}

void wifi_softap_free_station_info(void) {
}

bool wifi_softap_dhcps_start(void) {
    return true;
}

bool wifi_softap_dhcps_stop(void) {
    return true;
}

enum dhcp_status wifi_softap_dhcps_status(void) {
    return DHCP_STARTED;
}

void wifi_fpm_open(void) {
}

void wifi_fpm_close(void) {
}

int8_t wifi_fpm_do_sleep(uint32_t us) {
    return 0;
}

void wifi_fpm_do_wakeup(void) {
}

void wifi_fpm_set_sleep_type(int type) {
}
