"""Put MicroPython on a board: ask the chip what it is, check the firmware, erase, write, verify, reset, greet.

Without a file it downloads the newest release for the board that is connected. Nothing is erased before the firmware
was found whole, made for this chip, and small enough for its flash. esptool does the work and shows its progress.
A board without reset lines on its serial port: put it in download mode by hand and give --before no-reset, and press
RST afterwards or give --no-stub --after soft-reset.
"""

import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import serial
from serial.tools import list_ports

from common import boards, compiler, firmware, rigs, romfs

ESPTOOL = str(rigs.VENV / "bin" / "esptool")

_ASK_TIMEOUT_S = 90
_WRITE_TIMEOUT_S = 1200  # 4 MiB at 115200 baud
_REPL_TIMEOUT_S = 30  # the first start makes a file system
_REPL_BAUD = 115200
_ROM_BAUD = 74880  # in which the ESP8266 says why it was reset
_LISTEN_S = 2
_LOOK_S = 0.2
_INTERRUPT, _BANNER = b"\x03", b"\x02"

_AGAIN_SLOWLY = 'make flash ARGS="--baud 115200"'

# What esptool says when it fails: what has happened, and what to do. The first that fits counts.
_CAUSES = (
    (
        r"serial exception|Input/output error|stopped responding",
        "the connection to {port} broke off",
        "plug the cable in again, then make flash again",
    ),
    (
        r"Errno 2\]|FileNotFoundError",
        "no board on {port}",
        "make ports, and a USB cable that carries data",
    ),
    (
        r"Permission denied",
        "no permission to open {port}",
        "sudo usermod -aG dialout $USER, then log in again",
    ),
    (
        r"exclusively lock|Errno 16\]|Access is denied",
        "another program uses {port}",
        "close it: a terminal, an IDE, make repl",
    ),
    (
        r"Failed to connect|Wrong boot mode|Failed to start stub",
        "the chip on {port} does not answer, so it is not in download mode",
        "hold its button BOOT or FLASH, press RST or EN, let go of both, then make flash again",
    ),
    (
        r"MD5 of file does not match|flash region is empty",
        "what is in flash is not what was written",
        f"{_AGAIN_SLOWLY}, another power supply",
    ),
    (
        r"Serial data stream stopped|Packet content|Checksum error|Invalid head|Invalid SLIP|No serial data"
        r"|No more data to read|Response doesn't match",
        "the connection to {port} is disturbed",
        f"{_AGAIN_SLOWLY}, another cable",
    ),
)
_RESET = re.compile(rb"rst:0x\w+ \(\w+\)|rst cause:\d+")


class FlashError(RuntimeError):
    """The board is not flashed; the text says why and ends in the remedy."""


@dataclass(frozen=True)
class Chip:
    """What the chip says it is: its name for esptool, its model, its flash (None: it does not say)."""

    name: str
    model: str
    flash_kib: int | None


def find_port():
    """Return the only serial port that is on USB; FlashError where there is none, or more than one."""
    found = sorted(port.device for port in list_ports.comports() if port.vid is not None)
    if not found:
        raise FlashError("no board is connected (try: a USB cable that carries data, then make ports)")
    if len(found) > 1:
        raise FlashError(f"several ports: {', '.join(found)} (try: PORT={found[0]})")
    return found[0]


def explain(said, port):
    """Return the text of a FlashError for what esptool said."""
    for pattern, what, remedy in _CAUSES:
        if re.search(pattern, said):
            return f"{what.format(port=port)} (try: {remedy})"
    errors = re.findall(r"(?:error occurred|Error): (.*)", said) or ["no reason was given"]
    return f"esptool failed: {errors[-1].strip()} (try: {_AGAIN_SLOWLY})"


