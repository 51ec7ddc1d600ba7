"""The client on a virtual ESP8266, in each way that it can get there, and programs that run beside it.

    prepare("romfs", flash, programs=[path])
    with running("romfs", flash) as session:
        print(session.run("program", "ws://127.0.0.1:8080/"))

A way is "mpy" (compiled, in littlefs), "romfs" (in the ROMFS, executed in place) or "frozen" (a part of the firmware).
Programs are compiled too; without a way of their own they go where the client is, beside a frozen one into littlefs.
"""

import contextlib
import subprocess
import tempfile
from pathlib import Path

import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from common import compiler, rigs
from common.virtual_esp8266 import VirtualESP8266, make_flash

WAYS = {"mpy": "plain", "romfs": "romfs", "frozen": "client"}
ARCH = "xtensa"

_MPREMOTE = rigs.VENV / "bin" / "mpremote"
_PIECE = 512  # bytes of a file in one command
_TIMEOUT_S = 60
_BUILD_S = 60
_READ_S = 10  # a busy computer may let the chip wait
_CTRL_C = b"\x03"
_END = b"\x04"  # of what a program prints, and of its exception


class ProgramError(RuntimeError):
    """A program on the chip has raised an exception, or has not ended in time; the text is what it said last."""


class Session:
    """A raw REPL that stays open: programs run one after the other, each after a soft reset of its own."""

    def __init__(self, chip):
        self.chip = chip
        self._transport = SerialTransport(chip.port, timeout=_READ_S)  # for ever, otherwise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._transport.close()

    def fresh(self):
        """Begin with an empty heap, by a soft reset; nothing but boot.py has run."""
        try:
            self._transport.enter_raw_repl(soft_reset=True)
        except (TransportError, serial.SerialException) as error:
            self.chip.check()
            raise ProgramError(f"{error}\n{self.chip.last_lines()}") from error

    def exec(self, code, timeout_s=_TIMEOUT_S):
        """Run code after what ran before; return what it printed. `timeout_s`: the longest silence."""
        try:
            out, error = self._transport.exec_raw(code, timeout=timeout_s)
        except (TransportError, serial.SerialException) as failure:
            self.chip.check()
            raise ProgramError(f"{failure}\n{self.chip.last_lines()}") from failure
        self.chip.check()
        text = out.decode(errors="replace").replace("\r\n", "\n")
        if error:
            raise ProgramError(text + error.decode(errors="replace").replace("\r\n", "\n"))
        return text

    def stream(self, code, take):
        """Run code, and hand what it prints to take() as it comes, however long that takes; then begin with fresh()."""
        self._transport.exec_raw_no_follow(code)
        line = self._transport.serial
        error = None  # what comes after the first mark
        while error is None or _END not in error:
            came = line.read(line.in_waiting or 1)
            if not came:
                self.chip.check()
                if self.chip.is_off:
                    raise ProgramError(f"the chip has gone off\n{self.chip.last_lines()}")
            elif error is None:
                came, end, rest = came.partition(_END)
                take(came.replace(b"\r", b""))
                error = rest if end else None
            else:
                error += came
        self.chip.check()
        if text := error.partition(_END)[0]:
            raise ProgramError(text.decode(errors="replace").replace("\r\n", "\n"))

    def interrupt(self):
        """Press Ctrl-C."""
        self._transport.serial.write(_CTRL_C)

    @staticmethod
    def start_of(program, *arguments):
        """Return the code that starts a program (the name of its module) with arguments."""
        arguments = [program, *map(str, arguments)]
        return f"import sys\nsys.argv[:] = {arguments!r}\n__import__({program!r})"

    def run(self, program, *arguments, timeout_s=_TIMEOUT_S):
        """Run a program (the name of its module) with an empty heap; return what it printed."""
        self.fresh()
        return self.exec(self.start_of(program, *arguments), timeout_s)

    def copy(self, path, target):
        """Copy a file to the chip."""
        data = path.read_bytes()
        self.exec(f"file = open({target!r}, 'wb')")
        for start in range(0, len(data), _PIECE):
            self.exec(f"file.write({data[start : start + _PIECE]!r})")
        self.exec("file.close()")


def _romfs_image(folder):
    """Return the ROMFS image of what lies in a folder."""
    image = folder.parent / "romfs.img"
    command = [str(_MPREMOTE), "romfs", "--no-mpy", "--output", str(image), "build", str(folder)]
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=_BUILD_S, check=True)
    return image.read_bytes()


def prepare(way, flash, programs=(), masker=True, version=None):
    """Make the flash file of a chip that has the client in one of WAYS, and programs.

    `masker`: with masking in machine code; a frozen client has it in any case.
    """
    with tempfile.TemporaryDirectory() as scratch:
        lib = Path(scratch) / "rom" / "lib"
        client = [] if way == "frozen" else compiler.sources()
        files = compiler.build_folder([*client, *programs], lib)
        if masker and client:
            masker = (lib / compiler.MASKER).with_suffix(".mpy")
            compiler.compile_file(rigs.DEVICE / compiler.MASKER, masker, ARCH)
            files.append(masker)
        if way == "romfs":
            make_flash(flash, _romfs_image(lib.parent))
            return
        make_flash(flash)
        if files:
            with running(way, flash, version=version) as session:
                session.fresh()
                session.exec("import os\nos.mkdir('/lib')")
                for file in files:
                    session.copy(file, f"/lib/{file.name}")


@contextlib.contextmanager
def running(way, flash, **options):
    """Give a Session on a chip that has the client in one of WAYS; `options`: see VirtualESP8266."""
    with VirtualESP8266(flash=flash, variant=WAYS[way], **options) as chip, Session(chip) as session:
        yield session
