"""Runs the programs that users read: those of the documents and micropython/examples/, as they stand there.

Only the server's address is put in its place. MicroPython has the heap of an ESP8266, and the compiled modules.
"""

import functools
import subprocess

import build
import demo
import rigs

URL = "ws://192.168.1.10:8080/"
_LONGEST_S = 60

_build_once = functools.cache(build.build_all)


def run(interpreter, source, folder, replaced):
    """Run a program in `folder` and return the lines that it printed; AssertionError where it fails.

    `replaced`: {text of the program: what stands there when it runs}, above all {URL: a server's}.
    """
    for old, new in replaced.items():
        assert old in source, f"the program does not name {old}"
        source = source.replace(old, new)
    (folder / "program.py").write_text(source)
    options = []
    if interpreter != "cpython":
        _build_once()
        options = ["-X", f"heapsize={demo.HEAPS[interpreter]}"]
    done = subprocess.run(
        [*rigs.command(interpreter), *options, "program.py"],
        cwd=folder,
        env=rigs.device_env(interpreter, built=interpreter != "cpython"),
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
