// The part of Espressif's SDK that ports/esp8266 uses: types, registers and functions, declared for the virtual chip.
// The dozen headers beside this one have the names by which the port includes it. Part of uwebsocket; MIT licence.
//
// Names and numbers are the SDK's, since the port's sources need them; what stands behind them is ours.

#ifndef VIRTUAL_ESP8266_SDK_H
#define VIRTUAL_ESP8266_SDK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t uint8;
typedef uint16_t uint16;
typedef uint32_t uint32;
typedef int STATUS;

#define BIT0 (1u << 0)
#define BIT1 (1u << 1)
#define ICACHE_FLASH_ATTR
#define ESP_SDK_VERSION 0x020100

// ---- registers: GPIO, its multiplexer and the RTC block are memory here (see pins.c)

#define READ_PERI_REG(address) (*(volatile uint32_t *)(address))
#define WRITE_PERI_REG(address, value) (*(volatile uint32_t *)(address) = (value))
#define SET_PERI_REG_MASK(address, mask) WRITE_PERI_REG(address, READ_PERI_REG(address) | (mask))
#define CLEAR_PERI_REG_MASK(address, mask) WRITE_PERI_REG(address, READ_PERI_REG(address) & ~(mask))

#define GPIO_BASE 0x60000300
#define GPIO_OUT_ADDRESS 0x00
#define GPIO_ENABLE_ADDRESS 0x0c
#define GPIO_STATUS_ADDRESS 0x1c
#define GPIO_STATUS_W1TC_ADDRESS 0x24
#define GPIO_ID_PIN(pin) (pin)
#define GPIO_PIN_ADDR(pin) (0x28 + 4 * (pin))
#define GPIO_REG_READ(offset) READ_PERI_REG(GPIO_BASE + (offset))
#define GPIO_REG_WRITE(offset, value) WRITE_PERI_REG(GPIO_BASE + (offset), value)
#define GPIO_PIN_INT_TYPE_MASK 0x380
#define GPIO_PIN_INT_TYPE_GET(register_value) (((register_value) & GPIO_PIN_INT_TYPE_MASK) >> 7)
#define GPIO_PIN_INT_TYPE_SET(type) (((type) << 7) & GPIO_PIN_INT_TYPE_MASK)
#define GPIO_PIN_PAD_DRIVER_SET(driver) (((driver) & 1) << 2)
#define GPIO_PAD_DRIVER_ENABLE 1
#define GPIO_PIN_INTR_POSEDGE 1
#define GPIO_PIN_INTR_NEGEDGE 2
#define GPIO_INPUT_GET(pin) gpio_input_get(pin)

#define RTC_BASE 0x60000700
#define RTC_GPIO_OUT (RTC_BASE + 0x68)
#define RTC_GPIO_ENABLE (RTC_BASE + 0x74)
#define RTC_GPIO_IN_DATA (RTC_BASE + 0x8c)
#define RTC_GPIO_CONF (RTC_BASE + 0x90)
#define PAD_XPD_DCDC_CONF (RTC_BASE + 0xa0)

#define PERIPHS_IO_MUX_MTDI_U 0x60000804
#define PERIPHS_IO_MUX_MTCK_U 0x60000808
#define PERIPHS_IO_MUX_MTMS_U 0x6000080c
#define PERIPHS_IO_MUX_MTDO_U 0x60000810
#define PERIPHS_IO_MUX_U0RXD_U 0x60000814
#define PERIPHS_IO_MUX_U0TXD_U 0x60000818
#define PERIPHS_IO_MUX_SD_DATA2_U 0x60000824
#define PERIPHS_IO_MUX_SD_DATA3_U 0x60000828
#define PERIPHS_IO_MUX_GPIO0_U 0x60000834
#define PERIPHS_IO_MUX_GPIO2_U 0x60000838
#define PERIPHS_IO_MUX_GPIO4_U 0x6000083c
#define PERIPHS_IO_MUX_GPIO5_U 0x60000840
#define FUNC_GPIO0 0
#define FUNC_GPIO1 3
#define FUNC_GPIO2 0
#define FUNC_GPIO3 3
#define FUNC_GPIO4 0
#define FUNC_GPIO5 0
#define FUNC_GPIO9 3
#define FUNC_GPIO10 3
#define FUNC_GPIO12 3
#define FUNC_GPIO13 3
#define FUNC_GPIO14 3
#define FUNC_GPIO15 3
#define PIN_PULLUP_DIS(register_address) CLEAR_PERI_REG_MASK(register_address, 1u << 7)
#define PIN_PULLUP_EN(register_address) SET_PERI_REG_MASK(register_address, 1u << 7)
#define PIN_FUNC_SELECT(register_address, function) \
    WRITE_PERI_REG(register_address, (READ_PERI_REG(register_address) & ~0x130u) \
        | (((function) & 4) << 6) | (((function) & 3) << 4))

