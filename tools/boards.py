"""List the boards that the tools know, or the firmware variants of one."""

import argparse
import sys

from common import boards, report, rigs


def _size(kib):
    return f"{kib} KiB" if kib % 1024 else f"{kib // 1024} MiB"


def _list_boards():
    header = ["board", "chip", "flash at", "heap", "machine code", "TLS", "MicroPython"]
    rows = [
        [
            board.name,
            board.chip,
            hex(board.flash.offset),
            f"{board.heap_kib} KiB",
            board.march or "none",
            f"{board.tls.library}, {'verifies' if board.tls.verifies else 'verifies nothing'}",
            f"{'.'.join(map(str, board.oldest))} and later",
        ]
        for board in map(boards.load, boards.names())
    ]
    print(report.aligned(header, rows))


def _list_variants(board):
    rows = [
        [variant.name or "(standard)", variant.firmware, _size(variant.flash_kib), variant.note]
        for variant in board.variants
    ]
    print(report.aligned(["variant", "firmware", "flash", "note"], rows))
    print(f"\nfrom {board.variants[0].url}, more in {(board.folder / 'board.md').relative_to(rigs.ROOT)}")


def main(argv=None):
    """List the boards; see --help."""
    parser = argparse.ArgumentParser(description="List the boards, or the firmware variants of one.")
    parser.add_argument("name", nargs="?", help="the official name of a board")
    options = parser.parse_args(argv)
    try:
        if options.name:
            _list_variants(boards.load(options.name))
        else:
            _list_boards()
    except ValueError as error:
        print(f"boards: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
