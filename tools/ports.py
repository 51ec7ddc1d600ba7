"""List the serial ports: what is behind each, and with --ask which MicroPython."""

import argparse
import sys
from dataclasses import dataclass

import board
import device
import report


@dataclass(frozen=True)
class Port:
    """A port where a board may be: its path, the USB ids "10c4:ea60" or "virtual", and what it calls itself."""

    path: str
    usb: str
    description: str


def found():
    """Return the ports of USB adapters and of chips with USB, then those of virtual boards that run."""
    real = [Port(port.device, f"{port.vid:04x}:{port.pid:04x}", port.description) for port in device.serial_ports()]
    running = [(name, board.running_port(name)) for name in board.names()]
    return real + [Port(path, "virtual", name) for name, path in running if path]


def answer(path):
    """Return what the board on a port runs, or why it does not say."""
    try:
        with device.opened(path) as one:
            facts = one.facts()
    except device.DeviceError as error:
        return str(error)
    return f"MicroPython {facts.version_text}, {facts.machine}"


def main(argv=None):
    """List the ports; see --help."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ask", action="store_true", help="ask each board what it runs, which ends its program")
    options = parser.parse_args(argv)
    ports = found()
    if not ports:
        print("ports: no board is connected (try: another USB cable, many only charge; or make board)", file=sys.stderr)
        return 1
    header = ["port", "USB", "what it is"] + ["answers"] * options.ask
    rows = [[port.path, port.usb, port.description] + ([answer(port.path)] if options.ask else []) for port in ports]
    print(report.aligned(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
