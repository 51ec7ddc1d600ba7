"""tools/flash.py with the real esptool, against a bootloader on a pseudo-terminal, whose flash is then compared."""

import contextlib
import os
import re
import stat
import subprocess
import sys
import threading
import time
import types

import pytest
import serial

import flash
from common import compiler, rigs, romfs, virtual_esp8266
from fakes import bootloader
from servers import files
from support import firmware_images
from support.firmware_images import flipped, save

BY_HAND = ["--before", "no-reset", "--after", "soft-reset", "--no-stub"]  # all that a pseudo-terminal can
NAMES = {"esp8266": "ESP8266_GENERIC", "esp32": "ESP32_GENERIC"}
_SHORT_WAITS = "[esptool]\ntimeout = 0.5\nconnect_attempts = 1\nerase_region_timeout_per_mb = 0.2\n"
MACHINES = {name: chip.machine for name, chip in bootloader.CHIPS.items()}


@pytest.fixture(autouse=True)
def short_waits(tmp_path, monkeypatch):
    (tmp_path / "esptool.cfg").write_text(_SHORT_WAITS)
    monkeypatch.setenv("ESPTOOL_CFGFILE", str(tmp_path / "esptool.cfg"))
    monkeypatch.setattr(flash, "_LISTEN_S", 0.3)
    for name in ("PORT", "BOARD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def images(tmp_path):
    """Files of small firmware, by chip."""
    return {chip: save(tmp_path, firmware_images.build(chip), f"{chip}.bin") for chip in firmware_images.CHIPS}


def written(chip, name, path):
    """Tell whether the flash holds the file, where it belongs, and whether the rest is erased."""
    begin, data = firmware_images.OFFSETS[name], path.read_bytes()
    rest = chip.flash[:begin] + chip.flash[begin + len(data) :]
    return chip.flash[begin : begin + len(data)] == data, rest.count(0xFF) == len(rest)


def assert_error(capfd, *texts):
    """Check that the last run ended in one line of error with a remedy; return its standard output."""
    output, errors = capfd.readouterr()
    ours = [line for line in errors.splitlines() if not line.startswith("WARNING: ")]
    assert len(ours) == 1, errors
    assert re.fullmatch(r"flash: .+ \(try: .+\)", ours[0])
    for text in texts:
        assert text in ours[0]
    return output


@pytest.mark.parametrize("name", firmware_images.CHIPS)
def test_flash_by_hand_writes_the_firmware_and_tells_its_version(name, images, capfd):
    rom_erases_all = name != "esp8266"
    with bootloader.running(name, flash=bytearray(4 << 20)) as chip:
        assert flash.main([str(images[name]), "--port", chip.port, *BY_HAND]) == 0
        assert written(chip, name, images[name]) == (True, rom_erases_all)
    output = capfd.readouterr().out
    assert f": MicroPython {firmware_images.VERSION}; {MACHINES[name]}\n" in output
    assert ("files on the board stay" in output) != rom_erases_all


@contextlib.contextmanager
def pressed_after(chip, command):
    """Press the board's button, as its reset line would be pulled, once it got a command."""

    def press():
        deadline = time.monotonic() + 60
        while command not in chip.commands and time.monotonic() < deadline:
            time.sleep(0.02)
        chip.reset()

    finger = threading.Thread(target=press)
    finger.start()
    yield
    finger.join()


@pytest.mark.parametrize("name", ["esp8266", "esp32", "esp32c3"])
def test_flash_erases_all_writes_verifies_and_waits_for_the_prompt(name, images, capfd):
    with bootloader.running(name, flash=bytearray(4 << 20)) as chip, pressed_after(chip, "SPI_FLASH_MD5"):
        assert flash.main([str(images[name]), "--port", chip.port]) == 0
        assert written(chip, name, images[name]) == (True, True)
    output = capfd.readouterr().out
    assert "Hash of data verified." in output
    assert output.splitlines()[-1].endswith(f"MicroPython {firmware_images.VERSION}; {MACHINES[name]}")


@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"released-firmware-{name}")
def test_flash_of_a_whole_release_writes_every_byte(name, capfd):
    path = rigs.FIRMWARE / f"{NAMES[name]}-20250415-v1.25.0.bin"
    with bootloader.running(name) as chip:
        assert flash.main([str(path), "--port", chip.port, *BY_HAND]) == 0
        assert written(chip, name, path) == (name != "esp8266", True)
        assert changed_bytes(chip, path) == (["flash size"] if name == "esp8266" else [])
    assert f"flashed {NAMES[name]}: MicroPython v1.25.0 on 2025-04-15; {MACHINES[name]}\n" in capfd.readouterr().out


