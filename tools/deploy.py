"""Put the client on a board: compile what it can load, copy what changed, check it, measure its heap."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import boards, compiler, deployment, payload, remote_board, rigs, virtual_board


def _deploy_all(options):
    """Deploy to every board that is connected, at the same time; return whether all of it was done."""
    found = [port.device for port in remote_board.serial_ports()] + list(virtual_board.running_ports().values())
    if not found:
        print("deploy: no board is connected (try: make ports)", file=sys.stderr)
        return False
    with ThreadPoolExecutor(len(found)) as threads:
        return all(list(threads.map(lambda port: deployment.deploy(port, options, f"{Path(port).name}: "), found)))


def _url(text):
    try:
        return payload.server_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(argv=None):
    """Put the client on a board; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    remote_board.add_port_argument(parser)
    parser.add_argument("--all", action="store_true", help="to every board that is connected, at the same time")
    parser.add_argument(
        "--wifi", nargs="?", type=Path, const=boards.WIFI, metavar="FILE",
        help="also boards/boot.py, with the network and its password in boards/wifi.json or FILE",
    )  # fmt: skip
    parser.add_argument("--example", choices=payload.example_names(), help="also an example, as main.py")
    parser.add_argument("--url", type=_url, help="the server that the example talks to")
    parser.add_argument(
        "--with", dest="extras", action="append", default=[], choices=sorted(compiler.EXTRAS),
        help="also an extra; without it, it is taken away",
    )  # fmt: skip
    parser.add_argument(
        "--file", action="append", type=Path, default=[], dest="files", metavar="FILE",
        help="also a file of yours, into the root: ca.pem, main.py; repeat for more",
    )  # fmt: skip
    parser.add_argument(
        "--lib", action="append", type=Path, default=[], dest="libs", metavar="FOLDER",
        help="also what a folder of yours holds, into /lib; repeat for more",
    )  # fmt: skip
    parser.add_argument("--romfs", action="store_true", help="into the ROMFS, where there is one: a third of the heap")
    parser.add_argument("--source", action="store_true", help="plain .py files, not compiled ones")
    parser.add_argument("--force", action="store_true", help="replace a boot.py, main.py or ROMFS of somebody else")
    parser.add_argument("--freeze", action="store_true", help="only print the line for a firmware's manifest.py")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be copied and removed")
    options = parser.parse_args(argv)
    if options.url and not options.example:
        parser.error("--url: only with --example")
    lacking = sorted(set(payload.needs(options.example) if options.example else ()) - set(options.extras))
    if lacking:
        parser.error(f"--example {options.example}: it needs an extra (try: --with {' --with '.join(lacking)})")
    if options.romfs and options.source:
        parser.error("--romfs: takes compiled files, not --source")
    if options.freeze:
        print(f'include("{rigs.DEVICE / "manifest.py"}")')
        return 0
    try:
        done = _deploy_all(options) if options.all else deployment.deploy(options.port, options)
    except KeyboardInterrupt:
        print("deploy: interrupted (try: make deploy again, which goes on from there)", file=sys.stderr)
        return 1
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
