"""Run the client on real MicroPython, in a heap as small as the ESP8266's, and show each event as it happens.

Against an echo server of its own on loopback, or any echo server that is named: `make demo URL=ws://host:port/`.
"""

import argparse
import contextlib
import socket
import subprocess
import sys

import build
import echo_server
import rigs

PROGRAM = rigs.ROOT / "tools" / "demo_program.py"
HEAPS = {"micropython32": "38k", "micropython64": "76k"}  # 64-bit objects take twice the room
_TIMEOUT_S = 180


def choose_rig():
    """Return the interpreter that is nearest to a board; RigMissing where there is none."""
    for name in HEAPS:
        if name not in rigs.missing():
            return name
    rigs.command("micropython64")
    raise rigs.RigMissing("MicroPython does not start here (try: make setup)")


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


def run(rig, urls):
    """Run the device program; return its exit code."""
    folder = rigs.BUILD / "demo"
    build.build_folder([*build.sources(), PROGRAM], folder)
    command = [*rigs.command(rig), "-X", f"heapsize={HEAPS[rig]}", "-m", PROGRAM.stem, *urls]
    # The modules lie in the working folder, as on a board.
    env = rigs.device_env(rig, built=True) | {"MICROPYPATH": ".frozen"}
    return subprocess.run(command, cwd=folder, env=env, timeout=_TIMEOUT_S, check=False).returncode


def describe(rig):
    """Return the line that says what runs where."""
    version = "import sys; print(sys.version.split('; ')[-1])"
    said = subprocess.run([*rigs.command(rig), "-c", version], capture_output=True, text=True, timeout=30, check=True)
    bits = "32-bit" if rig == "micropython32" else "64-bit (the 32-bit one is not here, so with twice the heap)"
    return f"{said.stdout.strip()}, {bits}, heap {HEAPS[rig][:-1]} KiB"


def main(argv=None):
    """Run the demo; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="an echo server (default: one of its own on loopback)")
    parser.add_argument("--on", choices=list(HEAPS), help="the interpreter (default: the 32-bit one where it is here)")
    options = parser.parse_args(argv)
    try:
        rig = options.on or choose_rig()
        print(describe(rig))
        with contextlib.ExitStack() as stack:
            code = run(rig, stack.enter_context(served(options.url)))
    except (rigs.RigMissing, build.BuildError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except subprocess.TimeoutExpired:
        print(
            f"demo: still running after {_TIMEOUT_S} s (try: make demo URL=... with a server that echoes)",
            file=sys.stderr,
        )
        return 1
    if code:
        print(f"demo: the program ended with {code}, see its last line (try: a server that echoes)", file=sys.stderr)
        return 1
    print("\neverything happened as it should")
    return 0


if __name__ == "__main__":
    sys.exit(main())