def changed_bytes(chip, path):
    """Name what differs in flash: esptool sets the flash size in the header of the ESP8266's image."""
    begin, data = chip.flash.index(0xE9), path.read_bytes()
    there = chip.flash[begin : begin + len(data)]
    return ["flash size" if at == 3 else at for at in range(len(data)) if there[at] != data[at]]


def test_flash_without_repl_ends_when_it_is_verified(images, capfd):
    with bootloader.running("esp32", boots="silence") as chip:
        assert flash.main([str(images["esp32"]), "--port", chip.port, *BY_HAND, "--no-repl"]) == 0
    assert "flashed ESP32_GENERIC; it was not asked" in capfd.readouterr().out


def test_flash_dry_run_says_what_it_would_do_and_does_nothing(images, capfd):
    with bootloader.running("esp32") as chip:
        assert flash.main([str(images["esp32"]), "--port", chip.port, "--before", "no-reset", "--dry-run"]) == 0
        assert set(chip.flash) == {0xFF}
    output = capfd.readouterr().out
    assert re.search(r"^would run: .*esptool .*write-flash .*--erase-all 0x1000 .*esp32.bin$", output, re.MULTILINE)


def romfs_firmware(folder):
    return save(folder, firmware_images.build("esp8266"), "ESP8266_GENERIC-FLASH_2M_ROMFS-20250415-v1.25.0.bin")


def test_flash_with_client_writes_the_firmware_and_a_romfs_with_every_module(tmp_path, capfd):
    path = romfs_firmware(tmp_path)
    with bootloader.running("esp8266", flash=bytearray(4 << 20)) as chip:
        assert flash.main([str(path), "--port", chip.port, *BY_HAND, "--with-client"]) == 0
        assert chip.flash[: path.stat().st_size] == path.read_bytes()
        rom = bytes(chip.flash[0xB0000:0x100000])
    assert rom[:3] == b"\xd2\xcd\x31"  # of a ROMFS
    for source in compiler.sources():
        assert source.with_suffix(".mpy").name.encode() in rom
    assert re.search(r"^the client: \d+ modules, \d+ B of the ROMFS at 0xb0000$", capfd.readouterr().out, re.MULTILINE)


_NO_ROOM = {
    "plain-variant": ("esp8266", "ESP8266_GENERIC-20250415-v1.25.0.bin", "needs the variant FLASH_2M_ROMFS"),
    "another-board": ("esp32", "esp32.bin", "no firmware for ESP32_GENERIC has room for the client"),
}


@pytest.mark.parametrize(("name", "file", "text"), _NO_ROOM.values(), ids=_NO_ROOM)
def test_flash_with_client_where_it_has_no_place_is_refused_before_anything_is_erased(
    name, file, text, tmp_path, capfd
):
    path = save(tmp_path, firmware_images.build(name), file)
    with bootloader.running(name, flash=bytearray(4 << 20)) as chip:
        assert flash.main([str(path), "--port", chip.port, *BY_HAND, "--with-client"]) == 1
        assert not any(chip.flash)
    assert_error(capfd, text)


@pytest.mark.parametrize("rig", ["virtual-esp8266"])
def test_romfs_of_flash_with_client_is_imported_on_the_chip(rig, tmp_path):
    image, count = romfs.build("xtensa", tmp_path)
    virtual_esp8266.make_flash(tmp_path / "flash", image.read_bytes())
    program = "import os, uwebsocket_client\nprint('lib' in os.listdir('/'), len(os.listdir('/rom/lib')))"
    with virtual_esp8266.VirtualESP8266(flash=tmp_path / "flash", variant="romfs") as chip:
        command = [str(rigs.VENV / "bin" / "mpremote"), "connect", chip.port, "resume", "exec", program]
        assert chip.run(command).stdout.split() == ["False", str(count)]


