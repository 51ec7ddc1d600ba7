"""A bare chip on a pseudo-terminal: its ROM loader, which the real esptool talks to, its flash, and what boots from it.

    with bootloader.running("esp8266", flash_kib=1024) as chip:
        chip.fail("lose request", "FLASH_DATA", skip=3)
        subprocess.run([..., "esptool", "--port", chip.port, "--before", "no-reset", "write-flash", "0", "image.bin"])
        assert chip.flash[:1000] == ...

Chips are CHIPS, those of all boards: what differs between them is data. The chip speaks what Espressif documents as its
serial protocol; with esptool's stub uploaded, also the stub's. Its flash is NOR: erasing sets bits, writing clears
them, so that what was not erased does not come out right. A pseudo-terminal has no DTR and RTS: the chip leaves the
loader when it is told to (FLASH_END, RUN_USER_CODE: esptool's --after soft-reset), or by reset().

chip: a Bootloader
    port                    for esptool's --port: the pseudo-terminal, or the `link` to it
    flash                   its content; hand it to the next running() to go on with the same board
    commands                the names of all commands that came, in order
    fail(what, command, skip=, times=)  "lose request", "spoil request", "lose reply", "spoil reply", "vanish" (the
                            cable is pulled: the pseudo-terminal is gone)
    reset()                 the button: boots from flash

What boots: a MicroPython prompt that names the version in flash, where there is an image, else a boot loop; with
`boots` what it says: "repl", "loop" or "silence". With loader=False the chip has booted already, and is not in
download mode.
"""

import contextlib
import hashlib
import os
import re
import select
import struct
import threading
import tty
import zlib
from dataclasses import dataclass, field

from esptool.targets import CHIP_DEFS

from common import boards

_END = b"\xc0"
_SECTOR = 4096
_BLOCK_SECTORS = 16
_IMAGE_MAGIC = 0xE9
_VERSION = re.compile(rb"v\d+\.\d+\.\d+\S* on \d{4}-\d\d-\d\d")
_ENDING_S = 5

# Commands by their number on the wire; which of them a chip's ROM knows is in CHIPS.
_COMMANDS = {
    0x02: "FLASH_BEGIN", 0x03: "FLASH_DATA", 0x04: "FLASH_END", 0x05: "MEM_BEGIN", 0x06: "MEM_END", 0x07: "MEM_DATA",
    0x08: "SYNC", 0x09: "WRITE_REG", 0x0A: "READ_REG", 0x0B: "SPI_SET_PARAMS", 0x0D: "SPI_ATTACH",
    0x0F: "CHANGE_BAUDRATE", 0x10: "FLASH_DEFL_BEGIN", 0x11: "FLASH_DEFL_DATA", 0x12: "FLASH_DEFL_END",
    0x13: "SPI_FLASH_MD5", 0x14: "GET_SECURITY_INFO", 0xD0: "ERASE_FLASH", 0xD1: "ERASE_REGION",
    0xD3: "RUN_USER_CODE",
}  # fmt: skip
_ESP8266_ROM = tuple(name for number, name in _COMMANDS.items() if number <= 0x0A)
_ESP32_ROM = tuple(name for number, name in _COMMANDS.items() if number <= 0x13)
_LATER_ROM = tuple(name for number, name in _COMMANDS.items() if number <= 0x14)

# Errors of a reply's status
_INVALID_MESSAGE = 0x05
_FAILED = 0x06
_BAD_CHECKSUM = 0x07


@dataclass(frozen=True)
class Chip:
    """What tells a chip from another: the answers of its ROM, and where its registers are."""

    machine: str  # as MicroPython calls it
    commands: tuple
    image_at: int  # in flash
    spi: int  # registers of the SPI controller: the first one, and as offsets to it the command and the data
    spi_command: int
    spi_data: int
    registers: dict = field(default_factory=dict)
    security: bytes | None = None
    status_size: int = 4
    erases_more: bool = False  # a fault of the ESP8266's ROM, which esptool allows for


_DETECT = 0x40001000  # holds another number on each of the older chips

