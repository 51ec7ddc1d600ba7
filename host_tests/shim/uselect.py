"""MicroPython's `uselect` as its unix port has it: poll objects over the kernel's poll(2)."""

import select

from mp_runtime import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, Entry, Poll

__all__ = ["POLLERR", "POLLHUP", "POLLIN", "POLLOUT", "poll"]


class _FileEntry(Entry):
    """Keeps the descriptor of registration time: a socket that is closed later polls POLLNVAL."""

    def __init__(self, pollable, mask):
        super().__init__(pollable, mask)
        self.fd = pollable.fileno()


class poll(Poll):
    """A poll object."""

    def _entry(self, pollable, mask):
        return _FileEntry(pollable, mask)

    def _wait(self, entries, timeout_ms):
        poller = select.poll()
        closed = [(entry, POLLNVAL) for entry in entries if entry.fd < 0]
        by_fd = {entry.fd: entry for entry in entries if entry.fd >= 0}
        for entry in by_fd.values():
            poller.register(entry.fd, entry.mask & (POLLIN | POLLOUT))
        ready = poller.poll(0 if closed else timeout_ms)
        return closed + [(by_fd[fd], flags) for fd, flags in ready]
