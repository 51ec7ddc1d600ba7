"""The virtual ESP8266: MicroPython's ESP8266 port on the chip's instruction set, in QEMU, behind a serial port.

    with VirtualESP8266() as board:
        board.run(["mpremote", "connect", board.port, "exec", "print(6 * 7)"])

It is a board to every tool: prompt, raw REPL, soft and hard reset, Timer, network.WLAN, a littlefs in a flash file that
lasts. From its programs this computer is 10.0.2.2, its 127.0.0.1 too. What it is and is not:
tools/virtual_esp8266/README.md.
"""

import bisect
import contextlib
import fcntl
import json
import os
import queue
import re
import shutil
import struct
import subprocess
import tempfile
import threading
import time
import tty
from pathlib import Path

from common import rigs, virtual_ports
from common import virtual_esp8266_build as build

NAME = "ESP8266_GENERIC"
HOST = "10.0.2.2"  # this computer, from the chip
FLASH_BYTES = 4 * 1024 * 1024
LARGEST_HEAP_KIB = 1024  # the port's garbage collector numbers blocks of 16 B in 16 bits
FLASH = rigs.BUILD / "board" / f"{NAME}.flash"

_ROMFS = (0xB0000, 0x100000)  # the partition in the flash file
_POWER_CUT = 3  # QEMU's exit status, flash.c
_START_S = 10
_ANSWER_S = 10
_QUIET_S = 0.5  # a program may run at boot that prints nothing
_FATAL = re.compile(r"Fatal exception (\d+)\((\w*)\):\s+epc1=(0x[0-9a-f]+),.*?excvaddr=(0x[0-9a-f]+).*?\n"
                    r"called from((?: 0x[0-9a-f]+)+)", re.DOTALL)  # fmt: skip


class ChipError(RuntimeError):
    """The virtual ESP8266 cannot run; the text says why and what to do."""


class FatalException(AssertionError):
    """The firmware stopped with a fatal exception: its cause and address by name, and the console's last lines."""


class _Symbols:
    """The names of addresses, from the list that nm has written."""

    def __init__(self, path):
        entries = []
        for line in path.read_text().splitlines():
            address, kind, name = line.split(maxsplit=2)
            if kind in "tT":
                entries.append((int(address, 16), name))
        self._addresses = [address for address, _ in entries]
        self._names = [name for _, name in entries]

    def name(self, address):
        """Return "function+0x12", or the address itself where there is no function."""
        index = bisect.bisect_right(self._addresses, address) - 1
        if index < 0 or not 0x40100000 <= address < 0x40300000:
            return hex(address)
        return f"{self._names[index]}+{address - self._addresses[index]:#x}"


class _Control:
    """QEMU's control channel: JSON, one object a line, on its standard input and output."""

    def __init__(self, process):
        self._process = process
        self._answers = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self._answers.get(timeout=_START_S)  # the greeting
        self.ask("qmp_capabilities")

    def _read(self):
        for line in self._process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                message = json.loads(line)
                if "event" not in message:
                    self._answers.put(message)
        self._answers.put(None)

    def ask(self, command, **arguments):
        """Run a command of QEMU's and return its result."""
        request = json.dumps({"execute": command, "arguments": arguments})
        try:
            self._process.stdin.write(request.encode() + b"\n")
            self._process.stdin.flush()
            answer = self._answers.get(timeout=_ANSWER_S)
        except (OSError, ValueError, queue.Empty):
            answer = None
        if answer is None:
            raise ChipError("the virtual ESP8266 is off (try: start)")
        if "error" in answer:
            raise ChipError(f"QEMU: {answer['error']['desc']}")
        return answer["return"]


def make_flash(path, romfs=None):
    """Make an erased flash file, with `romfs` (bytes) in the ROMFS partition where it is given."""
    image = bytearray(b"\xff") * FLASH_BYTES
    if romfs:
        start, end = _ROMFS
        if len(romfs) > end - start:
            raise ChipError(f"the ROMFS partition has {end - start} B, the image {len(romfs)} B")
        image[start : start + len(romfs)] = romfs
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image)