class Esptool:
    """Starts esptool for one port; `options` are those of the command line."""

    def __init__(self, port, options):
        self._port = port
        self._before = options.before
        self._after = options.after
        self._no_stub = options.no_stub

    def ask(self):
        """Return the Chip on the port. Only the ROM is asked; a board that can be reset runs on afterwards."""
        after = "no-reset" if self._before == "no-reset" else self._after
        command = self._command("--no-stub", "--after", after, "flash-id")
        done = self._run(command, _ASK_TIMEOUT_S, stdout=subprocess.PIPE)
        name = re.search(r"Connected to (\S+) on", done.stdout)
        if not name:
            raise FlashError(f"esptool does not know the chip on {self._port} (try: --before no-reset)")
        model = re.search(r"Chip type: +(.+)", done.stdout)
        size = re.search(r"Detected flash size: (\d+)([KM])B", done.stdout)
        flash_kib = int(size[1]) * (1024 if size[2] == "M" else 1) if size else None
        return Chip(name[1].lower().replace("-", ""), model[1] if model else name[1], flash_kib)

    def steps(self, board, chip, found, baud, more=()):
        """Return the commands that erase and write, in order; `more`: what else is written, offset and file."""
        flash = board.flash
        speed = ["--chip", board.chip, "--baud", str(baud or flash.baud)]
        write = ["write-flash", "--flash-mode", flash.mode, "--flash-freq", flash.freq, "--flash-size", flash.size]
        image = [hex(flash.offset), str(found.path), *map(str, more)]
        if not sys.stdout.isatty():
            write.append("--no-progress")
        if not self._no_stub:
            return [self._command(*speed, "--after", self._after, *write, "--erase-all", *image)]
        rom = [*speed, "--no-stub", "--after"]
        steps = [self._command(*rom, self._after, *write, *image)]
        if board.chip != "esp8266" and chip.flash_kib is not None:
            steps.insert(0, self._command(*rom, "no-reset", "erase-region", "0x0", hex(chip.flash_kib * 1024)))
        return steps

    def write(self, steps):
        """Erase and write, and show how far it is."""
        for command in steps:
            try:
                done = self._run(command, _WRITE_TIMEOUT_S)
            except FlashError as error:
                raise FlashError(f"stopped half-way: {error}") from None
            print(done.stderr, end="", file=sys.stderr)

    def _command(self, *arguments):
        return [ESPTOOL, "--port", self._port, "--before", self._before, *arguments]

    def _run(self, command, timeout_s, **options):
        sys.stdout.flush()
        try:
            done = subprocess.run(
                command, stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout_s, check=False, **options
            )
        except OSError as error:
            raise FlashError(f"esptool does not start: {error.strerror} (try: make setup)") from None
        except subprocess.TimeoutExpired:
            raise FlashError(f"esptool was not done after {timeout_s} s (try: another cable)") from None
        if done.returncode:
            raise FlashError(explain(f"{done.stdout or ''}{done.stderr}", self._port))
        return done


def refuse_unless_fits(board, chip, found):
    """Raise FlashError where a firmware is for another chip, or needs more flash than this one has."""
    page = board.variants[0].url
    if found.chip != chip.name:
        made_for, this = firmware.chip_name(found.chip), firmware.chip_name(chip.name)
        raise FlashError(f"{found.path.name} is for the {made_for}, this is an {this} (try: a firmware from {page})")
    needed = firmware.flash_needed_kib(board, found)
    if chip.flash_kib is not None and needed > chip.flash_kib:
        raise FlashError(
            f"{found.path.name} needs {needed} KiB of flash, this board has {chip.flash_kib} KiB "
            f"(try: a firmware for less from {page})"
        )


def choose_board(chip, name):
    """Return the Board for a chip, or the one that is named; FlashError where that has another chip."""
    try:
        board = boards.load(name) if name else boards.for_chip(chip.name)
    except ValueError as error:
        raise FlashError(f"{error} (try: make flash BOARD=... with one of them)") from None
    if board.chip != chip.name:
        raise FlashError(f"{board.name} has an {board.chip}, this chip is an {chip.model} (try: leave out BOARD)")
    return board


def with_romfs(board, options):
    """Return the variant of a board's firmware that can hold the client; FlashError where there is none."""
    variant = next((variant for variant in board.variants if variant.romfs_at), None)
    if variant is None:
        raise FlashError(f"no firmware for {board.name} has room for the client (try: make flash, then make deploy)")
    wrong = options.variant not in (None, variant.name)
    if options.firmware:
        wrong = not fnmatch.fnmatch(options.firmware.name, variant.firmware)
    if wrong:
        raise FlashError(f"--with-client needs the variant {variant.name} (try: without another variant or FIRMWARE)")
    return variant


def client_image(board, variant, folder):
    """Return offset and file of the ROMFS with the client; FlashError where it is too large."""
    image, count = romfs.build(board.march, folder)
    size = image.stat().st_size
    if size > variant.romfs_kib * 1024:
        raise FlashError(f"the ROMFS has {variant.romfs_kib} KiB, the client needs {size} B (try: make deploy)")
    print(f"the client: {count} modules, {size} B of the ROMFS at {variant.romfs_at}")
    return variant.romfs_at, image


