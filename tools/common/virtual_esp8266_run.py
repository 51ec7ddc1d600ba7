"""Run a program on the virtual ESP8266, which is an interpreter so: rigs.command("virtual-esp8266") starts this.

    virtual_esp8266_run [--version VERSION] [-X heapsize=2m] PROGRAM ARGUMENT...
    virtual_esp8266_run [--version VERSION] [-X heapsize=2m] -c CODE

The client, the program and the modules of its folder are compiled and in the ROMFS, and the heap has 38 KiB where no
other is asked for. What the program prints comes as it is printed, and Ctrl-C reaches it. Ends with 0, or with 1 after
an exception or a crash, which goes to stderr; the chip is switched off in any case.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from common import compiler, install, rigs, virtual_esp8266
from common.virtual_esp8266_client import ProgramError, prepare, running

_KIB = {"k": 1, "m": 1024}


def heap_kib(option):
    """Return the KiB of MicroPython's option "heapsize=38k"; ValueError where it is another one."""
    name, _, size = option.partition("=")
    if name != "heapsize" or size[-1:].lower() not in _KIB or not size[:-1].isdecimal():
        raise ValueError(option)
    return int(size[:-1]) * _KIB[size[-1].lower()]


def run(program, arguments, code, heap, version):
    """Run a program, or code, on a chip of its own, printing what it prints; ProgramError or FatalException."""
    out = sys.stdout.buffer

    def take(piece):
        out.write(piece)
        out.flush()

    # What building says is none of the program's.
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as scratch:
        flash = Path(scratch) / "flash"
        prepare("romfs", flash, sorted(program.parent.glob("*.py")) if program else ())
        with running("romfs", flash, heap_kib=heap, version=version) as session:
            session.fresh()
            signal.signal(signal.SIGINT, lambda *_: session.interrupt())  # for the program
            session.stream(code or session.start_of(program.stem, *arguments), take)


def _end(*_):
    sys.exit(1)


def main(argv=None):
    """Run the program; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", help="of MicroPython (default: the usual one)")
    parser.add_argument("-X", type=heap_kib, metavar="heapsize=SIZE", help="another heap than the chip's")
    parser.add_argument("-c", metavar="CODE", help="what to run instead of a program")
    parser.add_argument("program", nargs="?", type=Path, help="what to run")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    options = parser.parse_args(argv)
    if (options.c is None) == (options.program is None):
        parser.error("either a program or -c")
    signal.signal(signal.SIGTERM, _end)  # so that the chip is switched off
    try:
        run(options.program, options.arguments, options.c, options.X, options.version)
    except (ProgramError, virtual_esp8266.FatalException) as error:
        print(error, file=sys.stderr)
        return 1
    except (compiler.BuildError, install.InstallError, rigs.RigMissing, virtual_esp8266.ChipError) as error:
        print(f"{virtual_esp8266.VirtualESP8266.rig}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
