"""Runs the programs of upy/ on each interpreter, and on the virtual ESP8266, and gives back what they tell.

A program prints a line of JSON for each case: {"case": name, "told": anything}.
"""

import atexit
import contextlib
import functools
import json
import subprocess
import tempfile
from pathlib import Path

import pytest

from common import compiler, private_names, rigs, virtual_esp8266_client
from common.rigs import CHIP
from support import chip_tables

_FOLDER = Path(__file__).resolve().parents[1] / "upy"
_LONGEST_S = 120

MICROPYTHONS = [name for name in rigs.INTERPRETERS if name != "cpython"]


class Told(dict):
    """{case: what the program told}; a case that is asked for and was not told fails the test."""

    def __init__(self, lines, said):
        super().__init__((line["case"], line["told"]) for line in lines)
        self._said = said

    def __missing__(self, case):
        pytest.fail(f"{case} was not played: {self._said[-2000:]}")


@functools.lru_cache
def told(interpreter, program, *arguments, heap=None, before=None):
    """Run a program of upy/ once, whoever asks; return what it told as Told.

    `heap` is MicroPython's heap size ("64k"), `before` a folder whose modules come before those of micropython/. CHIP
    has 38 KiB, and the compiled client in its ROMFS.
    """
    if interpreter == CHIP:
        return _told_by_the_chip(program, arguments)
    options = ["-X", f"heapsize={heap}"] if heap else []
    env = rigs.device_env(interpreter)
    if before:
        env["MICROPYPATH"] = f"{before}:{env['MICROPYPATH']}"
    command = [*rigs.command(interpreter), *options, str(_FOLDER / program), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    lines = done.stdout.splitlines()
    # MicroPython writes its tracebacks to either stream.
    said = [line for line in lines if not line.startswith("{")]
    return Told(
        [json.loads(line) for line in lines if line.startswith("{")],
        "\n".join([*said, done.stderr, f"ended with {done.returncode}"]),
    )


@functools.cache
def chip_session():
    """Return a session on a chip that runs until the tests end.

    In its ROMFS it has the client, also that for asyncio, and the programs.
    """
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    flash = folder / "flash"
    programs = []
    for program in sorted(_FOLDER.glob("*.py")):
        # Some look into the client, whose private names are others when it is compiled.
        programs.append(folder / program.name)
        programs[-1].write_bytes(private_names.replaced(program.read_bytes()))
    virtual_esp8266_client.prepare("romfs", flash, [*programs, *compiler.extra_sources()])
    return stack.enter_context(virtual_esp8266_client.running("romfs", flash))


def _told_by_the_chip(program, arguments):
    program = Path(program).stem
    session = chip_session()
    lines = []
    for tables in chip_tables.parts(program, arguments):
        try:
            session.fresh()
            if tables:
                session.exec(tables)
            said = session.exec(session.start_of(program, *arguments), _LONGEST_S)
        except virtual_esp8266_client.ProgramError as error:
            said = str(error)
        lines += said.splitlines()
    session.fresh()  # ends what the program has left open: no server waits for it
    return Told(
        [json.loads(line) for line in lines if line.startswith("{")],
        "\n".join(line for line in lines if not line.startswith("{")),
    )
