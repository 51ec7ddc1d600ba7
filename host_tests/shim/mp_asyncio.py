"""MicroPython's `asyncio.core` on CPython's event loop: sleeping, and the I/O queue that tasks wait in for a stream.

There a task calls `queue_read(stream)`, which returns None, and yields. Here it returns a future to be awaited.
"""

import asyncio

from mp_runtime import POLLIN, POLLOUT

_ASK_AGAIN_S = 0.001


class _Readiness(asyncio.Future):
    """Done when the stream is ready, in the event loop's selector at most until then."""

    def __init__(self, stream, flag):
        loop = asyncio.get_running_loop()
        super().__init__(loop=loop)
        self._remove = None
        if hasattr(stream, "poll_flags"):
            self._ask(stream, flag)
            return
        fd = stream.fileno()
        if fd < 0:
            self.set_result(None)
            return
        add = loop.add_reader if flag == POLLIN else loop.add_writer
        remove = loop.remove_reader if flag == POLLIN else loop.remove_writer
        self._remove = lambda: remove(fd)
        add(fd, self._found)

    def cancel(self, msg=None):
        """Cancel, and leave the selector at once: the descriptor may be another's soon."""
        self._leave()
        return super().cancel(msg)

    def _leave(self):
        if self._remove:
            self._remove()
            self._remove = None

    def _found(self):
        self._leave()
        if not self.done():
            self.set_result(None)

    def _ask(self, stream, flag):
        """Ask a stream that answers for itself every millisecond, as on the firmware."""
        self._leave()
        if stream.poll_flags(flag):
            self._found()
        else:
            self._remove = self.get_loop().call_later(_ASK_AGAIN_S, self._ask, stream, flag).cancel


class _IOQueue:
    """The streams that tasks wait for."""

    def queue_read(self, stream):
        """Return what to yield until the stream has something to read, an end or an error."""
        return _Readiness(stream, POLLIN)

    def queue_write(self, stream):
        """Return what to yield until the stream takes something, or has an error."""
        return _Readiness(stream, POLLOUT)


_io_queue = _IOQueue()


def sleep_ms(milliseconds):
    """Return what to await for a pause."""
    return asyncio.sleep(milliseconds / 1000)
