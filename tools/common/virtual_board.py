"""Run a virtual board. Every tool but flash takes PORT=virtual: the board that runs here, else one for its time.

An ESP8266 is the virtual chip of virtual_esp8266.py, where that can be built. Every other board is a stand-in:
MicroPython for this computer on a pseudo-terminal, with the heap of a board and a folder as its flash. mpremote and a
terminal take its port for a board's: prompt, raw REPL, soft and hard reset, boot.py and main.py, machine.Timer,
network.WLAN.

On a stand-in with the 32-bit interpreter, whose objects are as large as a board's, timers tick at the idle prompt and
lost Wi-Fi ends sockets. The 64-bit one has twice the heap, ticks only while code runs, and keeps its sockets.
"""

import contextlib
import fcntl
import functools
import os
import pty
import select
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time
import tty
from pathlib import Path

from common import boards, compiler, install, rigs, virtual_esp8266, virtual_ports

STAND_INS = rigs.ROOT / "tools" / "programs" / "board"
FOLDER = rigs.BUILD / "board"
DEFAULT = "ESP8266_GENERIC"
CHIP = virtual_esp8266.VirtualESP8266.rig
VARIANTS = virtual_esp8266.build.VARIANTS  # of its firmware

# What the heap of an ESP32 grows to when it is needed (MicroPython 1.21 and later); here it cannot grow.
_GROWN_KIB = 109
SCALE = {"micropython32": 1, "micropython64": 2}  # 64-bit objects take twice the room
_RESET = b"\r\nrst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
_SOFT_RESET = b"MPY: soft reboot\r\n"
_RAW = b"raw REPL; CTRL-B to exit\r\n>"
_ENTER_RAW = b"\x03__import__('board_start').raw_repl()\r"
_WINDOW = 256  # of raw paste
_NOBODY_S = 1.0  # a host that reads nothing for so long is not there
_PROMPT_S = 1.0  # how long Ctrl-A waits for the program to end
_BOOT_LOOP_S = 0.1
_START_S = 10
_NOTICE_S = 1.0  # how long a board may take to notice that Wi-Fi has come or gone


BoardError = virtual_esp8266.ChipError  # a virtual board cannot run; the text says why and what to do


def _modules():
    """Compile the stand-ins; return their folder."""
    folder = FOLDER / "modules"
    compiler.build_folder(sorted(STAND_INS.glob("*.py")), folder)
    return folder


def _command(rig, heap, code):
    return [*rigs.command(rig), "-X", f"heapsize={heap}", "-i", "-c", code]


def _environment(folder):
    return {"MICROPYPATH": str(folder), "PATH": os.defpath}


@functools.cache
def _own_heap(rig, folder):
    """Return what the stand-ins take of the heap, which on a board lies in the firmware."""
    code = "__import__('board_start'); import gc; gc.collect(); print(gc.mem_alloc())"
    command = [*rigs.command(rig), "-c", code]
    done = subprocess.run(command, env=_environment(folder), capture_output=True, text=True, timeout=30, check=True)
    return int(done.stdout)


class _Raw:
    """The raw REPL's protocol, from the host's bytes to whole pieces of code."""

    def __init__(self, send):
        self._send = send
        self._line = bytearray()
        self._paste = False
        self._taken = 0

    def take(self, byte):
        """Take one byte; return code to run, b"" for a soft reset, False for Ctrl-B, else None."""
        if self._paste:
            return self._take_paste(byte)
        if byte == 0x01:
            if self._line == b"\x05A":
                self._send(b"R\x01" + struct.pack("<H", _WINDOW))
                self._paste, self._taken = True, 0
            else:
                self._send(_RAW)
        elif byte == 0x02:
            self._line.clear()
            return False
        elif byte == 0x04:
            code = bytes(self._line)
            self._line.clear()
            self._send(b"OK" if code else b"OK\r\n")
            return code
        elif byte != 0x03:
            self._line.append(byte)
            return None
        self._line.clear()
        return None

    def _take_paste(self, byte):
        if byte == 0x04:
            code = bytes(self._line)
            self._line.clear()
            self._paste = False
            self._send(b"\x04")
            return code or b"\n"
        self._line.append(byte)
        self._taken += 1
        if self._taken % _WINDOW == 0:
            self._send(b"\x01")
        return None


