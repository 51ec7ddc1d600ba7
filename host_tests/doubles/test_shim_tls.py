"""The shim's `tls` against real mbedTLS: the same program of facts must tell the same on both."""

import ast
import subprocess
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

import pytest

from common import rigs
from servers import tls
from servers.steps import Fin, Listen, Raw

PROGRAM = Path(__file__).resolve().parents[1] / "upy" / "tls_facts.py"

FACTS = {
    "close_notify": (b"", None, None),
    "defaults": (True, "ValueError"),
    "fin": (b"", b""),
    "fin_within_handshake": "error -29312",
    "forms": ((5, 6, 13, 4, 5, b"56789\0\0\0\0\0\0\0", None), False, False, True),
    "garbage": ("error", True, 32),
    "handshake": ((4, None), 24, b"0123456789"),
    "pending": (5, b"234", 1, b"56789", 4, None),
    "plain_server": ("error -29184", 32),
    "refused": ("ValueError, text in line breaks", "error -9984", "error -9984", 32),
}


_SCRIPTS = {
    "digits": (Raw(b"0123456789"), Listen(5000)),
    "notify": (tls.CloseNotify(), Listen(5000)),
    "fin": (Fin(), Listen(5000)),
    "garbage": (tls.Under(bytes(range(256))), Listen(5000)),
}


@lru_cache
def told_by(interpreter):
    """Run the program on an interpreter and return {fact: value}."""
    with ExitStack() as stack:
        authority = stack.enter_context(tls.Authority())
        made = [tls.TlsServer(_SCRIPTS, authority.context()), tls.BrokenServer("fin"), tls.BrokenServer("plain")]
        ports = [str(stack.enter_context(server).port) for server in made]
        ran = subprocess.run(
            [*rigs.command(interpreter), str(PROGRAM), *ports, str(authority.file("other-ca.der"))],
            env=rigs.device_env(interpreter),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return {
        name: ast.literal_eval(value) for name, _, value in (line.partition(": ") for line in ran.stdout.splitlines())
    }


@pytest.mark.parametrize("interpreter", rigs.INTERPRETERS)
def test_tls_facts_told_by_each_interpreter_are_all_in_the_table(interpreter):
    assert sorted(told_by(interpreter)) == sorted(FACTS)


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("interpreter", rigs.INTERPRETERS)
def test_tls_fact_told_by_each_interpreter_is_the_same(interpreter, fact):
    assert told_by(interpreter)[fact] == FACTS[fact]
