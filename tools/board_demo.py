"""Run the demo on a board: the client against an echo server on this computer, each event as it happens.

The client must be on the board (make deploy); on a virtual board it is put there where it is not. Also against any
echo server that is named: `make demo PORT=/dev/ttyUSB0 URL=ws://host:port/`.
"""

import argparse
import subprocess
import sys
import threading

import board_test
import build
import demo
import device
import rigs

_TARGET = f"/lib/{demo.PROGRAM.stem}.mpy"
_LONGEST_S = 600
_RUN = """
import gc, sys
gc.collect()
try:
    import {program}
    {program}.main(*{urls!r})
finally:
    sys.modules.pop({program!r}, None)
"""


class DemoError(RuntimeError):
    """The demo cannot run on this board; the text says why and what to do."""


def _play(board, urls):
    """Run the program on the board and show its lines; return whether every event came."""
    command = [str(device.MPREMOTE), "connect", board.port, "resume", "exec"]
    command.append(_RUN.format(program=demo.PROGRAM.stem, urls=urls))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as process:  # fmt: skip
        late = threading.Timer(_LONGEST_S, process.kill)
        late.start()
        last = ""
        try:
            for line in process.stdout:
                last = line.strip() or last
                print(line.rstrip(), flush=True)
        finally:
            late.cancel()
            process.kill()
    if process.returncode:
        raise DemoError(f"the board stopped: {last} (try: make board-test, which tells why)")
    return "FAILED: " not in last


def run(board, url=None, host=None):
    """Run the demo on `board`, a device.Device; return whether every event came."""
    tester = board_test.Tester(board, host)
    facts = board.facts()
    imported = board_test.import_client(tester)
    if fault := imported.get("missing") or imported.get("failed"):
        raise DemoError(f"the client is not on the board, or does not start: {fault} (try: make deploy)")
    host = tester.host(tester.ask("network"))
    if isinstance(host, board_test.Verdict):
        raise DemoError(str(host))
    folder = rigs.BUILD / "demo"
    build.build_folder([demo.PROGRAM], folder)
    print(f"{facts.machine}, MicroPython {facts.version_text}, heap {facts.heap / 1024:.0f} KiB")
    board.put(folder / f"{demo.PROGRAM.stem}.mpy", _TARGET)
    try:
        with demo.served(url, host) as urls:
            return _play(board, urls)
    finally:
        board.remove(_TARGET)


def main(argv=None):
    """Run the demo on a board; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="an echo server (default: one of its own on this computer)")
    device.add_port_argument(parser)
    parser.add_argument("--host", help="this computer's address, as the board sees it (default: found by itself)")
    options = parser.parse_args(argv)
    try:
        with device.opened(options.port, options.board) as board:
            good = run(board, options.url, options.host)
    except (DemoError, device.DeviceError, board_test.StepFailed, build.BuildError, rigs.RigMissing) as error:
        print(f"board_demo: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"board_demo: {error.strerror} (try: --host with an address of this computer)", file=sys.stderr)
        return 1
    if not good:
        print("board_demo: an event did not come, see above (try: make board-test, which tells why)", file=sys.stderr)
        return 1
    print("\neverything happened as it should")
    return 0


if __name__ == "__main__":
    sys.exit(main())