void gpio_output_set(uint32_t set, uint32_t clear, uint32_t enable, uint32_t disable);
int gpio_input_get(uint32_t pin);

// ---- interrupts: what the port attaches to them is done by the event loop (tasks.c)

#define ETS_GPIO_INTR_ATTACH(handler, argument) ((void)(handler))
#define ETS_GPIO_INTR_DISABLE()
#define ETS_GPIO_INTR_ENABLE()
void ets_isr_mask(uint32_t mask);
void ets_isr_unmask(uint32_t mask);

// ---- timers and tasks

typedef void os_timer_func_t(void *argument);

typedef struct os_timer {
    struct os_timer *next;
    uint32_t due_us, period_us;
    os_timer_func_t *function;
    void *argument;
} os_timer_t;

void os_timer_setfn(os_timer_t *timer, os_timer_func_t *function, void *argument);
void os_timer_arm(os_timer_t *timer, uint32_t ms, bool repeat);
void os_timer_arm_us(os_timer_t *timer, uint32_t us, bool repeat);
void os_timer_disarm(os_timer_t *timer);

typedef void (*init_done_cb_t)(void);

// ---- system

enum rst_reason {
    REASON_DEFAULT_RST, REASON_WDT_RST, REASON_EXCEPTION_RST, REASON_SOFT_WDT_RST, REASON_SOFT_RESTART,
    REASON_DEEP_SLEEP_AWAKE, REASON_EXT_SYS_RST,
};

struct rst_info {
    uint32_t reason;
};

void system_init_done_cb(init_done_cb_t callback);
void system_timer_reinit(void);
uint32_t system_get_time(void);
uint32_t system_get_rtc_time(void);
uint32_t system_rtc_clock_cali_proc(void);
bool system_rtc_mem_read(uint8_t block, void *data, uint16_t length);
bool system_rtc_mem_write(uint8_t block, const void *data, uint16_t length);
struct rst_info *system_get_rst_info(void);
uint32_t system_get_chip_id(void);
uint8_t system_get_cpu_freq(void);
bool system_update_cpu_freq(uint8_t mhz);
uint32_t system_get_free_heap_size(void);
const char *system_get_sdk_version(void);
uint16_t system_get_vdd33(void);
uint16_t system_adc_read(void);
void system_print_meminfo(void);
void system_restart(void);
void system_deep_sleep(uint64_t us);
bool system_deep_sleep_set_option(uint8_t option);
void system_soft_wdt_feed(void);
void system_phy_set_max_tpw(uint8_t power);
void system_uart_swap(void);
void system_uart_de_swap(void);
void os_delay_us(uint32_t us);
void *os_malloc(size_t size);
void os_free(void *pointer);

// ---- flash

typedef enum { SPI_FLASH_RESULT_OK, SPI_FLASH_RESULT_ERR, SPI_FLASH_RESULT_TIMEOUT } SpiFlashOpResult;

typedef struct {
    uint32_t deviceId, chip_size, block_size, sector_size, page_size, status_mask;
} SpiFlashChip;

uint32_t spi_flash_get_id(void);
SpiFlashOpResult spi_flash_read(uint32_t address, void *data, uint32_t length);
SpiFlashOpResult spi_flash_write(uint32_t address, const void *data, uint32_t length);
SpiFlashOpResult spi_flash_erase_sector(uint16_t sector);