def test_flash_without_a_file_downloads_what_fits_the_flash(tmp_path, monkeypatch, capfd):
    name = "ESP8266_GENERIC-FLASH_1M-20250911-v1.26.1.bin"
    offered = firmware_images.page("/files/", ["ESP8266_GENERIC-20250911-v1.26.1.bin", name])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(flash.firmware, "FOLDER", tmp_path / "firmware")
    with bootloader.running("esp8266", flash_kib=1024) as chip:
        with files.running({"/": offered, "/files/" + name: firmware_images.esp8266()}) as site:
            assert flash.main(["--url", site.url, "--port", chip.port, *BY_HAND]) == 0
        assert changed_bytes(chip, tmp_path / "firmware" / name) == ["flash size"]
        assert chip.flash[3] == 0x20  # 1 MiB
    assert f"downloading {name}\n" in capfd.readouterr().out


def test_flash_without_a_file_or_a_network_says_how_to_do_without(monkeypatch, capfd):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with bootloader.running("esp8266") as chip:
        options = ["--url", "http://127.0.0.1:1/", "--port", chip.port, *BY_HAND]
        assert flash.main(options) == 1
        assert set(chip.flash) == {0xFF}
    assert_error(capfd, "cannot download ESP8266_GENERIC-2*.bin", "by hand from http://127.0.0.1:1/ and give FIRMWARE=")


# Bad input

_REFUSED = {
    "wrong chip": ("esp8266", "esp32", [], "esp32.bin is for the ESP32, this is an ESP8266"),
    "wrong chip of a family": ("esp32c3", "esp32s3", [], "esp32s3.bin is for the ESP32-S3, this is an ESP32-C3"),
    "wrong board": ("esp32", "esp32", ["--board", "ESP32_GENERIC_C3"], "ESP32_GENERIC_C3 has an esp32c3, this"),
    "unknown board": ("esp32", "esp32", ["--board", "ESP99"], "no board is called 'ESP99' (one of: ESP32_GEN"),
    "wrong sum": ("esp32", "esp32", ["--sha256", "00"], "esp32.bin has the SHA-256 "),
}


@pytest.mark.parametrize(("name", "image", "options", "text"), _REFUSED.values(), ids=list(_REFUSED))
def test_flash_of_what_does_not_fit_is_refused_before_anything_is_erased(name, image, options, text, images, capfd):
    with bootloader.running(name, flash=bytearray(4 << 20)) as chip:
        assert flash.main([str(images[image]), "--port", chip.port, *BY_HAND, *options]) == 1
        assert not any(chip.flash)
    output = assert_error(capfd, text)
    assert "MicroPython v" not in output  # a line that says for which board it is


_LARGE = {
    "by its name": (1024, "ESP8266_GENERIC-20250415-v1.25.0.bin", 2, "needs 2048 KiB of flash, this board has 1024"),
    "by its size": (512, "own.bin", 600, "own.bin needs 637 KiB of flash, this board has 512 KiB"),
}


@pytest.mark.parametrize(("flash_kib", "file", "code_kib", "text"), _LARGE.values(), ids=list(_LARGE))
def test_flash_of_firmware_for_more_flash_is_refused(flash_kib, file, code_kib, text, tmp_path, capfd):
    path = save(tmp_path, firmware_images.esp8266(bytes(code_kib * 1024)), file)
    with bootloader.running("esp8266", flash_kib=flash_kib) as chip:
        assert flash.main([str(path), "--port", chip.port, *BY_HAND]) == 1
        assert set(chip.flash) == {0xFF}
    assert_error(capfd, text)


@pytest.mark.parametrize("name", ["esp8266", "esp32"])
@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_flash_of_bad_file_is_refused_before_the_port_is_opened(name, damage, tmp_path, capfd):
    data = firmware_images.build(name)
    path = save(tmp_path, data[:-100] if damage == "truncated" else flipped(data, -1000))
    if damage == "missing":
        path.unlink()
    with bootloader.running(name) as chip:
        assert flash.main([str(path), "--port", chip.port, *BY_HAND]) == 1
        assert chip.commands == []
    assert_error(capfd, "firmware.bin")


def ports(monkeypatch, *found):
    """Let these (device, USB vendor) be the computer's serial ports."""
    there = [types.SimpleNamespace(device=device, vid=vendor) for device, vendor in found]
    monkeypatch.setattr(flash.list_ports, "comports", lambda: there)


