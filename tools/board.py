"""Run a virtual board, for mpremote, a terminal and, as PORT=virtual, for every tool but flash.

An ESP8266 is the chip's own code in QEMU (tools/virtual_esp8266), where that can be built. Every other board is a
stand-in, MicroPython for this computer with the heap of a board: tools/common/virtual_board.py says what it can and
what it cannot.
"""

import argparse
import os
import select
import shutil
import signal
import sys

from common import boards, compiler, rigs, virtual_board

_KEYS = """commands, each with Enter: w  Wi-Fi off and on   r  reset   q  end"""
_LOOK_S = 0.5


def _tell_crashes(board):
    """Print the fatal exceptions of the chip since the last call; a stand-in has none."""
    if board.rig == virtual_board.CHIP and (text := board.fatal_exception()):
        print(text, flush=True)


def _lines(board):
    """Give each line that is typed, as long as there is somebody to type; meanwhile tell crashes."""
    source, typed = sys.stdin.fileno(), b""
    while True:
        _tell_crashes(board)
        if select.select([source] if source is not None else [], [], [], _LOOK_S)[0]:
            data = os.read(source, 4096)
            *lines, typed = (typed + data).split(b"\n")
            yield from (line.decode(errors="replace").strip() for line in lines)
            source = source if data else None  # without a terminal: until a signal


def _serve(board):
    """Do what is typed, until q."""
    up = True
    for key in _lines(board):
        if key == "q":
            return
        if key == "r":
            board.reset()
            print("reset", flush=True)
        elif key == "w":
            up = not up
            board.wifi(up)
            print(f"Wi-Fi {'on' if up else 'off'}", flush=True)
        else:
            print(_KEYS, flush=True)


def _choices(options):
    """Return the options of the board that is asked for."""
    rig = options.on
    if rig is None:
        rig = rigs.nearest_to_a_board() if options.flash_kib else virtual_board.best_rig(options.board)
    choices = {"rig": rig, "wifi": not options.no_wifi}
    of_the_chip = {"icount": options.icount, "delay_ms": options.delay, "variant": options.variant}
    if rig == virtual_board.CHIP:
        if boards.load(options.board).chip != "esp8266":
            raise ValueError(f"{options.board} is no ESP8266 (try: without --on)")
        if options.flash_kib:
            raise ValueError("the virtual ESP8266 has 4096 KiB of flash (try: --flash-kib with --on micropython32)")
        return choices | {key: value for key, value in of_the_chip.items() if value is not None}
    if any(value is not None for value in of_the_chip.values()):
        raise ValueError(f"a stand-in on {rig} has no --icount, --delay, --variant (try: --board ESP8266_GENERIC)")
    return choices | {"flash_kib": options.flash_kib}


def main(argv=None):
    """Run a board until q or Ctrl-C; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", default=virtual_board.DEFAULT, help=f"whose heap (default: {virtual_board.DEFAULT})")
    rig_names = [virtual_board.CHIP, *virtual_board.SCALE]
    parser.add_argument("--on", choices=rig_names, help="what it runs on (default: the nearest to the board)")
    parser.add_argument("--flash-kib", type=int, help="what the flash of a stand-in holds (default: no limit)")
    parser.add_argument("--icount", type=int, metavar="N", help="an instruction takes 2**N ns: 4 is the chip's pace")
    parser.add_argument("--delay", type=float, metavar="MS", help="what a round trip over the network takes longer")
    parser.add_argument("--variant", choices=virtual_board.VARIANTS, help="of the chip's firmware (default: plain)")
    parser.add_argument("--no-wifi", action="store_true", help="begin without a connected station")
    parser.add_argument("--fresh", action="store_true", help="begin with an empty flash")
    parser.add_argument("--dry-run", action="store_true", help="only say what would run")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        boards.load(options.board)
        choices = _choices(options)
        if options.fresh and not options.dry_run:
            with virtual_board.locked(options.board):
                flash = virtual_board.flash_of(options.board, choices["rig"])
                shutil.rmtree(flash) if flash.is_dir() else flash.unlink(missing_ok=True)
        if options.dry_run:
            print(virtual_board.describe(virtual_board.make(options.board, **choices)))
            return 0
        with virtual_board.running(options.board, **choices) as board:
            print(f"virtual {board.name} on {board.port}, for any tool PORT=virtual")
            print(virtual_board.describe(board))
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