// ---- Wi-Fi

enum { NULL_MODE, STATION_MODE, SOFTAP_MODE, STATIONAP_MODE };
enum { STATION_IF, SOFTAP_IF };
enum {
    STATION_IDLE, STATION_CONNECTING, STATION_WRONG_PASSWORD, STATION_NO_AP_FOUND, STATION_CONNECT_FAIL, STATION_GOT_IP,
};
enum { PHY_MODE_11B = 1, PHY_MODE_11G, PHY_MODE_11N };
enum { AUTH_OPEN, AUTH_WEP, AUTH_WPA_PSK, AUTH_WPA2_PSK, AUTH_WPA_WPA2_PSK };
enum { NONE_SLEEP_T, LIGHT_SLEEP_T, MODEM_SLEEP_T };
enum dhcp_status { DHCP_STOPPED, DHCP_STARTED };

struct ipv4 {
    uint32_t addr;
};

struct ip_info {
    struct ipv4 ip, netmask, gw;
};

struct station_config {
    uint8_t ssid[32], password[64], bssid_set, bssid[6];
};

struct softap_config {
    uint8_t ssid[32], password[64], ssid_len, channel;
    int authmode;
    uint8_t ssid_hidden;
};

struct scan_config {
    uint8_t show_hidden;
};

struct bss_info {
    struct bss_info *next;
    uint8_t bssid[6], ssid[32], ssid_len, channel;
    int8_t rssi;
    int authmode;
    uint8_t is_hidden;
};

struct station_info {
    struct station_info *next;
    uint8_t bssid[6];
    struct ipv4 ip;
};

#define STAILQ_NEXT(element, field) ((element)->field)

typedef void (*scan_done_cb_t)(void *result, STATUS status);

uint8_t wifi_get_opmode(void);
bool wifi_set_opmode(uint8_t mode);
bool wifi_station_get_config(struct station_config *config);
bool wifi_station_set_config(struct station_config *config);
bool wifi_station_set_hostname(char *name);
bool wifi_station_connect(void);
bool wifi_station_disconnect(void);
uint8_t wifi_station_get_connect_status(void);
int8_t wifi_station_get_rssi(void);
bool wifi_station_scan(struct scan_config *config, scan_done_cb_t callback);
bool wifi_station_dhcpc_start(void);
bool wifi_station_dhcpc_stop(void);
enum dhcp_status wifi_station_dhcpc_status(void);
bool wifi_softap_get_config(struct softap_config *config);
bool wifi_softap_set_config(struct softap_config *config);
uint8_t wifi_softap_get_station_num(void);
struct station_info *wifi_softap_get_station_info(void);
void wifi_softap_free_station_info(void);
bool wifi_softap_dhcps_start(void);
bool wifi_softap_dhcps_stop(void);
enum dhcp_status wifi_softap_dhcps_status(void);
bool wifi_get_ip_info(uint8_t interface, struct ip_info *info);
bool wifi_set_ip_info(uint8_t interface, struct ip_info *info);
bool wifi_get_macaddr(uint8_t interface, uint8_t *address);
bool wifi_set_macaddr(uint8_t interface, uint8_t *address);
uint8_t wifi_get_channel(void);
bool wifi_set_channel(uint8_t channel);
int wifi_get_phy_mode(void);
bool wifi_set_phy_mode(int mode);
int wifi_get_sleep_type(void);
bool wifi_set_sleep_type(int type);
void wifi_fpm_open(void);
void wifi_fpm_close(void);
int8_t wifi_fpm_do_sleep(uint32_t us);
void wifi_fpm_do_wakeup(void);
void wifi_fpm_set_sleep_type(int type);

// ---- what ports/esp8266/etshal.h declares; mpconfigport.h keeps that header out, for its random numbers

typedef char MD5_CTX[88];

void MD5Init(MD5_CTX *context);
void MD5Update(MD5_CTX *context, const void *data, unsigned int length);
void MD5Final(unsigned char digest[16], MD5_CTX *context);

#endif