CHIPS = {
    "esp8266": Chip(
        "ESP module with ESP8266", _ESP8266_ROM, 0, 0x60000200, 0x24, 0x40,
        {_DETECT: 0xFFF0C101, 0x60000014: 26_000_000 * 2 // 115_200}, status_size=2, erases_more=True,
    ),
    "esp32": Chip(
        "Generic ESP32 module with ESP32", _ESP32_ROM, 0x1000, 0x3FF42000, 0x24, 0x80,
        {_DETECT: 0x00F01D83, 0x3FF40014: 40_000_000 // 115_200},
    ),
    "esp32s2": Chip(
        "Generic ESP32S2 module with ESP32S2", _LATER_ROM, 0x1000, 0x3F402000, 0x20, 0x58, {_DETECT: 0x000007C6},
        security=bytes(12),
    ),
}  # fmt: skip


def _newer(name):
    """Return a chip whose ROM tells its number, as all since the ESP32-S3 do; esptool has in what else they differ."""
    known = CHIP_DEFS[name]
    chip = name.upper()
    return Chip(
        f"{chip} module with {chip}",
        _LATER_ROM,
        known.BOOTLOADER_FLASH_OFFSET,
        known.SPI_REG_BASE,
        known.SPI_USR2_OFFS,
        known.SPI_W0_OFFS,
        security=struct.pack("<12xII", known.IMAGE_CHIP_ID, 0),
    )


CHIPS |= {board.chip: _newer(board.chip) for board in map(boards.load, boards.names()) if board.chip not in CHIPS}

_MANUFACTURER = 0xEF  # Winbond
_FLASH_TYPE = 0x40
_SPI_START = 1 << 18
_SFDP_MAGIC = int.from_bytes(b"SFDP", "little")


class Refused(Exception):
    """The chip answers with an error; args[0] is its number."""


class Bootloader:
    """A chip that waits for commands; made by running()."""

    def __init__(self, chip, flash, boots, loader, link):
        self.flash = flash
        self.commands = []
        self._chip = chip
        self._boots = boots
        self._faults = []
        self._registers = dict(chip.registers)
        self._stub = False
        self._rest = b""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._link = link
        if link:
            link.symlink_to(self.port)
            self.port = str(link)
        self._wake, self._waker = os.pipe()
        self._application = None if loader else self._boot()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def fail(self, what, command, *, skip=0, times=1):
        """Let the next commands of that name go wrong, after `skip` that pass."""
        self._faults.append([what, command, skip, times])

    def reset(self):
        """Press the button: the chip boots from flash."""
        os.write(self._waker, b"r")

    def start(self):
        """Begin to answer."""
        self._thread.start()

    def stop(self):
        """End, if the cable was not pulled before."""
        os.write(self._waker, b"s")
        self._thread.join(_ENDING_S)
        self._unplug()
        for descriptor in (self._wake, self._waker):
            os.close(descriptor)

    def _unplug(self):
        if self._master is None:
            return
        if self._link:  # first, as the next pseudo-terminal of anyone may get the same name
            self._link.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = None

    def _serve(self):
        while self._master is not None:
            period_s = self._application and self._application.period_s
            ready, _, _ = select.select([self._master, self._wake], [], [], period_s)
            if self._wake in ready:
                if os.read(self._wake, 1) == b"s":
                    return
                self._start_application()
            elif ready:
                self._take(os.read(self._master, 65536))
            else:
                self._send(self._application.period_text)

    def _take(self, data):
        if self._application:
            self._send(self._application.answer(data))
            return
        *frames, self._rest = (self._rest + data).split(_END)
        for frame in frames:
            packet = frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
            if self._master is not None and not self._application and len(packet) >= 8:
                self._command(packet)

    def _send(self, data):
        # As on a wire, what nobody reads is lost.
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)

    def _send_frame(self, packet):
        self._send(_END + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + _END)

    def _fault(self, name):
        for fault in self._faults:
            if fault[1] == name and fault[3]:
                if fault[2]:
                    fault[2] -= 1
                else:
                    fault[3] -= 1
                    return fault[0]
        return None

    def _command(self, packet):
        direction, number, size, checksum = struct.unpack("<BBHI", packet[:8])
        body = packet[8:]
        name = _COMMANDS.get(number)
        if direction != 0 or len(body) != size:
            return
        self.commands.append(name)
        fault = self._fault(name)
        if fault == "vanish":
            self._unplug()
            return
        if fault == "lose request":
            return
        if fault == "spoil request":
            body = body[:-1] + bytes([body[-1] ^ 0x10])
        if not self._stub and name not in self._chip.commands:
            for _ in range(8):
                self._reply(0xFF, 0, b"", _INVALID_MESSAGE, None)
            return
        self._afterwards = None
        try:
            value, data = getattr(self, f"_on_{name.lower()}")(body, checksum) or (0, b"")
        except (Refused, struct.error) as error:
            self._reply(number, 0, b"", error.args[0] if isinstance(error, Refused) else _INVALID_MESSAGE, fault)
        else:
            for _ in range(8 if name == "SYNC" else 1):
                self._reply(number, value, data, 0, fault)
        if self._afterwards:
            self._afterwards()

    def _reply(self, number, value, data, error, fault):
        status = bytes([1 if error else 0, error]).ljust(2 if self._stub else self._chip.status_size, b"\0")
        packet = struct.pack("<BBHI", 1, number, len(data) + len(status), value) + data + status
        if fault == "spoil reply":
            packet = packet[:1] + bytes([number ^ 0x40]) + packet[2:]
        if fault != "lose reply":
            self._send_frame(packet)

    def _start_stub(self):
        self._stub = True
        self._send_frame(b"OHAI")

    def _leave_stub(self):
        self._stub = False

    def _start_application(self):
        self._stub = False
        self._rest = b""
        self._application = self._boot()

    def _boot(self):
        version = _VERSION.search(self.flash)
        has_image = self.flash[self._chip.image_at] == _IMAGE_MAGIC and version
        kind = self._boots or ("repl" if has_image else "loop")
        application = {"repl": Repl, "loop": BootLoop, "silence": Silence}[kind](self._chip.machine, version)
        self._send(application.greeting)
        return application

    # Commands of the ROM and the stub

    def _on_sync(self, body, checksum):
        return (0 if self._stub else 0x20120707), b""

    def _on_read_reg(self, body, checksum):
        (address,) = struct.unpack("<I", body)
        return self._registers.get(address, 0), b""

    def _on_write_reg(self, body, checksum):
        for address, value, _mask, _delay in struct.iter_unpack("<IIII", body):
            self._registers[address] = value
        if self._registers.get(self._chip.spi, 0) & _SPI_START:
            self._registers[self._chip.spi] = 0
            self._registers[self._chip.spi + self._chip.spi_data] = self._spi_flash()

    def _spi_flash(self):
        """Return what the flash answers to the SPI command in the registers."""
        command = self._registers[self._chip.spi + self._chip.spi_command] & 0xFF
        if command == 0x9F:  # who it is
            return _MANUFACTURER | _FLASH_TYPE << 8 | (len(self.flash).bit_length() - 1) << 16
        if command == 0x5A and not self._registers.get(self._chip.spi + 4):  # the head of its table of parameters
            return _SFDP_MAGIC
        return 0

    def _on_spi_attach(self, body, checksum):
        pass

    def _on_spi_set_params(self, body, checksum):
        pass

    def _on_change_baudrate(self, body, checksum):
        pass

    def _on_get_security_info(self, body, checksum):
        return 0, self._chip.security

    def _on_mem_begin(self, body, checksum):
        self._announced, _, _, _ = struct.unpack("<IIII", body)
        self._loaded = 0

    def _on_mem_data(self, body, checksum):
        self._loaded += len(self._checked(body, checksum))

    def _on_mem_end(self, body, checksum):
        if self._loaded != self._announced:
            raise Refused(_FAILED)
        _, entry = struct.unpack("<II", body)
        if entry:
            self._afterwards = self._start_stub

    def _on_flash_begin(self, body, checksum):
        self._begin_flash(body)
        self._inflate = None

    def _on_flash_defl_begin(self, body, checksum):
        self._begin_flash(body)
        self._inflate = zlib.decompressobj()

    def _begin_flash(self, body):
        size, _, _, self._next = struct.unpack("<IIII", body[:16])
        self._expected = 0
        sectors = -(-size // _SECTOR)
        if self._chip.erases_more and not self._stub:
            # The sectors up to the end of the first 64 KiB are counted twice.
            sectors += min(sectors, _BLOCK_SECTORS - self._next // _SECTOR % _BLOCK_SECTORS)
        self._erase(self._next, sectors * _SECTOR)

    def _on_flash_data(self, body, checksum):
        data = self._checked(body, checksum)
        (sequence,) = struct.unpack("<I", body[4:8])
        if sequence != self._expected:
            raise Refused(_FAILED)
        self._expected += 1
        if self._inflate:
            data = self._inflate.decompress(data)
        self._program(self._next, data)
        self._next += len(data)

    _on_flash_defl_data = _on_flash_data

    def _on_flash_end(self, body, checksum):
        (stay,) = struct.unpack("<I", body)
        if not self._stub:
            self._afterwards = self._start_application
        elif not stay:
            self._afterwards = self._leave_stub

    _on_flash_defl_end = _on_flash_end

    def _on_spi_flash_md5(self, body, checksum):
        address, size, _, _ = struct.unpack("<IIII", body)
        digest = hashlib.md5(self.flash[address : address + size])
        return 0, digest.digest() if self._stub else digest.hexdigest().encode()

    def _on_erase_flash(self, body, checksum):
        self._erase(0, len(self.flash))

    def _on_erase_region(self, body, checksum):
        self._erase(*struct.unpack("<II", body))

    def _on_run_user_code(self, body, checksum):
        self._afterwards = self._start_application

    @staticmethod
    def _checked(body, checksum):
        """Return the data of a block whose checksum is right."""
        data = body[16:]
        state = 0xEF
        for byte in data:
            state ^= byte
        if state != checksum:
            raise Refused(_BAD_CHECKSUM)
        return data

    def _erase(self, start, size):
        end = min(start + size, len(self.flash))
        self.flash[start:end] = b"\xff" * (end - start)

    def _program(self, start, data):
        end = start + len(data)
        if end > len(self.flash):
            raise Refused(_FAILED)
        old, new = (int.from_bytes(part, "big") for part in (self.flash[start:end], data))
        self.flash[start:end] = (old & new).to_bytes(len(data), "big")


class Silence:
    """What boots and never says a word."""

    period_s = None
    period_text = b""
    greeting = b""

    def __init__(self, machine, version):
        pass

    def answer(self, data):
        """Return the answer to what was typed."""
        return b""


class BootLoop(Silence):
    """What is reset by its watchdog again and again."""

    period_s = 0.2
    period_text = b"rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\ninvalid header: 0xffffffff\r\n"


class Repl(Silence):
    """A MicroPython prompt, which says who it is at the start, after Ctrl-B and after Ctrl-D."""

    def __init__(self, machine, version):
        banner = b"MicroPython %s; %s\r\n" % (version[0], machine.encode())
        self._lines = {
            b"\x02": banner + b'Type "help()" for more information.\r\n>>> ',
            b"\x03": b"\r\n>>> ",
            b"\x04": b"\r\nMPY: soft reboot\r\n" + banner + b">>> ",
            b"\r": b"\r\n>>> ",
        }
        self.greeting = b"\r\n" + self._lines[b"\x02"]

    def answer(self, data):
        return b"".join(self._lines.get(bytes([byte]), bytes([byte])) for byte in data)


@contextlib.contextmanager
def running(name, *, flash_kib=4096, flash=None, boots=None, loader=True, link=None):
    """Plug in a chip with `flash_kib` of empty flash, or the `flash` of an earlier one; `link`: a path for its port."""
    content = bytearray(b"\xff" * (flash_kib * 1024)) if flash is None else flash
    chip = Bootloader(CHIPS[name], content, boots, loader, link)
    chip.start()
    try:
        yield chip
    finally:
        chip.stop()