class _Interpreter:
    """One run of MicroPython, from a reset to the next."""

    def __init__(self, board, raw):
        commands, self.commands = os.pipe()
        self.steps, steps = os.pipe()
        code = "/" + os.path.relpath(board.code, board.flash)
        start = (f"__import__('board_start').start(globals(),{commands},{steps},{board.link},{code!r},"
                 f"{str(board.flash)!r},{board.flash_bytes},{raw},{board.starts_connected},"
                 f"{board.heap - board.heap_kib * 1024},{board.verifies})")  # fmt: skip
        self.process = subprocess.Popen(
            _command(board.rig, board.heap, start),
            cwd=board.flash,
            env=_environment(board.modules),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(commands, steps, board.link),
            bufsize=0,
        )
        os.close(commands)
        os.close(steps)
        os.set_blocking(self.process.stdout.fileno(), False)
        os.set_blocking(self.process.stdin.fileno(), False)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        os.close(self.commands)
        os.close(self.steps)

    def command(self, letter):
        """Tell the raw REPL to run the code file (x) or to end (any other)."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.commands, letter)

    def write(self, data):
        """Give the program or the prompt input; what finds no room is lost, as on a board."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            self.process.stdin.write(data)

    def read(self):
        """Return what was printed since, b"" at the end, None when nothing was."""
        try:
            return os.read(self.process.stdout.fileno(), 65536)
        except BlockingIOError:
            return None

    def _status(self):
        try:
            text = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return {}
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def catches(self, number):
        """Return whether the interpreter handles that signal."""
        return bool(int(self._status().get("SigCgt", "0"), 16) & 1 << number - 1)

    def catches_interrupts(self):
        """Return whether code runs that Ctrl-C interrupts: the interpreter then handles SIGINT."""
        return self.catches(signal.SIGINT)

    def at_prompt(self):
        """Return whether the prompt waits for input and has taken all there was."""
        left = struct.unpack("i", fcntl.ioctl(self.process.stdin.fileno(), termios.FIONREAD, b"\0" * 4))[0]
        return not left and self._status().get("State", "").startswith("S") and not self.catches_interrupts()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)


class VirtualBoard:
    """A board that runs in a thread from start() to close(); `port` is its serial device, `flash` its folder."""

    def __init__(self, name=DEFAULT, flash=None, *, wifi=True, flash_kib=None, boot_loop=False, rig=None):
        """Prepare a board.

        `flash`: the folder (default: build/board/<name>); `wifi`: begin connected, like a board whose boot.py does
        that; `flash_kib`: what the flash holds (default: no limit); `boot_loop`: a firmware that never gets to the
        prompt; `rig`: the interpreter (default: the 32-bit one where it is here).
        """
        self.name = name
        self.flash = Path(flash or FOLDER / name).resolve()
        self.flash_bytes = None if flash_kib is None else flash_kib * 1024
        self.starts_connected = wifi
        self.rig = rig or rigs.nearest_to_a_board()
        self.modules = _modules()
        data = boards.load(name)
        self.verifies = data.tls.verifies
        self.heap_kib = (_GROWN_KIB if data.platform == "esp32" else data.heap_kib) * SCALE[self.rig]
        self.heap = self.heap_kib * 1024 + _own_heap(self.rig, self.modules)
        self.port = None
        self._boot_loop = boot_loop
        self._interpreter = None
        self._asked = None  # "hard" or "stop", by another thread
        self._booted = threading.Event()

    def start(self):
        """Switch the board on; return when code runs."""
        self.flash.mkdir(parents=True, exist_ok=True)
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        tty.setraw(self._master)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._announced = contextlib.ExitStack()
        self._announced.enter_context(virtual_ports.announced(self.port, self.name))
        self._wake_end, self._wake = os.pipe()
        self._scratch = tempfile.TemporaryDirectory(prefix="board-")
        self.code = Path(self._scratch.name).resolve() / "code"
        self._reach = open(Path(self._scratch.name) / "reach", "wb+", buffering=0)
        self.link = self._reach.fileno()
        self.wifi(True)
        self._input = bytearray()
        self._somebody = True
        self._thread = threading.Thread(target=self._loop if self._boot_loop else self._run, daemon=True)
        self._thread.start()
        if not self._boot_loop and not self._booted.wait(_START_S):
            self.close()
            raise BoardError("MicroPython does not start here (try: make setup)")
        return self

    def close(self):
        """Switch the board off; its port vanishes, as a cable that is pulled."""
        if self.port is None:
            return
        self._ask("stop")
        self._thread.join()
        for descriptor in (self._master, self._slave, self._wake, self._wake_end):
            os.close(descriptor)
        self._reach.close()
        self._announced.close()
        self._scratch.cleanup()
        self.port = None

    unplug = close

    def reset(self):
        """Press the reset button."""
        self._ask("hard")

    def wifi(self, up):
        """Bring the Wi-Fi network into the board's reach, or out of it."""
        os.pwrite(self.link, b"1?" if up else b"0?", 0)
        deadline = time.monotonic() + _NOTICE_S
        while time.monotonic() < deadline:  # a signal that finds the interpreter's queue full is lost
            interpreter = self._interpreter
            if not interpreter or not interpreter.catches(signal.SIGURG):
                return
            interpreter.process.send_signal(signal.SIGURG)
            time.sleep(0.01)
            if os.pread(self.link, 1, 1) == b"!":
                return

    def _ask(self, what):
        self._asked = what
        os.write(self._wake, b"!")

    # ---- the thread

    def _send(self, data):
        """Send to the host; without anybody who reads it is lost."""
        data = bytes(data)
        while data:
            try:
                data = data[os.write(self._master, data) :]
                self._somebody = True
            except BlockingIOError:
                if not self._somebody:
                    return
                self._somebody = bool(select.select([], [self._master], [], _NOBODY_S)[1])

    def _loop(self):
        """Be a firmware that crashes before the prompt."""
        while self._asked != "stop":
            self._send(_RESET)
            readable = select.select([self._wake_end, self._master], [], [], _BOOT_LOOP_S)[0]
            if self._master in readable:
                os.read(self._master, 65536)

    def _run(self):
        raw = False
        while self._asked != "stop":
            session = _Session(self, raw)
            try:
                cause = session.run()
            finally:
                self._interpreter = None
                session.close()
            raw = session.raw and cause == "soft"
            if cause == "soft":
                self._send(_SOFT_RESET)
            elif cause == "hard":
                self._send(_RESET)


