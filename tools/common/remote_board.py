"""A board behind mpremote, real or virtual: run code on it, look at its files, and say plainly why that fails.

    with device.opened("/dev/ttyUSB0") as board:
        print(board.facts().version_text, board.exec("print(6 * 7)"))

No call resets the board unless it says so.
"""

import ast
import contextlib
import fcntl
import grp
import os
import re
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import serial
from serial.tools import list_ports

from common import boards, compiler, rigs, virtual_board, virtual_ports

VIRTUAL = "virtual"
BAUD = 115200
MPREMOTE = rigs.VENV / "bin" / "mpremote"

_ANSWER_S = 13  # mpremote itself gives a silent board 10
_BOOT_S = 4  # until a chip that has just been reset hears what it is sent
_LISTEN_S = 1.5  # to a board that does not answer
_RESET_S = 0.3  # mpremote lets the board wait 0.1 s before it resets; to speak to it earlier stops that
_RETURN_S = 10  # for a chip's own USB port to come back after a reset
_NO_ANSWER = "does not answer (try: its reset button, another cable, then make repl)"
_MARCHES = (None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin",
            "rv32imc", "rv64imc")  # fmt: skip

_FACTS = """\
import gc, sys
gc.collect()
print((sys.platform, getattr(sys.implementation, "_machine", sys.platform), sys.implementation.version[:3],
       sys.version.split("MicroPython ")[-1], getattr(sys.implementation, "_mpy", 0),
       gc.mem_alloc() + gc.mem_free() - getattr(sys.modules.get("board_start"), "stand_ins_heap", 0), gc.mem_free()))
"""

_FILES = """\
def _files(folder):
    import binascii, hashlib, os
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return
    piece = bytearray(256)
    for entry in entries:
        if entry[1] == 0x8000:
            digest = hashlib.sha256()
            with open(folder + "/" + entry[0], "rb") as file:
                while True:
                    count = file.readinto(piece)
                    if not count:
                        break
                    digest.update(memoryview(piece)[:count])
                size = file.tell()
            print((entry[0], size, binascii.hexlify(digest.digest()).decode()))
_files({!r})
del _files
"""


class RemoteError(RuntimeError):
    """Something with a board has failed; the text says what, and ends in the remedy."""


@dataclass(frozen=True)
class Facts:
    """What a board runs: `mpy` is the version and sub-version of the .mpy that it loads and the architecture, or None.

    `heap` and `free` are bytes, `march` is the architecture for mpy-cross, None where machine code cannot be loaded.
    """

    platform: str
    machine: str
    version: tuple[int, int, int]
    version_text: str
    mpy: tuple[int, int, str | None] | None
    march: str | None
    heap: int
    free: int


@dataclass(frozen=True)
class Port:
    """A port where a board may be: its path, the USB ids "10c4:ea60" or "virtual", and what it calls itself."""

    path: str
    usb: str
    description: str


def serial_ports():
    """Return what pyserial tells of the serial ports with something behind them: those of USB adapters and chips."""
    return sorted((port for port in list_ports.comports() if port.vid is not None), key=lambda port: port.device)


def found():
    """Return the ports of USB adapters and of chips with USB, then those of virtual boards that run."""
    real = [Port(port.device, f"{port.vid:04x}:{port.pid:04x}", port.description) for port in serial_ports()]
    return real + [Port(path, "virtual", name) for name, path in virtual_board.running_ports().items()]


def _only_port(board):
    """Return the port of the only board that is connected, or else of the virtual board that runs.

    `board`: the name that a virtual one must have, None for any.
    """
    ports = [port.device for port in serial_ports()]
    if len(ports) > 1:
        raise RemoteError(f"several boards are connected: {', '.join(ports)} (try: PORT={ports[0]})")
    if ports:
        return ports[0]
    running = virtual_board.running_ports()
    if not running:
        raise RemoteError("no board is connected (try: its USB cable, make ports, or PORT=virtual)")
    if board and board not in running:
        raise RemoteError(
            f"what runs is the virtual {', '.join(running)}, no {board} (try: PORT=virtual BOARD={board})"
        )
    if not board and len(running) > 1:
        raise RemoteError(f"several virtual boards run: {', '.join(running)} (try: BOARD={next(iter(running))})")
    return running[board or next(iter(running))]


