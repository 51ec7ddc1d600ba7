"""Small firmware files, built as MicroPython's releases are: all headers, checksums and digests are right."""

import hashlib
import struct

from esptool.targets import CHIP_DEFS

from common import boards

VERSION = "v1.25.0 on 2025-04-15"

CHIPS = tuple(board.chip for board in map(boards.load, boards.names()))
# Where the firmware begins in flash
OFFSETS = {chip: CHIP_DEFS[chip].BOOTLOADER_FLASH_OFFSET for chip in CHIPS}

_CODE = bytes(range(256)) * 8 + b"MicroPython " + VERSION.encode() + b"\0\xdb\xc0\xdb\0"


def _with_checksum(header, segments):
    image = header
    checksum = 0xEF
    for address, data in segments:
        image += struct.pack("<II", address, len(data)) + data
        for byte in data:
            checksum ^= byte
    return image + bytes(15 - len(image) % 16) + bytes([checksum])


def esp8266(code=_CODE):
    """Return a firmware for the ESP8266 whose header says 4 MiB of flash."""
    header = bytes([0xE9, 1, 0, 0x40]) + struct.pack("<I", 0x40100000)
    image = _with_checksum(header, [(0x40100000, bytes(range(64)))])
    firmware = image.ljust(0x8FFC, b"\xff") + struct.pack("<I", 0x9000 + len(code)) + code
    return firmware + hashlib.md5(firmware[4:]).digest()


def esp32_image(chip, code):
    """Return one image for a chip of the ESP32 family: a bootloader, or an application."""
    number = CHIP_DEFS[chip].IMAGE_CHIP_ID
    header = bytes([0xE9, 1, 2, 0x20]) + struct.pack("<I", 0x40080000)
    header += bytes([0xEE, 0, 0, 0]) + struct.pack("<HBHH4xB", number, 0, 0, 0xFFFF, 1)
    image = _with_checksum(header, [(0x40080000, code.ljust(-(-len(code) // 4) * 4, b"\0"))])
    return image + hashlib.sha256(image).digest()


def esp32(chip, code=_CODE):
    """Return a firmware for a chip of the ESP32 family: bootloader, partition table, application."""
    begin = OFFSETS[chip]
    partitions = [(1, 2, 0x9000, 0x6000, b"nvs"), (0, 0, 0x10000, 0x1F0000, b"factory")]
    table = b"".join(struct.pack("<HBBII16sI", 0x50AA, *entry, 0) for entry in partitions)
    firmware = esp32_image(chip, b"bootloader" * 100).ljust(0x8000 - begin, b"\xff") + table
    return firmware.ljust(0x10000 - begin, b"\xff") + esp32_image(chip, code)


def build(chip):
    """Return a firmware for a chip."""
    return esp8266() if chip == "esp8266" else esp32(chip)


def page(folder, names):
    """Return a web page that offers files of a folder."""
    return "".join(f'<p><a class="release" href="{folder}{name}">{name}</a>' for name in names).encode()


def flipped(data, position):
    """Return data with one bit changed."""
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def save(folder, data, name="firmware.bin"):
    """Write data to a file; return its path."""
    (folder / name).write_bytes(data)
    return folder / name