class _Session:
    """What happens on a board between two resets."""

    def __init__(self, board, raw):
        self.raw = raw
        self._board = board
        self._state = "boot"  # then "code" (main.py, the prompt), or "enter", "idle" and "execute" of the raw REPL
        self._interpreter = board._interpreter = _Interpreter(board, raw)
        self._last = b""
        self._protocol = _Raw(board._send)
        self._deadline = None  # how long input waits for the prompt

    def close(self):
        self._interpreter.close()

    def run(self):
        """Serve until the reset; return its cause."""
        board, interpreter = self._board, self._interpreter
        output = interpreter.process.stdout.fileno()
        while True:
            sources = [output, interpreter.steps, board._wake_end]
            if self._state != "boot":
                sources.append(board._master)
            waits = board._input and self._state in ("code", "execute")
            readable = select.select(sources, [], [], 0.005 if waits else None)[0]
            if board._wake_end in readable:
                os.read(board._wake_end, 1)
                cause, board._asked = board._asked, "stop" if board._asked == "stop" else None
                if cause:
                    return cause
            if interpreter.steps in readable and (cause := self._step()):
                return cause
            if output in readable and not self._print():
                return "soft" if interpreter.process.wait() >= 0 else "hard"
            if board._master in readable:
                with contextlib.suppress(BlockingIOError):
                    board._input += os.read(board._master, 65536)
            if self._state != "boot" and board._input and (cause := self._take_input()):
                return cause

    def _print(self):
        """Pass on what was printed; return whether the interpreter lives."""
        while (data := self._interpreter.read()) is not None:
            if not data:
                return False
            if self._state != "enter":
                self._board._send(data if self.raw else self._cooked(data))
        return True

    def _cooked(self, data):
        """End lines as a board's prompt does."""
        data = self._last + data
        cooked = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self._last, cooked = (b"\r", cooked[:-1]) if cooked.endswith(b"\r") else (b"", cooked)
        return cooked

    def _step(self):
        """Take what the interpreter tells, see board_start.py; return the cause of a reset."""
        step = os.read(self._interpreter.steps, 1)
        self._print()
        if step == b"b":
            self._state = "code"
            self._board._booted.set()
        elif step == b"w":
            self._board._send(b">" if self._state == "execute" else b"\r\n" + _RAW)
            self._state, self.raw = "idle", True
        elif step == b"h":
            return "hard"
        elif step == b"s":
            return "soft"
        return None

    def _take_input(self):
        """Take the host's bytes as far as it is time for them; return the cause of a reset."""
        data = self._board._input
        while data:
            if self._state == "idle":
                code = self._protocol.take(data.pop(0))
                if code == b"":
                    return "soft"
                if code is False:
                    self._state, self.raw = "code", False
                    self._interpreter.command(b"q")
                elif code is not None:
                    self._state = "execute"
                    self._board.code.write_bytes(code)
                    self._interpreter.command(b"x")
            elif self._state == "enter" or not self._take_byte(data):
                break
        return None

    def _take_byte(self, data):
        """Give a program or the prompt its next byte; return False when that has to wait."""
        if 0x03 in data and self._interpreter.catches_interrupts():
            del data[: data.rindex(0x03) + 1]
            self._interpreter.interrupt()
            self._deadline = time.monotonic() + _PROMPT_S
            return True
        # What follows Ctrl-C, and Ctrl-A, is for the prompt, unless the program goes on.
        at_prompt = True
        if data[0] == 0x01 or self._deadline:
            at_prompt = self._state == "code" and self._interpreter.at_prompt()
            self._deadline = self._deadline or time.monotonic() + _PROMPT_S
            if not at_prompt and time.monotonic() < self._deadline:
                return False
        self._deadline = None
        byte = data.pop(0)
        if byte == 0x01 and at_prompt:
            self._state = "enter"
            self._interpreter.write(_ENTER_RAW)
        else:
            self._interpreter.write(bytes([byte]))
        return True


