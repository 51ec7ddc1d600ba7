"""Servers of others on loopback: ports, waiting for them, and ending them."""

import contextlib
import socket
import subprocess
import time

_ENDING_S = 5
_LOOK_S = 0.05


def free_port():
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(process, port, seconds):
    """Wait until a process listens on a port; return False where it has ended, or `seconds` have passed, before."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), _LOOK_S):
            return True
        time.sleep(_LOOK_S)
    return False


def end(process):
    """End a process that this program started, whatever it does."""
    process.terminate()
    try:
        process.wait(_ENDING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
