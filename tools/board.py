"""Run a virtual board: real MicroPython on a pseudo-terminal, with the heap of a board and a folder as its flash.

mpremote and a terminal take its port for a board's. Every tool but flash takes PORT=virtual: the board that runs here,
else one for its time. tools/common/virtual_board.py says what it can and what it cannot.
"""

import argparse
import os
import shutil
import signal
import sys

from common import boards, compiler, rigs, virtual_board

_KEYS = """commands, each with Enter: w  Wi-Fi off and on   r  reset   q  end"""


def _serve(board):
    """Do what is typed, until the end of the input or q."""
    up = True
    for line in sys.stdin:
        key = line.strip()
        if key == "q":
            return
        if key == "r":
            board.reset()
            print("reset")
        elif key == "w":
            up = not up
            board.wifi(up)
            print(f"Wi-Fi {'on' if up else 'off'}")
        else:
            print(_KEYS)
    signal.pause()  # without a terminal: until a signal


def main(argv=None):
    """Run a board until q or Ctrl-C; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", default=virtual_board.DEFAULT, help=f"whose heap (default: {virtual_board.DEFAULT})")
    parser.add_argument(
        "--on", choices=list(virtual_board.SCALE), help="the interpreter (default: the 32-bit one if it is here)"
    )
    parser.add_argument("--flash-kib", type=int, help="what the flash holds (default: no limit)")
    parser.add_argument("--no-wifi", action="store_true", help="begin without a connected station")
    parser.add_argument("--fresh", action="store_true", help="begin with an empty flash")
    parser.add_argument("--dry-run", action="store_true", help="only say what would run")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        boards.load(options.board)
        flash = virtual_board.FOLDER / options.board
        if options.fresh and not options.dry_run:
            with virtual_board.locked(options.board):
                shutil.rmtree(flash, ignore_errors=True)
        choices = {"wifi": not options.no_wifi, "flash_kib": options.flash_kib, "rig": options.on}
        if options.dry_run:
            board = virtual_board.VirtualBoard(options.board, **choices)
            print(f"{board.rig}, heap {board.heap_kib} KiB, flash {os.path.relpath(board.flash, rigs.ROOT)}")
            return 0
        with virtual_board.running(options.board, **choices) as board:
            print(f"virtual {board.name} on {board.port}, for any tool PORT=virtual")
            print(f"{board.rig}, heap {board.heap_kib} KiB, flash {os.path.relpath(board.flash, rigs.ROOT)}")
            print(_KEYS, flush=True)
            _serve(board)
    except KeyboardInterrupt:
        pass
    except (virtual_board.BoardError, ValueError, compiler.BuildError, rigs.RigMissing) as error:
        remedy = "" if "(try: " in str(error) else " (try: make boards)"
        print(f"board: {error}{remedy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