def names():
    """Return the names of the virtual boards that have ever run here with a flash of their own."""
    return sorted(path.stem for path in FOLDER.glob("*.lock"))


def _lock_path(name):
    return FOLDER / f"{name}.lock"


@contextlib.contextmanager
def locked(name):
    """Keep the flash folder of that board for this process; gives the file that then names the port."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(_lock_path(name), "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BoardError(f"the virtual {name} runs already (try: PORT=virtual)") from None
        file.truncate(0)
        yield file


def best_rig(name):
    """Return what a virtual board of that name runs on: the virtual chip where there is one, else an interpreter.

    Where the chip cannot be had, that is said; in CI it is an error.
    """
    if boards.load(name).chip == "esp8266":
        try:
            rigs.need(CHIP)
        except rigs.RigMissing as error:
            if os.environ.get("CI") == "true":
                raise
            install.say(f"{error}; instead of the chip a stand-in runs")
        else:
            return CHIP
    return rigs.nearest_to_a_board()


def flash_of(name, rig):
    """Return the flash of its own of a virtual board: a file of the chip, a folder of a stand-in."""
    return FOLDER / (f"{name}.flash" if rig == CHIP else name)


def describe(board):
    """Return the line that says what a virtual board is."""
    flash = f"heap {board.heap_kib} KiB, flash {os.path.relpath(board.flash, rigs.ROOT)}"
    if board.rig == CHIP:
        return f"the ESP8266's own code in QEMU, MicroPython {board.firmware.version}, {flash}"
    return f"a stand-in for the chip: MicroPython for this computer ({board.rig}), {flash}"


def make(name=DEFAULT, flash=None, *, rig=None, **options):
    """Return a virtual board that is not on yet: a VirtualESP8266 with rig CHIP, else a VirtualBoard."""
    if rig == CHIP:
        return virtual_esp8266.VirtualESP8266(name, flash or flash_of(name, rig), **options)
    return VirtualBoard(name, flash, rig=rig, **options)


@contextlib.contextmanager
def running(name=DEFAULT, flash=None, **options):
    """Run a virtual board; a context manager that gives the VirtualBoard, or the VirtualESP8266 with rig CHIP.

    `flash`: its folder or file; by default the board's own, which lasts, and which one process at a time can have.
    `options`: see these classes.
    """
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context(locked(name)) if flash is None else None
        board = make(name, flash, **options).start()
        stack.callback(board.close)
        if lock:
            lock.write(board.port)
            lock.flush()
        yield board


def running_port(name=DEFAULT):
    """Return the port of the virtual board of that name that runs now, or None."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            with open(_lock_path(name)) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
        except FileNotFoundError:
            return None
        except BlockingIOError:
            if port := _lock_path(name).read_text():
                return port
            time.sleep(0.05)  # it is starting
    return None


def running_ports():
    """Return {name: port} of the virtual boards that run now with a flash of their own."""
    return {name: port for name in names() if (port := running_port(name))}


@contextlib.contextmanager
def joined(name=None):
    """Give the port of the virtual board of that name, which may run already, else for the time of the `with` block.

    Without a name: of the only one that runs, else of the default; BoardError where several run.
    """
    if name is None:
        found = list(running_ports())
        if len(found) > 1:
            raise BoardError(f"several virtual boards run: {', '.join(found)} (try: BOARD={found[0]})")
        name = found[0] if found else DEFAULT
    if port := running_port(name):
        yield port
        return
    with running(name, rig=best_rig(name)) as board:
        yield board.port
