// The flash chip: 4 MB in a file of this computer. Part of uwebsocket; MIT licence.
//
// Stands for the SPI flash and the SDK's functions for it: a write only clears bits, an erase sets a sector of 4 KiB,
// and the first MB can be read as memory (here a copy: of what lies behind the firmware, the ROMFS partition and native
// code). Differs: the firmware itself is not in the file, a byte of mapped flash can be loaded alone, nothing takes
// time.
//
// The file of option `power` has two words: how many writes and erases there were, and the number of the one in whose
// middle the power fails (0: never). So a test can cut the power at each of them.

#include <string.h>

#include "chip.h"

#define SECTOR 4096
#define READ_WRITE 2 // O_RDWR
#define STATUS_POWER_CUT 3

extern uint8_t _flash_end, _mapped_flash_start, _mapped_flash_end;

// esp.flash_size() looks four bytes behind this name, where the chip's ROM keeps the description.
struct {
    uint32_t unused;
    SpiFlashChip chip;
} flashchip = {0, {0x1640ef, FLASH_SIZE, 0x10000, SECTOR, 256, 0xffff}};

static int flash_file = -1;
static int power_file = -1;

// Copy into mapped memory what the file has from `address` on, as far as it lies behind the firmware.
static void show_in_memory(uint32_t address, uint32_t length) {
    uint32_t from = (uint32_t)(&_flash_end - &_mapped_flash_start);
    uint32_t to = &_mapped_flash_end - &_mapped_flash_start;
    from = address > from ? address : from;
    to = address + length < to ? address + length : to;
    if (from < to) {
        host_read(flash_file, from, &_mapped_flash_start + from, to - from);
    }
}

void flash_start(void) {
    const char *path = host_option("flash");
    flash_file = path ? host_open(path, READ_WRITE) : -1;
    if (flash_file < 0) {
        chip_print("the flash file cannot be opened\n");
        host_exit(1);
    }
    const char *power = host_option("power");
    power_file = power ? host_open(power, READ_WRITE) : -1;
    show_in_memory(0, FLASH_SIZE);
}

// Count one more write; return whether the power fails during it.
static bool power_fails(void) {
    uint32_t counts[2] = {0, 0};
    if (power_file < 0) {
        return false;
    }
    host_read(power_file, 0, counts, sizeof(counts));
    counts[0]++;
    host_write(power_file, 0, counts, sizeof(counts[0]));
    return counts[0] == counts[1];
}

uint32_t spi_flash_get_id(void) {
    return flashchip.chip.deviceId;
}

SpiFlashOpResult spi_flash_read(uint32_t address, void *data, uint32_t length) {
    if (address + length > FLASH_SIZE || host_read(flash_file, address, data, length) != (int)length) {
        return SPI_FLASH_RESULT_ERR;
    }
    return SPI_FLASH_RESULT_OK;
}

SpiFlashOpResult spi_flash_write(uint32_t address, const void *data, uint32_t length) {
    static uint8_t piece[256];
    if (address + length > FLASH_SIZE) {
        return SPI_FLASH_RESULT_ERR;
    }
    bool cut = power_fails();
    uint32_t end = cut ? length / 2 : length;
    for (uint32_t done = 0; done < end;) {
        uint32_t count = end - done < sizeof(piece) ? end - done : sizeof(piece);
        host_read(flash_file, address + done, piece, count);
        for (uint32_t i = 0; i < count; i++) {
            piece[i] &= ((const uint8_t *)data)[done + i];
        }
        if (host_write(flash_file, address + done, piece, count) != (int)count) {
            return SPI_FLASH_RESULT_ERR;
        }
        done += count;
    }
    if (cut) {
        host_exit(STATUS_POWER_CUT);
    }
    show_in_memory(address, length);
    return SPI_FLASH_RESULT_OK;
}

SpiFlashOpResult spi_flash_erase_sector(uint16_t sector) {
    static uint8_t blank[SECTOR];
    uint32_t address = sector * SECTOR;
    if (address >= FLASH_SIZE) {
        return SPI_FLASH_RESULT_ERR;
    }
    bool cut = power_fails();
    uint32_t count = cut ? SECTOR / 2 : SECTOR;
    memset(blank, 0xff, sizeof(blank));
    if (host_write(flash_file, address, blank, count) != (int)count) {
        return SPI_FLASH_RESULT_ERR;
    }
    if (cut) {
        host_exit(STATUS_POWER_CUT);
    }
    show_in_memory(address, SECTOR);
    return SPI_FLASH_RESULT_OK;
}
