"""Runs the programs of upy/ on each interpreter and gives back what they tell.

A program prints a line of JSON for each case: {"case": name, "told": anything}.
"""

import functools
import json
import subprocess
from pathlib import Path

import pytest

from common import rigs

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

    `heap` is MicroPython's heap size ("64k"), `before` a folder whose modules come before those of micropython/.
    """
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