def greet(port, timeout_s):
    """Return how MicroPython on a port calls itself; FlashError where no prompt comes within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    said, late, seen = b"", b"", False
    while time.monotonic() < deadline:
        try:
            with serial.Serial(port, _REPL_BAUD, timeout=_LOOK_S, write_timeout=1, exclusive=True) as wire:
                seen = True
                while time.monotonic() < deadline:
                    wire.write(_INTERRUPT + _BANNER)
                    said = (said + wire.read(1024))[-8192:]
                    if found := re.search(rb"MicroPython (v[^;\r\n]+); ([^\r\n]+)", said):
                        return b"; ".join(found.groups()).decode(errors="replace")
                wire.baudrate, wire.timeout = _ROM_BAUD, _LISTEN_S
                late = wire.read(1024)
        except (OSError, serial.SerialException):  # a port that USB makes anew after the reset
            time.sleep(_LOOK_S)
    if not seen:
        raise FlashError(f"flashed, but {port} did not come back (try: plug the cable in again, then make repl)")
    resets = _RESET.findall(said + late)
    if len(resets) > 1 or _RESET.search(late):
        raise FlashError(
            f"flashed, but the board is in a boot loop, {resets[-1].decode()} "
            "(try: the firmware for its flash size, another power supply)"
        )
    raise FlashError(f"flashed, but no prompt on {port} within {timeout_s} s (try: press RST, then make repl)")


def flash(options, folder):
    """Do it all; print what happens. `folder` is for scratch files."""
    port = options.port or find_port()
    if port == "virtual":
        raise FlashError("the virtual board runs already and has no bootloader (try: make deploy PORT=virtual)")
    found = firmware.read(options.firmware, options.sha256) if options.firmware else None
    esptool = Esptool(port, options)
    chip = esptool.ask()
    size = f"{chip.flash_kib} KiB of flash" if chip.flash_kib is not None else "flash of unknown size"
    print(f"{port}: {chip.model}, {size}")
    board = choose_board(chip, options.board)
    holds_client = with_romfs(board, options) if options.with_client else None
    if found is None:
        variant = holds_client or firmware.choose(board, chip.flash_kib, options.variant)
        found = firmware.read(firmware.download(variant, options.version, options.url), options.sha256)
    refuse_unless_fits(board, chip, found)
    print(f"{found.path.name}: {found.size} B, MicroPython {found.version or 'of unknown version'}, for {board.name}")
    client = client_image(board, holds_client, folder) if holds_client else ()
    steps = esptool.steps(board, chip, found, options.baud, client)
    if options.dry_run:
        for command in steps:
            print("would run:", *command)
        return
    if options.no_stub and board.chip == "esp8266":
        print("the ESP8266's own loader erases only what it writes, files on the board stay; nor does it verify")
    esptool.write(steps)
    if options.after == "no-reset" or options.no_repl:
        print(f"flashed {board.name}; it was not asked for its version")
        return
    print(f"flashed {board.name}: MicroPython {greet(port, _REPL_TIMEOUT_S)}")


def main(argv=None):
    """Flash a board; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("firmware", nargs="?", type=Path, help="a .bin file (default: download one)")
    parser.add_argument("--port", default=os.environ.get("PORT"), help="serial port (default: the only one on USB)")
    parser.add_argument("--board", default=os.environ.get("BOARD"), help="official name (default: by the chip)")
    parser.add_argument("--sha256", help="of the firmware (default: what is in the file's .sha256, where there is one)")
    parser.add_argument("--version", help="MicroPython to download, as 1.25.0 (default: the newest)")
    parser.add_argument("--variant", help="firmware variant to download (default: by the flash size)")
    parser.add_argument(
        "--with-client", action="store_true",
        help="also the client, into the ROMFS of a firmware that has one: nothing to deploy, a third of the heap",
    )  # fmt: skip
    parser.add_argument("--url", help="page that links to firmware (default: the board's on micropython.org)")
    parser.add_argument("--baud", type=int, help="speed of writing (default: the board's)")
    parser.add_argument("--before", default="default-reset", choices=("default-reset", "usb-reset", "no-reset"))
    parser.add_argument(
        "--after", default="hard-reset", choices=("hard-reset", "soft-reset", "watchdog-reset", "no-reset")
    )
    parser.add_argument("--no-stub", action="store_true", help="speak to the chip's own loader only: slow, but simple")
    parser.add_argument("--no-repl", action="store_true", help="do not wait for the prompt")
    parser.add_argument("--dry-run", action="store_true", help="ask and check, but change nothing")
    options = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="flash-") as folder:
            flash(options, Path(folder))
    except (FlashError, firmware.FirmwareError, romfs.RomfsError, compiler.BuildError, rigs.RigMissing) as error:
        print(f"flash: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("flash: stopped, perhaps half-way (try: make flash again)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