def test_flash_without_a_port_takes_the_only_one_on_usb(images, monkeypatch):
    with bootloader.running("esp32c6") as chip:
        ports(monkeypatch, ("/dev/ttyS0", None), (chip.port, 0x303A))
        assert flash.main([str(images["esp32c6"]), *BY_HAND]) == 0
        assert written(chip, "esp32c6", images["esp32c6"]) == (True, True)


def test_flash_without_a_board_says_so(monkeypatch, images, capfd):
    ports(monkeypatch, ("/dev/ttyS0", None))
    assert flash.main([str(images["esp32"])]) == 1
    assert_error(capfd, "no board is connected")


def test_flash_with_several_boards_names_their_ports(monkeypatch, images, capfd):
    ports(monkeypatch, ("/dev/ttyUSB1", 1), ("/dev/ttyUSB0", 1))
    assert flash.main([str(images["esp32"])]) == 1
    assert_error(capfd, "several ports: /dev/ttyUSB0, /dev/ttyUSB1 (try: PORT=/dev/ttyUSB0)")


def test_flash_of_virtual_board_says_that_it_needs_none(images, capfd):
    assert flash.main([str(images["esp32"]), "--port", "virtual"]) == 1
    assert_error(capfd, "make deploy PORT=virtual")


def test_flash_on_port_that_is_not_there_says_so(images, tmp_path, capfd):
    assert flash.main([str(images["esp32"]), "--port", str(tmp_path / "ttyUSB9")]) == 1
    assert_error(capfd, f"no board on {tmp_path / 'ttyUSB9'} (try: make ports")


def test_flash_on_busy_port_says_what_to_close(images, capfd):
    with bootloader.running("esp32") as chip, serial.Serial(chip.port, exclusive=True):
        assert flash.main([str(images["esp32"]), "--port", chip.port, *BY_HAND]) == 1
        assert chip.commands == []
        assert_error(capfd, f"another program uses {chip.port} (try: close it")


def test_flash_without_permission_names_the_group(images):
    # Root may open everything, but for a root without this capability.
    drop = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-all"] if os.geteuid() == 0 else []
    with bootloader.running("esp32") as chip:
        os.chmod(chip.port, 0)
        assert stat.S_IMODE(os.stat(chip.port).st_mode) == 0
        command = [*drop, sys.executable, str(rigs.ROOT / "tools" / "flash.py"), str(images["esp32"])]
        done = subprocess.run([*command, "--port", chip.port], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"flash: no permission to open {chip.port} (try: sudo usermod -aG dialout $USER")


@pytest.mark.parametrize("boots", ["silence", "repl"])
def test_flash_of_chip_not_in_download_mode_tells_the_button(boots, images, capfd):
    content = bytearray(firmware_images.build("esp8266").ljust(1 << 20))
    with bootloader.running("esp8266", flash=content, boots=boots, loader=False) as chip:
        assert flash.main([str(images["esp8266"]), "--port", chip.port, *BY_HAND]) == 1
        assert_error(capfd, "not in download mode (try: hold its button BOOT or FLASH")


@pytest.mark.parametrize(
    ("name", "options", "command"),
    [("esp8266", BY_HAND, "FLASH_DATA"), ("esp32", ["--before", "no-reset", "--no-repl"], "FLASH_DEFL_DATA")],
    ids=["esp8266-rom", "esp32-stub"],
)
def test_cable_pulled_in_the_middle_is_told_and_a_second_run_repairs(name, options, command, tmp_path, images, capfd):
    port = tmp_path / "ttyUSB0"
    with bootloader.running(name, link=port) as first:
        first.fail("vanish", command, skip=3 if command == "FLASH_DATA" else 0)
        assert flash.main([str(images[name]), "--port", first.port, *options]) == 1
        assert not written(first, name, images[name])[0]
        assert_error(capfd, f"stopped half-way: the connection to {port} broke off (try: plug the cable in again")
        with bootloader.running(name, link=port, flash=first.flash) as second:
            assert flash.main([str(images[name]), "--port", second.port, *options]) == 0
            assert written(second, name, images[name]) == (True, True)


