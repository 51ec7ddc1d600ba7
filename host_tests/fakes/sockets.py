"""The fake `usocket.socket` and `uselect.poll`: what a call gives is looked up in the profile's states."""

import struct
from collections import deque

from mp_runtime import EAGAIN, POLLIN, POLLOUT, Poll, PortError, Stream, buffer_view

from .profiles import CRASH, END, PROCEED, SEND, WAIT
from .tcp import Connection

AF_INET = 2
AF_INET6 = 10
SOCK_STREAM = 1
SOCK_DGRAM = 2
SOL_SOCKET = 1
CALLBACK = 20  # the option of setsockopt that MicroPython adds

_MEMORY_TRIES = 200
_MEMORY_PAUSE_MS = 50
_ENOUGH_ROOM = 16  # lwip: a blocked write waits for so much
_PACKED = struct.Struct("!HH16s")


def is_literal(host):
    """Tell whether a host is an IPv4 address."""
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def pack_address(host, port):
    """Return the opaque address of the unix port; only `unpack_address` looks inside."""
    return bytearray(_PACKED.pack(AF_INET6 if ":" in host else AF_INET, port, host.encode()))


def unpack_address(packed):
    """Return (host, port); TypeError for what is not a buffer."""
    _, port, host = _PACKED.unpack(buffer_view(packed))
    return host.rstrip(b"\0").decode(), port


class FakeDatagramSocket:
    """A datagram socket: what it sends goes nowhere, and is refused without a link."""

    connection = callback = None
    readable = False

    def __init__(self, board):
        self._board = board
        self.state = "new"

    def sendto(self, data, address):
        """Send a datagram."""
        self._board.enter("sendto")
        if not self._board.linked:
            raise PortError(self._board.profile.numbers[self._board.profile.no_route])
        return len(data)

    def close(self):
        """Close the socket."""
        self.state = "closed"

    abandon = close