class VirtualESP8266:
    """A chip that runs from start() to close(); `port` is its serial device, `flash` the file of its flash."""

    heap_kib = 38
    rig = "virtual-esp8266"

    def __init__(self, name=NAME, flash=None, *, variant="plain", version=None, wifi=True, icount=None, delay_ms=0,
                 loss=0, pcap=None, heap_kib=None):  # fmt: skip
        """Prepare a chip, building what is missing (install.InstallError).

        `flash`: the file, made where it is not there (default: build/board/ESP8266_GENERIC.flash);
        `variant`, `version`: of the firmware, see virtual_esp8266_build.ensure; `wifi`: begin connected, like a board
        whose boot.py does that; `icount`: an instruction takes 2**icount ns of the chip's time (4: the chip's pace,
        roughly), None for as fast as it goes; `delay_ms`: what a round trip takes longer; `loss`: of 1000 frames each
        way so many are lost; `pcap`: a file for what goes over the network; `heap_kib`: another heap than the
        chip's, up to LARGEST_HEAP_KIB.
        """
        self.name = name
        self.flash = Path(flash or FLASH).resolve()
        self.firmware = build.ensure(variant, version)
        self.starts_connected = wifi
        self.port = None
        self._icount = icount
        self._delay_ms = delay_ms
        self._loss = loss
        self._pcap = pcap
        if heap_kib:
            if heap_kib > LARGEST_HEAP_KIB:
                raise ValueError(f"the virtual ESP8266 has room for a heap of {LARGEST_HEAP_KIB} KiB")
            self.heap_kib = heap_kib
        self._process = None
        self._symbols = None
        self._up = True
        self._seen = 0  # of the console: where the fatal exceptions that were told end

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    # ---- on and off

    def start(self):
        """Switch the chip on; return when it has started.

        QEMU ends with the thread that calls this, if not by close().
        """
        if shutil.which("setpriv") is None:
            raise ChipError("this machine has no setpriv (try: apt-get install util-linux)")
        if not self.flash.exists():
            make_flash(self.flash)
        with contextlib.ExitStack() as stack:
            self._lock = stack.enter_context(open(self.flash, "rb"))
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = f"the virtual ESP8266 with {self.flash.name} runs already (try: PORT=virtual)"
                raise ChipError(text) from None
            self._scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chip-")))
            self._power = self._scratch / "power"
            self._power.write_bytes(struct.pack("<II", 0, 0))
            self._log = self._scratch / "console"
            self._seen = 0
            # QEMU gets a terminal of ours: one that it makes has nobody on the other side for the first second.
            self._master, slave = os.openpty()
            stack.callback(os.close, self._master)
            stack.callback(os.close, slave)
            tty.setraw(slave)
            self.port = os.ttyname(slave)
            stack.enter_context(virtual_ports.announced(self.port, self.name))
            stack.callback(self._stop)
            self._start()
            self._open = stack.pop_all()
        return self

    def _command(self):
        def option(path):
            return str(path).replace(",", ",,")

        chip = [f"flash={option(self.flash)}", f"power={option(self._power)}", f"loss={self._loss}",
                f"station={int(self.starts_connected)}"]  # fmt: skip
        if self.heap_kib != VirtualESP8266.heap_kib:
            chip.append(f"heap={self.heap_kib}")
        command = ["setpriv", "--pdeathsig", "KILL", *self.firmware.qemu]
        command += ["-M", "lx60-nommu", "-cpu", "lx106", "-m", "16M", "-display", "none", "-S", "-nodefaults"]
        command += ["-chardev", "stdio,id=control,signal=off", "-mon", "chardev=control,mode=control"]
        command += ["-add-fd", f"fd={self._master},set=1"]
        command += ["-chardev", f"serial,id=uart,path=/dev/fdset/1,logfile={option(self._log)},logappend=on"]
        command += ["-serial", "chardev:uart"]
        command += ["-nic", "user,id=net,model=open_eth", "-kernel", str(self.firmware.elf)]
        command += ["-semihosting-config", ",".join(["enable=on", "arg=lx", *(f"arg={value}" for value in chip)])]
        if self._icount is not None:
            command += ["-icount", f"shift={self._icount}"]
        if self._delay_ms:
            command += ["-object", f"filter-buffer,id=delay,netdev=net,interval={round(self._delay_ms * 500)}"]
        if self._pcap:
            command += ["-object", f"filter-dump,id=dump,netdev=net,file={option(self._pcap)}"]
        return command

    def _start(self):
        errors = self._scratch / "errors"
        with open(errors, "wb") as file:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                pass_fds=[self._master],
                start_new_session=True,
            )
        try:
            self._control = _Control(self._process)
        except (queue.Empty, ChipError) as error:
            lines = errors.read_text(errors="replace").strip().splitlines() or [str(error)]
            raise ChipError(f"QEMU does not start: {lines[-1]} (try: make setup)") from None
        if not self._up:
            self._set_link()
        self._control.ask("cont")
        self._wait_for_prompt()

    def _wait_for_prompt(self):
        """Wait for the prompt, or for a program of the chip's to be silent for a while."""
        deadline = time.monotonic() + _START_S
        printed, since = "", time.monotonic()
        while not printed.endswith(">>> ") and time.monotonic() < min(deadline, since + _QUIET_S):
            if self._process.poll() is not None:
                return  # the power was cut, or the flash file cannot be opened
            time.sleep(0.005)
            if (console := self.console()) != printed:
                printed, since = console, time.monotonic()
        self.check()

    def _stop(self):
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process = self.port = None

    def close(self):
        """Switch the chip off; its port vanishes, as a cable that is pulled."""
        if self._process is not None:
            self._open.close()

    unplug = close

    def reset(self):
        """Press the reset button."""
        self._control.ask("system_reset")

    def wifi(self, up):
        """Bring the Wi-Fi network into the chip's reach, or out of it."""
        self._up = bool(up)
        if self._process is not None:
            self._set_link()

    def _set_link(self):
        self._control.ask("set_link", name="net", up=self._up)

    # ---- power failures

    @property
    def flash_writes(self):
        """How many writes and erases of flash there were since start()."""
        return struct.unpack("<II", self._power.read_bytes())[0]

    def cut_power_in(self, writes):
        """Let the power fail in the middle of a write or an erase: the next one is number 1."""
        with open(self._power, "r+b") as file:
            file.seek(4)
            file.write(struct.pack("<I", self.flash_writes + writes))

    def power_on(self):
        """Switch the chip on again after a power cut: same port, same flash."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._power.write_bytes(struct.pack("<II", 0, 0))
        self._start()

    @property
    def is_off(self):
        """Whether QEMU has ended: by close(), or because the power was cut."""
        return self._process is None or self._process.poll() is not None

    @property
    def power_was_cut(self):
        """Whether the chip is off because cut_power_in() has come true; power_on() switches it on again."""
        return self._process is not None and self._process.poll() == _POWER_CUT

    # ---- the console, and what crashed

    def console(self):
        """Return everything that the chip has printed since start()."""
        return self._log.read_text(errors="replace").replace("\r\n", "\n") if self._log.exists() else ""

    def last_lines(self, count=20):
        """Return the console's last lines."""
        return "\n".join(self.console().splitlines()[-count:])

    def fatal_exception(self):
        """Return the next fatal exception as text, None where there was none since the last call."""
        found = _FATAL.search(self.console(), self._seen)
        if not found:
            return None
        self._seen = found.end()
        cause, name, address, excvaddr, callers = found.groups()
        self._symbols = self._symbols or _Symbols(self.firmware.symbols)
        chain = [self._symbols.name(int(caller, 16)) for caller in callers.split()]
        return (f"Fatal exception {cause}({name}) in {self._symbols.name(int(address, 16))}, excvaddr={excvaddr}, "
                f"called from {', '.join(chain)}\n{self.last_lines()}")  # fmt: skip

    def check(self):
        """Raise FatalException if the firmware has crashed since the last look."""
        text = self.fatal_exception()
        if text:
            raise FatalException(text)

    def run(self, command, timeout=60, **options):
        """Run a command against the chip, as subprocess.run with its output as text.

        It is ended when the firmware crashes (FatalException) and when the power is cut.
        """
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
        deadline = time.monotonic() + timeout
        with subprocess.Popen(command, **options) as process:
            while True:
                try:
                    output, errors = process.communicate(timeout=0.1)
                except subprocess.TimeoutExpired:
                    pass
                else:
                    self.check()
                    return subprocess.CompletedProcess(command, process.returncode, output, errors)
                try:
                    self.check()
                    if self.is_off:
                        process.kill()
                    if time.monotonic() > deadline:
                        raise subprocess.TimeoutExpired(command, timeout, output=self.last_lines())
                except BaseException:
                    process.kill()
                    raise
