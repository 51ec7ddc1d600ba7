"""A person at a serial terminal: types at a pseudo-terminal and waits for what it should show."""

import os
import select
import time

_LONGEST_S = 20


class Terminal:
    """One side of a terminal, by path or descriptor; a context manager that closes it."""

    def __init__(self, port):
        self._descriptor = port if isinstance(port, int) else os.open(port, os.O_RDWR | os.O_NOCTTY)
        self._unread = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._descriptor)

    def type(self, text):
        """Type `text`, control characters too."""
        os.write(self._descriptor, text.encode())

    def wait(self, text, within_s=_LONGEST_S):
        """Return what was shown up to and with `text`; fail when it does not come."""
        deadline = time.monotonic() + within_s
        while text not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
                raise AssertionError(f"{text!r} was not shown, but {self._unread!r}")
            self._unread += os.read(self._descriptor, 4096).decode(errors="replace")
        end = self._unread.index(text) + len(text)
        shown, self._unread = self._unread[:end], self._unread[end:]
        return shown

    def line(self, text):
        """Type a line at MicroPython's prompt; return what was shown until the next prompt.

        What an event prints may come before that prompt or after it: the next `wait` takes it from either place.
        """
        self.type(text + "\r")
        self.wait(text)
        shown = self.wait(">>> ").removesuffix(">>> ")
        self._unread = shown + self._unread
        return shown.strip()
