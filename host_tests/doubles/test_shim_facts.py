"""The shim against real MicroPython: the same program of socket facts must tell the same on both."""

import ast
import socket
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

from common import rigs

PROGRAM = Path(__file__).resolve().parents[1] / "upy" / "socket_facts.py"

FACTS = {
    "address_family": [2, 10],
    "close_with_unread_data": "error 104",
    "closed_socket": ([32], "error 9", "error 9"),
    "connect_in_progress": ("error 115", 4),
    "connect_second": "error 106",
    "connect_tuple": "TypeError",
    "end": [5, 3, 5, b"", b"", 0, b"", b"", 1],
    "full_buffer": (True, None, "error 11", 0),
    "new_socket_polls": (20, 16),
    "new_socket_transfers": ("error 107", "error 32"),
    "no_buffer": ["TypeError"] * 3,
    "nothing_to_read": (None, None, None, None, "error 11", 4, 0),
    "options": ("TypeError", None, "error 22"),
    "os_error": ((104,), True),
    "part_to_read": (5, 2, b"ab\0\0\0\0\0\0", b"c", b""),
    "poll_set": ["error 2", None, None, [], 0, None, 4, None, [(True, 4)], 0, None, None, 0],
    "readline": (b"one\n", b"tw", b"o\n", b"thr", None),
    "refused": ["error 115", 29, "error 111", b"", "error 32", 21],
    "reset_after_data": [29, 25, 2, "error 104", 21, b"", "error 32"],
    "reset_then_recv": (b"abc", "error 104", b""),
    "reset_then_write": ("error 104", 21, "error 32", b""),
    "schedule": ["full", "outer done", 0, 1, 2, 3],
    "ticks": [4, 6, -6, "OverflowError", "OverflowError", 536870913, True],
    "timeout": ["error 110", "error 110", "error 11", "error 110", None],
    "unknown_host": "error [addrinfo error -2]",
    "write_forms": ((2, 2, 0, 2, 0, 3, 1), b"abbc\xc3\xa9xyzs"),
}

# The 64-bit interpreter's ticks wrap at 2**62, the boards' and the 32-bit one's at 2**30.
DIFFERENT = {("micropython64", "ticks")}


def free_ports(count):
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@lru_cache
def told_by(interpreter):
    """Run the program on an interpreter and return {fact: value}."""
    ports = [str(port) for port in free_ports(2)]
    ran = subprocess.run(
        [*rigs.command(interpreter), str(PROGRAM), *ports],
        env=rigs.device_env(interpreter),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return {
        name: ast.literal_eval(value) for name, _, value in (line.partition(": ") for line in ran.stdout.splitlines())
    }


@pytest.mark.parametrize("interpreter", rigs.INTERPRETERS)
def test_facts_told_by_each_interpreter_are_all_in_the_table(interpreter):
    assert sorted(told_by(interpreter)) == sorted(FACTS)


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("interpreter", rigs.INTERPRETERS)
def test_fact_told_by_each_interpreter_is_the_same(interpreter, fact):
    assert (told_by(interpreter)[fact] == FACTS[fact]) is ((interpreter, fact) not in DIFFERENT)
