"""What MicroPython's runtime does alike for every port: OS errors, streams, poll objects, scheduled callbacks.

The shim's modules and the fakes of `host_tests/fakes` build on it. The names follow MicroPython's sources:
`py/stream`, `extmod/modselect`, `py/scheduler`.
"""

import sys
import traceback
from collections import deque

EAGAIN = 11
ENOENT = 2
TICKS_PERIOD = 1 << 30

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
POLLNVAL = 32  # comes out of poll, but has no name in MicroPython

ONE_SHOT = 1  # the flag of ipoll


class PortError(OSError):
    """OSError as MicroPython builds it: `errno` is the first argument, a number or a text."""

    @property
    def errno(self):
        """The first argument, None without one."""
        return self.args[0] if self.args else None


def buffer_view(buffer, writable=False):
    """Return a byte-wise memoryview of what MicroPython takes as a buffer; `str` is one for reading."""
    if isinstance(buffer, str) and not writable:
        buffer = buffer.encode()
    try:
        view = memoryview(buffer).cast("B")
    except TypeError:
        view = None
    if view is None or (writable and view.readonly):
        raise TypeError("object with buffer protocol required")
    return view


class Stream:
    """The methods of every MicroPython stream.

    A subclass has `_receive(view)` and `_transmit(view)`, which return a count (0 is the end) and raise
    PortError, with EAGAIN where they would block.
    """

    def read(self, size=-1):
        """Return up to `size` bytes (-1: until the end), b"" at the end, None where nothing is there yet.

        Data before an error other than EAGAIN is lost, as on MicroPython.
        """
        if size == -1:
            return self._read_all()
        buffer = bytearray(size)
        count = self._move(self._receive, memoryview(buffer))
        return None if count is None else bytes(buffer[:count])

    def readinto(self, buffer, size=-1):
        """Fill `buffer`, or `size` bytes of it; return the count, 0 at the end, None where nothing is there yet."""
        return self._move(self._receive, _limited(buffer_view(buffer, writable=True), size))

    def readline(self, size=-1):
        """Return a line, part of one where no more is there yet or at the end, None where nothing is."""
        line = bytearray()
        piece = bytearray(1)
        while len(line) != size:
            count = self._move(self._receive, memoryview(piece))
            if count is None and not line:
                return None
            if not count:
                break
            line += piece
            if piece == b"\n":
                break
        return bytes(line)

    def write(self, buffer, *offset_and_size):
        """Write `buffer`, its first bytes or `write(buffer, offset, size)`; return the count, None for no room."""
        if len(offset_and_size) > 2:
            raise TypeError("function expected at most 4 arguments")
        *offset, size = offset_and_size or (-1,)
        view = buffer_view(buffer)
        return self._move(self._transmit, _limited(view[offset[0] :] if offset else view, size))

    def _move(self, operation, view):
        done = 0
        while done < len(view):
            try:
                count = operation(view[done:])
            except PortError as error:
                if error.errno != EAGAIN:
                    raise
                return done or None
            if count == 0:
                break
            done += count
        return done

    def _read_all(self):
        data = bytearray()
        piece = bytearray(256)
        while True:
            try:
                count = self._receive(memoryview(piece))
            except PortError as error:
                if error.errno != EAGAIN:
                    raise
                return bytes(data) or None
            if count == 0:
                return bytes(data)
            data += piece[:count]


class IOBase:
    """MicroPython's `io.IOBase`: a program's own stream, which C code reads and writes by calling its methods.

    `readinto(buffer)` and `write(buffer)` return a count, None for EAGAIN, or an errno below 0.
    """

    def _receive(self, view):
        return _counted(self.readinto(view))

    def _transmit(self, view):
        return _counted(self.write(view))

    def close(self):
        """Ask the stream to close: request 4."""
        self.ioctl(4, 0)


def _counted(result):
    if result is None or result < 0:
        raise PortError(EAGAIN if result is None else -result)
    return result


