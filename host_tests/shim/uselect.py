"""MicroPython's `uselect` as its unix port has it: poll objects over the kernel's poll(2).

An object with `poll_flags(mask)` answers for itself, as streams without a descriptor do on the firmware; it is then
asked again every millisecond.
"""

import select
import time

from mp_runtime import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, Entry, Poll

__all__ = ["POLLERR", "POLLHUP", "POLLIN", "POLLOUT", "poll"]

_ASK_AGAIN_MS = 1


class _FileEntry(Entry):
    """Keeps the descriptor of registration time: a socket that is closed later polls POLLNVAL."""

    def __init__(self, pollable, mask):
        super().__init__(pollable, mask)
        self.fd = None if hasattr(pollable, "poll_flags") else pollable.fileno()


class poll(Poll):
    """A poll object."""

    def _entry(self, pollable, mask):
        return _FileEntry(pollable, mask)

    def _wait(self, entries, timeout_ms):
        answering = [entry for entry in entries if entry.fd is None]
        if not answering:
            return self._ask_kernel(entries, timeout_ms)
        with_fd = [entry for entry in entries if entry.fd is not None]
        deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        pause_ms = 0
        while True:
            ready = self._ask_kernel(with_fd, pause_ms)
            ready += [(entry, flags) for entry in answering if (flags := entry.pollable.poll_flags(entry.mask))]
            if ready or (deadline is not None and time.monotonic() >= deadline):
                return ready
            pause_ms = _ASK_AGAIN_MS

    def _ask_kernel(self, entries, timeout_ms):
        poller = select.poll()
        closed = [(entry, POLLNVAL) for entry in entries if entry.fd < 0]
        by_fd = {entry.fd: entry for entry in entries if entry.fd >= 0}
        for entry in by_fd.values():
            poller.register(entry.fd, entry.mask & (POLLIN | POLLOUT))
        ready = poller.poll(0 if closed else timeout_ms)
        return closed + [(by_fd[fd], flags) for fd, flags in ready]
