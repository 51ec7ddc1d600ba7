"""List the serial ports: what is behind each, and with --ask which MicroPython."""

import argparse
import sys

from common import remote_board, report


def answer(path):
    """Return what the board on a port runs, or why it does not say."""
    try:
        with remote_board.opened(path) as one:
            facts = one.facts()
    except remote_board.RemoteError as error:
        return str(error)
    return f"MicroPython {facts.version_text}, {facts.machine}"


def main(argv=None):
    """List the ports; see --help."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ask", action="store_true", help="ask each board what it runs, which ends its program")
    options = parser.parse_args(argv)
    ports = remote_board.found()
    if not ports:
        print("ports: no board is connected (try: another USB cable, many only charge; or make board)", file=sys.stderr)
        return 1
    header = ["port", "USB", "what it is"] + ["answers"] * options.ask
    rows = [[port.path, port.usb, port.description] + ([answer(port.path)] if options.ask else []) for port in ports]
    print(report.aligned(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