class FakeSocket(Stream):
    """A stream socket of a board; made by the `socket` of the board's usocket."""

    def __init__(self, board):
        self._board = board
        self._profile = board.profile
        self.connection = None
        self._incoming = deque()
        self._timeout_ms = None
        self._nodelay = False
        self._waiting = False
        self.state = "new"
        self.callback = None

    # The program's side

    def connect(self, address):
        """Connect to what the profile takes as an address."""
        self._board.enter("connect")
        host, port = self._parse(address)
        outcome = self._current.connect
        if outcome != PROCEED:
            self._raise(outcome)
        if not self._board.linked:
            self.state = self._profile.no_route_state
            self._raise(self._profile.no_route)
        self.state = "connecting"
        self.connection = Connection(self._board.clock, self._profile, self._board.latency_ms, self)
        self.connection.nodelay = self._nodelay
        self._board.begin(self.connection, host, port)
        limit = self._profile.connect_takes_ms if self._timeout_ms == 0 else self._sliced(self._timeout_ms)
        if self._board.wait(limit, lambda: self.state != "connecting"):
            self._settle_connect()
        else:
            self._raise("EINPROGRESS" if self._timeout_ms == 0 else self._profile.connect_timeout)

    def recv(self, size):
        """Return up to `size` bytes, b"" at the end; OSError(EAGAIN) where nothing is there yet."""
        buffer = bytearray(size)
        count = self._read("recv", memoryview(buffer))
        return bytes(buffer[:count])

    def send(self, data):
        """Send what fits and return its length; OSError(EAGAIN) where nothing fits."""
        view = buffer_view(data)
        if not view and self._profile.empty_send and self._current.outcome("send")[0] == SEND:
            self._raise(self._profile.empty_send)
        return self._write("send", view)

    def setsockopt(self, level, option, value):
        """Set TCP_NODELAY, the callback or nothing; unknown options only warn."""
        self._board.enter("setsockopt")
        if option == CALLBACK and self._profile.socket_callback:
            self.callback = value
        elif self._profile.socket_callback is None and not isinstance(value, int):
            buffer_view(value)
        elif self._profile.nodelay and option == self._profile.nodelay[1] and level in (0, self._profile.nodelay[0]):
            self._set_nodelay(bool(value))
        else:
            self._board.warnings.append(f"setsockopt({level}, {option}) not implemented")

    def setblocking(self, flag):
        """Block for ever, or not at all."""
        self._timeout_ms = None if flag else 0

    def settimeout(self, seconds):
        """Block up to `seconds`; None is for ever, 0 not at all."""
        self._timeout_ms = None if seconds is None else int(seconds * 1000)

    def fileno(self):
        """Return a number, -1 once closed."""
        return -1 if self.state == "closed" else self._board.sockets.index(self) + 3

    def close(self):
        """Close; more than once is no error."""
        self._board.enter("close")
        if self.state == "closed":
            return
        self.state = "closed"
        self.callback = None
        if self.connection:
            self.connection.close()
        self._incoming.clear()

    def poll_flags(self, mask):
        """Return what a poll with this mask shows now."""
        state = self._current
        found = state.flags | (mask & state.asked)
        if self._incoming:
            found |= mask & POLLIN
        if state.room and (self.connection is None or self.connection.free >= self._profile.out_room):
            found |= mask & POLLOUT
        return found

    @property
    def readable(self):
        """Whether a read would not block: what the ESP32's callback looks at."""
        return bool(self.poll_flags(POLLIN) & POLLIN)

    # The wire's side

    def established(self):
        """The connection stands."""
        self.state = "connected"

    def arrived(self, data):
        """A segment came."""
        self._incoming.append(memoryview(data))
        self._notify()

    def ended(self):
        """FIN came."""
        if self.state in ("connecting", "connected"):
            self.state = "peer_closed"
            self._notify()

    def failed(self, cause):
        """The connection broke, or did not come up: `cause` is a key of the profile's `becomes`."""
        if self._profile.reset_drops_data:
            self._incoming.clear()
        self.state = self._profile.becomes[cause]

    def abandon(self):
        """The interpreter closes the socket at a soft reset."""
        self.callback = None
        if self.state != "closed":
            self.close()

    # Inside

    @property
    def _current(self):
        return self._profile.states[self.state]

    def _notify(self):
        if self.callback and self._profile.socket_callback == "scheduled":
            self._board.interrupt(self.callback, self)

    def _raise(self, name):
        raise PortError(self._profile.numbers[name])

    def _parse(self, address):
        if self._profile.address == "packed":
            return unpack_address(address)
        host, port = address
        if is_literal(host):
            return host, port
        if self._profile.address == "literal":
            raise ValueError("invalid arguments")
        return self._board.resolve(host), port

    def _settle_connect(self):
        """End a connect() that waited: return where it stands, else raise."""
        if self.state not in ("connected", "peer_closed"):
            outcome, following = self._current.read
            self.state = following or self.state
            self._raise(outcome)

    def _set_nodelay(self, flag):
        outcome = self._current.nodelay
        if outcome == CRASH:
            self._board.crash(f"setsockopt(TCP_NODELAY) on a socket that is {self.state}")
        if outcome != PROCEED:
            self._raise(outcome)
        self._nodelay = flag
        if self.connection:
            self.connection.nodelay = flag

    def _sliced(self, timeout_ms, slice_ms=None):
        """Return how long a time-out really lasts where it is counted in slices."""
        slice_ms = slice_ms or self._profile.receive_slice_ms
        if timeout_ms is None or not slice_ms:
            return timeout_ms
        return (timeout_ms // self._profile.receive_slice_ms + 1) * slice_ms

    def readline(self, size=-1):
        """Return a line as every stream does. No callback comes between the bytes that are there."""
        line = b""
        while len(line) != size and line[-1:] != b"\n":
            first = super().readline(1)
            if not first:
                return line or first
            line += first
            while self._incoming and len(line) != size and line[-1:] != b"\n":
                there = bytes(self._incoming[0])[: size - len(line) if size > 0 else None]
                rest = bytearray(there.find(b"\n") + 1 or len(there))
                self._take(memoryview(rest))
                line += rest
        return line

    def _receive(self, view):
        return self._read("read", view)

    def _transmit(self, view):
        return self._write("write", view)

    def _read(self, call, view):
        self._board.enter(call)
        self._block(
            lambda: self._incoming or self._current.outcome(call)[0] != WAIT,
            self._profile.receive_slice_ms,
            self._profile.recv_timeout if call == "recv" else "ETIMEDOUT",
        )
        if self._incoming:
            return self._take(view)
        return self._settle(call)

    def _write(self, call, view):
        self._board.enter(call)
        self._block(
            lambda: self._current.outcome(call)[0] not in (WAIT, SEND) or self._has_room(),
            self._profile.send_slice_ms,
            "ETIMEDOUT",
        )
        if self._current.outcome(call)[0] != SEND:
            return self._settle(call)
        piece = bytes(view[: self.connection.free])
        # Only lwip can fail here. It tries for 10 s, even on a non-blocking socket, then says that it has sent
        # what it has not.
        for _ in range(_MEMORY_TRIES):
            if self._current.outcome(call)[0] != SEND:
                return self._settle(call)
            if self.connection.queue(piece):
                break
            self._board.wait(_MEMORY_PAUSE_MS)
        return len(piece)

    def _has_room(self):
        """Whether there is room to write; a write that had to wait wants a little more."""
        return self._current.write[0] == SEND and self.connection.free >= (_ENOUGH_ROOM if self._waiting else 1)

    def _block(self, ready, slice_ms, timeout_error):
        """Wait as the time-out allows until ready(); raise EAGAIN or `timeout_error`."""
        if ready():
            return
        if self._timeout_ms == 0:
            raise PortError(EAGAIN)
        self._waiting = True
        try:
            done = self._board.wait(self._sliced(self._timeout_ms, slice_ms), ready)
        finally:
            self._waiting = False
        if not done:
            less_than_a_slice = slice_ms and self._timeout_ms < self._profile.receive_slice_ms
            self._raise("EAGAIN" if less_than_a_slice else timeout_error)

    def _take(self, view):
        """Copy what came: one segment, or as much as there is."""
        taken = 0
        while self._incoming and taken < len(view):
            first = self._incoming[0]
            count = min(len(first), len(view) - taken)
            view[taken : taken + count] = first[:count]
            taken += count
            if count == len(first):
                self._incoming.popleft()
            else:
                self._incoming[0] = first[count:]
            if self._profile.one_segment_per_read:
                break
        self.connection.was_read(taken)
        return taken

    def _settle(self, call):
        """Give the state's outcome of a call and go to the next state."""
        outcome, following = self._current.outcome(call)
        if outcome == CRASH:
            self._board.crash(f"{call}() after the error of a socket that is {self.state} was read")
        self.state = following or self.state
        if outcome == END:
            return 0
        return self._raise(outcome)


class FakePoll(Poll):
    """A poll object that lets the fake clock run while it waits."""

    def __init__(self, board):
        super().__init__()
        self._board = board

    def _wait(self, entries, timeout_ms):
        self._board.enter("poll")
        ready = []

        def look():
            ready[:] = [(entry, flags) for entry in entries if (flags := entry.pollable.poll_flags(entry.mask))]
            return bool(ready)

        self._board.wait(timeout_ms, look)
        return ready