def _limited(view, size):
    return view if size < 0 else view[:size]


class Entry:
    """One object of a poll set."""

    def __init__(self, pollable, mask):
        self.pollable = pollable
        self.mask = mask


class Poll:
    """MicroPython's poll object.

    A subclass has `_wait(entries, timeout_ms)`, which returns the ready ones as (entry, flags); None is for ever.
    """

    def __init__(self):
        self._entries = {}
        self._ready = iter(())
        self._one_shot = False

    def register(self, pollable, eventmask=POLLIN | POLLOUT):
        """Add an object, or change the mask of one that is there."""
        entry = self._entries.get(id(pollable))
        if entry:
            entry.mask = eventmask
        else:
            self._entries[id(pollable)] = self._entry(pollable, eventmask)

    def unregister(self, pollable):
        """Remove an object; one that is not there is no error."""
        self._entries.pop(id(pollable), None)

    def modify(self, pollable, eventmask):
        """Change the mask of an object; OSError(ENOENT) where it is not registered."""
        if id(pollable) not in self._entries:
            raise PortError(ENOENT)
        self._entries[id(pollable)].mask = eventmask

    def poll(self, timeout=-1):
        """Return a list of (object, flags) after at most `timeout` ms; None or a negative one is for ever."""
        return [(entry.pollable, flags) for entry, flags in self._wait_for(timeout)]

    def ipoll(self, timeout=-1, flags=0):
        """Return an iterator over (object, flags); with flag 1 a reported object is not asked again until modified."""
        self._one_shot = bool(flags & ONE_SHOT)
        self._ready = iter(self._wait_for(timeout))
        return self

    def __iter__(self):
        return self

    def __next__(self):
        entry, flags = next(self._ready)
        if self._one_shot:
            entry.mask = 0
        return entry.pollable, flags

    def _entry(self, pollable, mask):
        return Entry(pollable, mask)

    def _wait_for(self, timeout):
        return self._wait(list(self._entries.values()), None if timeout is None or timeout < 0 else timeout)


class Scheduler:
    """The queue of `micropython.schedule`: callbacks run one at a time and never pre-empt one another."""

    def __init__(self, depth, report):
        """`depth`: what the queue holds; `report`: called with each exception that leaves a callback."""
        self._depth = depth
        self._report = report
        self._queue = deque()
        self.running = False  # whether a callback is running

    def schedule(self, function, argument):
        """Queue `function(argument)`; RuntimeError when the queue is full."""
        if len(self._queue) >= self._depth:
            raise RuntimeError("schedule queue full")
        self._queue.append((function, argument))

    def run_one(self):
        """Run the oldest callback unless one is running; return whether there was one."""
        if self.running or not self._queue:
            return False
        function, argument = self._queue.popleft()
        self.running = True
        try:
            self.protected(function, argument)
        finally:
            self.running = False
        return True

    def clear(self):
        """Forget what is queued."""
        self._queue.clear()

    def protected(self, function, argument):
        """Call `function(argument)`; report what it raises and go on."""
        try:
            function(argument)
        except (Exception, KeyboardInterrupt) as error:
            self._report(error)


def ticks_add(ticks, delta):
    """Return `ticks` moved by `delta`, within the period; OverflowError for half a period or more."""
    if not -TICKS_PERIOD // 2 < delta < TICKS_PERIOD // 2:
        raise OverflowError("ticks interval overflow")
    return (ticks + delta) % TICKS_PERIOD


def ticks_diff(end, start):
    """Return the signed distance from `start` to `end`."""
    return (end - start + TICKS_PERIOD // 2) % TICKS_PERIOD - TICKS_PERIOD // 2


def print_exception(error, file=None):
    """MicroPython's `sys.print_exception`: print the traceback, to standard output by default."""
    traceback.print_exception(error, file=file or sys.stdout)
