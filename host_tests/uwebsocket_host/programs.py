"""Device programs in a process of their own, for tests: what they print, line by line."""

import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

from uwebsocket_host import HERE, ROOT


class Program:
    """A device program that runs; `line()` gives what it prints. See the fixture `device_program`."""

    def __init__(self, path, folder, replaced=None, on=None, timeout_s=60):
        """Start it in `folder`.

        `replaced`: {text of the program: what stands there when it runs}; `on`: the command of a MicroPython, else
        CPython runs it; `timeout_s`: how long to wait for a line.
        """
        path = Path(path)
        source = path.read_text()
        for old, new in (replaced or {}).items():
            if old not in source:
                raise ValueError(f"{path} does not name {old!r} (try: what stands in the program)")
            source = source.replace(old, new)
        copy = Path(folder) / path.name
        copy.write_text(source)
        self._timeout_s = timeout_s
        self._printed = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "uwebsocket_host", *(["--on", on] if on else []), copy.name],
            cwd=folder,
            env=_environment(path.resolve().parent),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line(self):
        """Return the next line that it prints; AssertionError where it ends before, or none comes in time."""
        try:
            line = self._printed.get(timeout=self._timeout_s)
        except queue.Empty:
            raise AssertionError(f"the program printed nothing for {self._timeout_s} s") from None
        if line is None:
            self._printed.put(None)
            raise AssertionError(f"the program has ended, with {self._process.wait()}")
        return line

    def lines(self, count):
        """Return the next lines that it prints, so many."""
        return [self.line() for _ in range(count)]

    def until(self, wanted):
        """Return what it prints up to the line `wanted`, which is the last one."""
        lines = [self.line()]
        while lines[-1] != wanted:
            lines.append(self.line())
        return lines

    def rest(self):
        """Wait until it ends, and return what it printed meanwhile; AssertionError where it fails."""
        lines = []
        while (line := self._next()) is not None:
            lines.append(line)
        if code := self._process.wait():
            raise AssertionError("\n".join([*lines, f"the program has ended with {code}"]))
        return lines

    def end(self):
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def _next(self):
        try:
            return self._printed.get(timeout=self._timeout_s)
        except queue.Empty:
            raise AssertionError(f"the program printed nothing for {self._timeout_s} s, and has not ended") from None

    def _read(self):
        for line in self._process.stdout:
            self._printed.put(line.removesuffix("\n"))
        self._printed.put(None)


def _environment(folder):
    """Return an environment for the package and for the modules beside the program."""
    uninstalled = [] if ROOT == HERE else [str(HERE.parent)]
    python_path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")]), *uninstalled]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(python_path),
        "MICROPYPATH": str(folder),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
