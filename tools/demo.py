"""Run the client on real MicroPython, in a heap as small as the ESP8266's, or on a board, and show each event.

Against an echo server of its own, or any echo server that is named: `make demo URL=ws://host:port/`. With a port it
runs on the board there, which must have the client (make deploy); a virtual board gets it where it has none.
"""

import argparse
import contextlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from common import board_tester, compiler, echo_server, remote_board, rigs, statuses

PROGRAM = rigs.ROOT / "tools" / "programs" / "demo" / "demo_program.py"
_TIMEOUT_S = 180
_BOARD_TIMEOUT_S = 600
_TARGET = f"/lib/{PROGRAM.stem}.mpy"
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
    """The demo cannot run, or an event did not come; the text says why and what to do."""


_FAILURES = (DemoError, remote_board.RemoteError, board_tester.StepFailed, compiler.BuildError, rigs.RigMissing)


@contextlib.contextmanager
def refused_url(host="127.0.0.1"):
    """Give the URL of a port that is taken, so that nobody can listen there."""
    with socket.socket() as sock:
        sock.bind((host, 0))
        yield "ws://{}:{}/".format(*sock.getsockname())


@contextlib.contextmanager
def served(url=None, host="127.0.0.1"):
    """Give the arguments of the program: those for the server at `url`, or for one of its own at `host`."""
    with contextlib.ExitStack() as stack:
        refused = stack.enter_context(refused_url(host))
        if url:
            urls = [url, refused]
            print(f"server: {url} (its close and fragments of its own are left out)")
        else:
            root = stack.enter_context(echo_server.running(host))
            urls = [root, refused, f"{root}fragments?size=100", f"{root}close?code=4001&reason=see%20you"]
            print(f"server: {root}")
        print(flush=True)
        yield urls


# ---- on this computer


def play_here(rig, urls):
    """Run the program on an interpreter of this computer; return its exit code and its last line."""
    command = [*rigs.command(rig), "-X", f"heapsize={rigs.HEAPS[rig]}", "-m", PROGRAM.stem, *urls]
    # The modules lie in the working folder, as on a board.
    env = rigs.device_env(rig, built=True) | {"MICROPYPATH": ".frozen"}
    with tempfile.TemporaryDirectory() as folder:
        compiler.build_folder([*compiler.sources(), PROGRAM], Path(folder))
        return _shown(command, _TIMEOUT_S, cwd=folder, env=env)


def _shown(command, seconds, **options):
    """Run a command and show its lines; return its exit code and the last line."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", **options) as process:  # fmt: skip
        late = threading.Timer(seconds, process.kill)
        late.start()
        last = ""
        try:
            for line in process.stdout:
                last = line.strip() or last
                print(line.rstrip(), flush=True)
        finally:
            late.cancel()
            process.kill()
    return process.returncode, last


def failure(last, remedy):
    """Return the DemoError for the line with which the program ended: by the status that "close" told, if it did."""
    what = last.partition("FAILED: ")[2] or last
    status = re.search(r'"close" told (-?\d+)', what)
    told = statuses.explain(int(status[1])) if status else None
    if told is None:
        return DemoError(f"{what} (try: {remedy})")
    return DemoError(f"{status[1]}: {told[0]} (try: {told[1] or remedy})")


def run_here(rig, url=None):
    """Run the demo on an interpreter of this computer; DemoError where not every event came."""
    rig = rig or rigs.nearest_to_a_board()
    print(rigs.describe(rig))
    with served(url) as urls:
        code, last = play_here(rig, urls)
    if code < 0:
        raise DemoError(f"still running after {_TIMEOUT_S} s (try: make demo URL=... with a server that echoes)")
    if code:
        raise failure(last, "a server that echoes")


# ---- on a board


def _play(board, urls):
    """Run the program on the board and show its lines; DemoError where not every event came."""
    code, last = _shown(board.command("exec", _RUN.format(program=PROGRAM.stem, urls=urls)), _BOARD_TIMEOUT_S)
    if code:
        raise DemoError(f"the board stopped: {last} (try: make board-test, which tells why)")
    if "FAILED: " in last:
        raise failure(last, "make board-test, which tells why")


def run_on_board(board, url=None, host=None):
    """Run the demo on `board`, a remote_board.RemoteBoard; DemoError where not every event came."""
    tester = board_tester.Tester(board, host)
    facts = board.facts()
    imported = board_tester.import_client(tester)
    if fault := imported.get("missing") or imported.get("failed"):
        raise DemoError(f"the client is not on the board, or does not start: {fault} (try: make deploy)")
    host = tester.host(tester.ask("network"))
    if isinstance(host, board_tester.Verdict):
        raise DemoError(str(host))
    print(f"{facts.machine}, MicroPython {facts.version_text}, heap {facts.heap / 1024:.0f} KiB")
    with tempfile.TemporaryDirectory() as folder:
        (program,) = compiler.build_folder([PROGRAM], Path(folder))
        board.put(program, _TARGET)
    try:
        with served(url, host) as urls:
            _play(board, urls)
    finally:
        board.remove(_TARGET)


def main(argv=None):
    """Run the demo; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="an echo server (default: one of its own on this computer)")
    parser.add_argument(
        "--on", choices=list(rigs.HEAPS), help="the interpreter (default: the 32-bit one if it is here)"
    )
    remote_board.add_port_argument(parser, "run on the board at this serial port, or: virtual (default: PORT, if set)")
    parser.add_argument("--host", help="this computer's address, as the board sees it (default: found by itself)")
    options = parser.parse_args(argv)
    try:
        if options.port:
            with remote_board.opened(options.port, options.board) as board, board_tester.without_main(board):
                run_on_board(board, options.url, options.host)
        else:
            run_here(options.on, options.url)
    except _FAILURES as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if not options.port:
            raise
        print(f"demo: {error.strerror} (try: --host with an address of this computer)", file=sys.stderr)
        return 1
    print("\neverything happened as it should")
    return 0


if __name__ == "__main__":
    sys.exit(main())