def check_port(port):
    """Raise RemoteError if `port` cannot be opened at all."""
    try:
        status = os.stat(port)
    except OSError:
        raise RemoteError(f"no board on {port} (try: make ports)") from None
    if not stat.S_ISCHR(status.st_mode):
        raise RemoteError(f"{port} is no serial port (try: make ports)")
    if not os.access(port, os.R_OK | os.W_OK):
        try:
            group = grp.getgrgid(status.st_gid).gr_name
        except KeyError:
            group = str(status.st_gid)
        raise RemoteError(f"no permission for {port} (try: sudo usermod -a -G {group} $USER, then log in again)")


def check_free(port):
    """Raise RemoteError if another program has `port` for itself."""
    try:
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        raise _in_use(port) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _in_use(port) from None
    finally:
        os.close(descriptor)


def _in_use(port):
    return RemoteError(f"{port} is in use (try: end what has it open: a terminal, another tool)")


@contextlib.contextmanager
def opened(port, board=None):
    """Give the RemoteBoard on `port`.

    `port`: a serial device; "virtual" for the virtual board, whose name `board` may say; None for the only board that
    is connected. With a name, any other board is refused as soon as it tells what it is.
    """
    with contextlib.ExitStack() as stack:
        if port == VIRTUAL:
            try:
                port = stack.enter_context(virtual_board.joined(board))
            except ValueError as error:
                raise RemoteError(f"{error} (try: make boards)") from None
            except (virtual_board.BoardError, compiler.BuildError, rigs.RigMissing) as error:
                raise RemoteError(str(error)) from None
        port = port or _only_port(board)
        check_port(port)
        yield RemoteBoard(port, board)


