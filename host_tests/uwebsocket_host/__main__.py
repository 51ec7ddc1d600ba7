"""Run a device program on this computer, unchanged, as `main.py` runs on a board.

On CPython its clients are served while it sleeps, and after it has ended, until all are closed: events arrive by
themselves, as on a board. MicroPython's unix port has no background: there the program calls poll().
"""

import argparse
import os
import runpy
import shlex
import shutil
import sys
from pathlib import Path

from uwebsocket_host import DEVICE, firmware
from uwebsocket_host.background import Background


def _run_on(command, program, arguments):
    """Become a MicroPython of the unix port that runs the program; return 1 where there is none."""
    name, *options = shlex.split(command) or [""]
    executable = shutil.which(name)
    if not executable:
        remedy = "--on with its path; in the project's folder make setup, then --on .venv/bin/micropython"
        print(f"uwebsocket_host: no MicroPython is called {name!r} (try: {remedy})", file=sys.stderr)
        return 1
    path = [str(DEVICE), *filter(None, [os.environ.get("MICROPYPATH")]), ".frozen"]
    environment = os.environ | {"MICROPYPATH": ":".join(path)}
    os.execve(executable, [executable, *options, str(program), *arguments], environment)


def main(argv=None):
    """Run a device program; see --help."""
    parser = argparse.ArgumentParser(prog="python -m uwebsocket_host", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--on", metavar="MICROPYTHON", help='not CPython: "micropython -X heapsize=38k"')
    parser.add_argument("program", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the program")
    options = parser.parse_args(argv)
    if not options.program.is_file():
        print(f"uwebsocket_host: {options.program} is no file (try: the path of a program)", file=sys.stderr)
        return 1
    if options.on is not None:
        return _run_on(options.on, options.program, options.arguments)
    firmware.install()
    background = Background()
    background.attach()
    sys.path.insert(0, str(options.program.resolve().parent))
    sys.argv = [str(options.program), *options.arguments]
    names = runpy.run_path(str(options.program), run_name="__main__")
    try:
        background.serve_all()
    except KeyboardInterrupt:
        return 130
    del names  # until here: the handlers use them
    return 0


if __name__ == "__main__":
    sys.exit(main())
