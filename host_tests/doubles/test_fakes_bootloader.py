"""The boot loader of the fakes: the real esptool finds each chip, and what it writes comes out, unless a fault is in
the way.
"""

import random
import subprocess

import pytest
import serial

import flash
from common import firmware
from fakes import bootloader

CHIPS = list(bootloader.CHIPS)
DATA = random.Random(4).randbytes(20_000) + b"\xc0\xdb\xdc\xdd" * 500


@pytest.fixture(autouse=True)
def short_waits(tmp_path, monkeypatch):
    (tmp_path / "esptool.cfg").write_text("[esptool]\ntimeout = 0.5\nconnect_attempts = 1\n")
    monkeypatch.setenv("ESPTOOL_CFGFILE", str(tmp_path / "esptool.cfg"))


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


def esptool(chip, *arguments):
    command = [flash.ESPTOOL, "--port", chip.port, "--before", "no-reset", "--after", "no-reset", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def write(chip, image, *options, at="0x3000"):
    return esptool(chip, *options, "write-flash", "--no-progress", at, str(image))


@pytest.mark.parametrize(("size_kib", "size"), [(512, "512KB"), (1024, "1MB"), (4096, "4MB")], ids=lambda value: value)
def test_chip_with_flash_tells_its_size(size_kib, size):
    with bootloader.running("esp8266", flash_kib=size_kib) as chip:
        assert f"Detected flash size: {size}\n" in esptool(chip, "--no-stub", "flash-id").stdout


@pytest.mark.parametrize("options", [["--no-stub"], []], ids=["rom", "stub"])
@pytest.mark.parametrize("name", CHIPS)
def test_write_reaches_the_flash_and_nothing_beside_it(name, options, image):
    with bootloader.running(name, flash=bytearray(1 << 20)) as chip:
        done = write(chip, image, *options)
        assert done.returncode == 0, done.stderr
        assert f"Connected to {firmware.chip_name(name)} on" in done.stdout
        assert chip.flash[0x3000 : 0x3000 + len(DATA)] == DATA
        assert not any(chip.flash[:0x3000]) and not any(chip.flash[0x10000:])


def test_erase_flash_by_stub_leaves_ones():
    with bootloader.running("esp8266", flash=bytearray(1 << 20)) as chip:
        assert esptool(chip, "erase-flash").returncode == 0
        assert chip.flash == b"\xff" * (1 << 20)


@pytest.mark.parametrize(
    ("name", "what", "command", "options"),
    [
        pytest.param("esp8266", "spoil request", "FLASH_DATA", ["--no-stub"], id="block spoiled"),
        pytest.param("esp32", "spoil request", "FLASH_DATA", ["--no-stub"], id="block spoiled on its way to an esp32"),
        pytest.param("esp8266", "spoil request", "FLASH_DEFL_DATA", [], id="compressed block spoiled"),
        pytest.param("esp8266", "lose request", "SYNC", ["--no-stub"], id="greeting lost"),
    ],
)
def test_fault_that_passes_is_repaired_by_esptool(name, what, command, options, image):
    with bootloader.running(name) as chip:
        chip.fail(what, command, skip=1 if "DATA" in command else 0)
        assert write(chip, image, *options).returncode == 0
        assert chip.flash[0x3000 : 0x3000 + len(DATA)] == DATA


@pytest.mark.parametrize(
    ("what", "command", "text"),
    [
        pytest.param("spoil request", "FLASH_DATA", "Checksum error", id="blocks spoiled"),
        pytest.param("lose request", "FLASH_DATA", "No more data to read", id="block lost"),
        pytest.param("lose reply", "FLASH_DATA", "No more data to read", id="reply to a block lost"),
        pytest.param("spoil reply", "FLASH_BEGIN", "Serial data stream stopped", id="reply spoiled"),
        pytest.param("lose request", "SYNC", "No serial data received", id="greetings lost"),
    ],
)
def test_fault_that_stays_fails_esptool(what, command, text, image):
    with bootloader.running("esp8266") as chip:
        chip.fail(what, command, times=100)
        done = write(chip, image, "--no-stub")
        assert done.returncode and text in done.stderr


def test_vanish_in_the_middle_leaves_what_was_written_for_the_next(image, tmp_path):
    port = tmp_path / "port"
    with bootloader.running("esp32", link=port) as first:
        first.fail("vanish", "FLASH_DATA", skip=7)
        assert write(first, image, "--no-stub").returncode
        assert first.flash[0x3000 : 0x3000 + 7 * 1024] == DATA[: 7 * 1024]
        assert not port.exists()
        with bootloader.running("esp32", link=port, flash=first.flash) as second:
            assert second.port == first.port
            assert write(second, image, "--no-stub").returncode == 0
            assert second.flash[0x3000 : 0x3000 + len(DATA)] == DATA


_BOOTS = {
    "image": (b"\xe9 v1.2.3 on 2026-01-02", None, b"MicroPython v1.2.3 on 2026-01-02; ESP module with ESP8266\r\n"),
    "empty": (b"\xff", None, b"rst:0x10 (RTCWDT_RTC_RESET)"),
    "loop": (b"\xe9 v1.2.3 on 2026-01-02", "loop", b"rst:0x10 (RTCWDT_RTC_RESET)"),
}


@pytest.mark.parametrize(("content", "boots", "says"), _BOOTS.values(), ids=list(_BOOTS))
def test_reset_boots_what_is_in_flash(content, boots, says):
    with bootloader.running("esp8266", flash=bytearray(content.ljust(1 << 20)), boots=boots) as chip:
        with serial.Serial(chip.port, timeout=10) as wire:
            chip.reset()
            assert says in wire.read_until(says)
            if boots is None and content[0] == 0xE9:
                wire.write(b"\x03\x02")
                assert wire.read_until(says).endswith(says)


def test_chip_that_has_booted_does_not_answer_esptool():
    with bootloader.running("esp8266", loader=False, boots="silence") as chip:
        assert "Failed to connect" in esptool(chip, "--no-stub", "flash-id").stderr
        assert chip.commands == []