class RemoteBoard:
    """A board on a serial port; `wanted` is the name that it must have, None for any."""

    def __init__(self, port, wanted=None):
        self.port = port
        self._name = virtual_ports.board_behind(port)
        self.virtual = self._name is not None
        self._wanted = wanted
        self._answered = False

    def command(self, *arguments):
        """Return the command that runs mpremote with `arguments` on this board, without a soft reset."""
        return [str(MPREMOTE), "connect", self.port, "resume", *arguments]

    def greet(self):
        """Raise RemoteError, within seconds, unless the board answers or has done so before.

        One that was just reset does not hear what it is sent while it boots, so it is asked twice.
        """
        if self._answered:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._answered = not self._start(["exec", ""], _BOOT_S).returncode
        if not self._answered:
            self._run(["exec", ""], _ANSWER_S, _NO_ANSWER)
            self._answered = True

    def mpremote(self, *arguments, timeout_s=60):
        """Run mpremote with `arguments`, without a soft reset; return what it printed, or raise RemoteError."""
        self.greet()
        return self._run(arguments, timeout_s, f"has not finished within {timeout_s} s (try: its reset button)")

    def _run(self, arguments, timeout_s, late):
        try:
            done = self._start(arguments, timeout_s)
        except subprocess.TimeoutExpired:
            raise self._silence(late) from None
        output = done.stdout.decode(errors="replace").replace("\r\n", "\n")
        if done.returncode:
            raise self._failure(output)
        return output

    def _start(self, arguments, timeout_s):
        """Run mpremote and return what became of it; subprocess.TimeoutExpired where it takes longer."""
        try:
            return subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=timeout_s, check=False)  # fmt: skip
        except FileNotFoundError:
            raise RemoteError("mpremote is not here (try: make setup)") from None

    def exec(self, code, *, timeout_s=60):
        """Run `code` in the board's __main__; return what it printed. An exception there becomes a RemoteError."""
        return self.mpremote("exec", code, timeout_s=timeout_s)

    def facts(self):
        """Ask the board what it is and runs."""
        try:
            platform, machine, version, text, mpy, heap, free = ast.literal_eval(self.exec(_FACTS).splitlines()[-1])
        except (ValueError, SyntaxError, IndexError):
            raise RemoteError(f"the board on {self.port} does not run MicroPython (try: make flash)") from None
        march = _MARCHES[mpy >> 10] if mpy >> 10 < len(_MARCHES) else None
        loads = (mpy & 0xFF, mpy >> 8 & 3, march) if mpy else None
        self._check_name(platform, machine)
        return Facts(platform, machine, version, text, loads, march, heap, free)

    def _check_name(self, platform, machine):
        """Raise RemoteError where this is another board than the one that is wanted."""
        if not self._wanted or self._name == self._wanted:
            return
        try:
            wanted = boards.load(self._wanted)
            found = self._name or boards.for_machine(machine).name
        except ValueError as error:
            if "is called" in str(error):
                raise RemoteError(f"{error} (try: make boards)") from None
            found = platform if platform != wanted.platform else self._wanted
        if found != self._wanted:
            raise RemoteError(f"the board on {self.port} is an {found}, no {self._wanted} (try: without BOARD)")

    def files(self, folder="/"):
        """Return {name: (size, SHA-256 in hex)} of the files in a folder, {} if there is no such folder."""
        lines = self.exec(_FILES.format(folder.rstrip("/"))).splitlines()
        told = [ast.literal_eval(line) for line in lines if line.startswith("('")]  # the background may print as well
        return {name: (size, digest) for name, size, digest in told}

    def put(self, source, target):
        """Copy a local file to the absolute path `target` of the board."""
        self.mpremote("cp", str(Path(source)), f":{target}")

    def remove(self, path):
        """Remove a file of the board."""
        self.mpremote("rm", f":{path}")

    def hard_reset(self):
        """Restart the board as its reset button does, so that its main.py runs; it is not waited for."""
        self.mpremote("reset")
        time.sleep(_RESET_S)
        deadline = time.monotonic() + _RETURN_S
        while not os.path.exists(self.port):  # a chip's own USB goes and comes
            if time.monotonic() > deadline:
                raise self._gone()
            time.sleep(0.1)

    # ---- what a failure means

    def _failure(self, output):
        """Return the RemoteError for what mpremote printed."""
        text = output.strip()
        last = text.splitlines()[-1].removeprefix("mpremote: ") if text else "mpremote has failed"
        if not os.path.exists(self.port):
            return self._gone()
        if "failed to access" in text:
            try:
                check_port(self.port)
            except RemoteError as error:
                return error
            return _in_use(self.port)
        if re.search(r"No space left on device|\[Errno 28\]|OSError: 28\b|ENOSPC", text):
            return RemoteError(f"the flash of the board on {self.port} is full (try: {self._by_hand('rm :FILE')})")
        if re.search(r"SerialException|termios\.error|Input/output error|device disconnected", text):
            return self._gone()
        if "raw repl" in text or "timeout waiting" in text:
            return self._silence(_NO_ANSWER)
        if "MemoryError" in last:
            return RemoteError(f"the board on {self.port} has no memory left: {last} (try: its reset button)")
        return RemoteError(f"the board on {self.port} says: {last} (try: make doctor)")

    def _gone(self):
        if self._answered:
            return RemoteError(f"the board on {self.port} is gone (try: its USB cable, then the same again)")
        return RemoteError(f"no board on {self.port} (try: make ports)")

    def _silence(self, otherwise):
        """Return the RemoteError for a board that did not answer, by what it says unasked, or `otherwise`."""
        heard = b""
        try:
            with serial.Serial(self.port, BAUD, timeout=0.1, exclusive=True) as line:
                deadline = time.monotonic() + _LISTEN_S
                while time.monotonic() < deadline:
                    heard += line.read(4096)
        except (OSError, serial.SerialException):
            return self._gone()
        # The ESP8266's ROM speaks at 74880 baud, which arrives as rubbish.
        rubbish = len(re.findall(rb"[^\t\r\n -~]", heard))
        if len(re.findall(rb"rst cause:|rst:0x", heard)) > 1 or rubbish > 16:
            return RemoteError(f"the board on {self.port} starts again and again (try: make flash)")
        return RemoteError(f"the board on {self.port} {otherwise}")

    def _by_hand(self, command):
        return f"{MPREMOTE.relative_to(rigs.ROOT)} connect {self.port} {command}"


def restart(board):
    """Restart a board as its reset button does, and interrupt its main.py."""
    board.hard_reset()
    if not board.virtual:
        time.sleep(_BOOT_S)
    try:
        board.exec("pass")
    except RemoteError:  # Ctrl-C met boot.py, and main.py came after it
        board.exec("pass")


def add_port_argument(parser, port_help=None):
    """Give a tool's parser --port and --board; without them the environment's PORT and BOARD count."""
    parser.add_argument(
        "--port",
        default=os.environ.get("PORT") or None,
        help=port_help or "serial port of the board, or: virtual (default: PORT, else the only board connected)",
    )
    parser.add_argument(
        "--board",
        default=os.environ.get("BOARD") or None,
        help="which board a virtual one is (default: BOARD, else ESP8266_GENERIC)",
    )
