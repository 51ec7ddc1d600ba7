"""Runs the programs that users read: those of the documents and micropython/examples/, as they stand there.

Only the server's address is put in its place. MicroPython has the heap of an ESP8266, and the compiled modules.
"""

import contextlib
import functools
import re
import subprocess
import threading

from common import compiler, rigs

URL = "ws://192.168.1.10:8080/"
TLS_URL = "wss://192.168.1.10:8443/"
_LONGEST_S = 60
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@functools.cache
def build_once():
    """Compile the client and its extras."""
    compiler.build_all()
    compiler.build_extras()


def blocks(path):
    """Return the code blocks of a Markdown file as (language, text)."""
    return _BLOCK.findall(path.read_text())


def programs(path):
    """Return the Python blocks of a Markdown file as (program, lines that it prints: the text block that follows)."""
    found = blocks(path)
    after = [*found[1:], ("", "")]
    return [
        (text, printed.splitlines() if language == "text" else [])
        for (kind, text), (language, printed) in zip(found, after, strict=True)
        if kind == "python"
    ]


@contextlib.contextmanager
def started(interpreter, source, folder, replaced):
    """Start a program in `folder`; gives its process, with what it prints as `stdout`, and ends it.

    `replaced`: {text of the program: what stands there when it runs}, above all {URL: a server's}.
    """
    for old, new in replaced.items():
        assert old in source, f"the program does not name {old}"
        source = source.replace(old, new)
    (folder / "program.py").write_text(source)
    options = ["-u"]
    if interpreter != "cpython":
        build_once()
        options = ["-X", f"heapsize={rigs.HEAPS[interpreter]}"]
    process = subprocess.Popen(
        [*rigs.command(interpreter), *options, "program.py"],
        cwd=folder,
        env=rigs.device_env(interpreter, built=interpreter != "cpython") | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    limit = threading.Timer(_LONGEST_S, process.kill)
    limit.start()
    with process:
        try:
            yield process
        finally:
            limit.cancel()
            process.kill()


def run(interpreter, source, folder, replaced, enough=None):
    """Run a program in `folder` and return the lines that it printed; AssertionError where it fails.

    `replaced`: as of started(); `enough`: the number of lines after which it is ended, for a program that has no end.
    """
    lines = []
    with started(interpreter, source, folder, replaced) as process:
        for line in process.stdout:
            if len(lines) == enough:
                break  # it printed more before it was ended
            lines.append(line.removesuffix("\n"))
            if len(lines) == enough:
                break
        else:
            process.wait()
    assert process.returncode == 0 or len(lines) == enough, "\n".join(lines)
    return lines