@pytest.mark.parametrize(
    ("what", "command"),
    [("spoil request", "FLASH_DATA"), ("spoil reply", "FLASH_BEGIN")],
    ids=["blocks spoiled", "reply spoiled"],
)
def test_flash_over_a_bad_line_is_told_and_a_second_run_repairs(what, command, images, capfd):
    with bootloader.running("esp32") as chip:
        chip.fail(what, command, skip=1, times=3)
        assert flash.main([str(images["esp32"]), "--port", chip.port, *BY_HAND]) == 1
        assert_error(capfd, f"stopped half-way: the connection to {chip.port} is disturbed (try: make flash ARGS=")
    with bootloader.running("esp32", flash=chip.flash) as chip:
        assert flash.main([str(images["esp32"]), "--port", chip.port, *BY_HAND]) == 0
        assert written(chip, "esp32", images["esp32"]) == (True, True)


def test_flash_over_a_line_that_spoils_a_block_once_succeeds(images):
    with bootloader.running("esp32") as chip:
        chip.fail("spoil request", "FLASH_DATA", skip=5)
        assert flash.main([str(images["esp32"]), "--port", chip.port, *BY_HAND]) == 0
        assert written(chip, "esp32", images["esp32"]) == (True, True)


class WornFlash(bytearray):
    """A flash with a bit that cannot be set."""

    def __setitem__(self, where, value):
        super().__setitem__(where, value)
        super().__setitem__(0x1800, 0)


def test_flash_that_does_not_keep_what_was_written_is_told(images, capfd):
    with bootloader.running("esp32", flash=WornFlash(b"\xff" * (4 << 20))) as chip:
        assert flash.main([str(images["esp32"]), "--port", chip.port, *BY_HAND]) == 1
    assert_error(capfd, "what is in flash is not what was written (try: ")


@pytest.mark.parametrize(
    ("boots", "text"),
    [("loop", "flashed, but the board is in a boot loop, rst:0x10 (RTCWDT_RTC_RESET) (try: the firmware for its flash"),
     ("silence", "flashed, but no prompt on ")],
    ids=["boot loop", "silence"],
)  # fmt: skip
def test_flash_without_a_prompt_afterwards_says_what_the_board_does(boots, text, images, monkeypatch, capfd):
    monkeypatch.setattr(flash, "_REPL_TIMEOUT_S", 1)
    with bootloader.running("esp8266", boots=boots) as chip:
        assert flash.main([str(images["esp8266"]), "--port", chip.port, *BY_HAND]) == 1
        assert written(chip, "esp8266", images["esp8266"]) == (True, True)
    assert_error(capfd, text)


def test_port_that_is_gone_after_flashing_is_told(tmp_path):
    with pytest.raises(flash.FlashError, match="did not come back"):
        flash.greet(str(tmp_path / "ttyACM0"), 0.3)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("A fatal error occurred: Could not open /dev/tty9, the port is busy or doesn't exist.\n([Errno 13] could not "
         "open port /dev/tty9: [Errno 13] Permission denied: '/dev/tty9')", "no permission to open /dev/tty9"),
        ("A fatal error occurred: Could not open /dev/tty9, the port is busy or doesn't exist.\n([Errno 16] could not "
         "open port /dev/tty9: [Errno 16] Device or resource busy: '/dev/tty9')", "another program uses /dev/tty9"),
        ("A fatal error occurred: Failed to connect to ESP32: Wrong boot mode detected (0x13)! The chip needs to be in "
         "download mode.", "not in download mode"),
        ("A fatal error occurred: The flash is made of wood.", "esptool failed: The flash is made of wood. (try: "),
        ("", "esptool failed: no reason was given (try: "),
    ],
    ids=["permission", "busy", "boot mode", "else", "nothing"],
)  # fmt: skip
def test_explain_of_what_esptool_says_tells_cause_and_remedy(said, text):
    assert text in flash.explain(said, "/dev/tty9")


def test_flash_without_esptool_says_what_to_do(images, monkeypatch, capfd):
    monkeypatch.setattr(flash, "ESPTOOL", "/nowhere/esptool")
    assert flash.main([str(images["esp32"]), "--port", "/dev/tty9"]) == 1
    assert_error(capfd, "esptool does not start", "(try: make setup)")


def test_flash_interrupted_says_that_it_stopped(images, monkeypatch, capfd):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(flash.subprocess, "run", interrupted)
    assert flash.main([str(images["esp32"]), "--port", "/dev/tty9"]) == 1
    assert_error(capfd, "stopped, perhaps half-way")
