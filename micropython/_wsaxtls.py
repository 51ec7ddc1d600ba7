# _wsaxtls: keeps axTLS, the TLS of the ESP8266, from harm. MIT licence, see LICENSE.
"""A socket over axTLS that the client can use like any other.

axTLS has one buffer for both directions, so what it writes destroys what it has decrypted or half
read; it does not tell what it has of either, waits in a busy loop when it cannot write, and takes
any time-out for the end. So it gets TCP through a gate, which tells where records end, lets none
begin before a write, and keeps what finds no room.
"""

import gc

from micropython import const
from uwebsocket_client import errno, io, sys, ticks_diff, ticks_ms, uselect

# Bytes that a handshake needs, which axTLS does not check: 16 KB with RSA keys of more than 2048 bits
_FREE = const(16384)
_BLOCK = const(5400)  # of them in one piece
_PIECE = const(128)
_LWIP_WAITED_MS = const(9000)

_CLOSED = OSError(errno.EBADF, "")  # made once, for to end a connection takes no memory


class _Gate(io.IOBase):
    # TCP as axTLS sees it. What it raised would leave axTLS torn, so it keeps it in `error`.

    def __init__(self, raw, deadline):
        self.raw = raw
        self.poller = uselect.poll()
        self.poller.register(raw)
        self.deadline = deadline  # of the handshake, in ticks
        self.waits = True  # during the handshake, which cannot go on without what it asks for
        self.shut = False  # no record may begin
        self.inside = False  # a record has begun
        self.body = False  # and its header is complete
        self.rest = b""  # what axTLS has written and TCP not taken
        self.start = 0  # and where it begins by now
        self.error = None

    def wait(self, flags):
        # False when the deadline has passed
        left = ticks_diff(self.deadline, ticks_ms())
        if left <= 0:
            self.error = OSError(errno.ETIMEDOUT, "")
            return False
        self.poller.modify(self.raw, flags | uselect.POLLHUP)
        for _ in self.poller.ipoll(left):
            pass
        return True

    def readinto(self, buffer):
        # axTLS asks for what is missing of a header or of the rest of the record, never for more
        if self.error or self.shut and not self.inside:
            return 0 if self.error else None
        try:
            while True:
                n = self.raw.readinto(buffer)
                if n is not None or not self.waits:
                    break
                if not self.wait(uselect.POLLIN):
                    return 0
        except OSError as error:
            self.error = error
            return 0
        if n:
            if n == len(buffer):
                self.body = not self.body
            self.inside = self.body or n < len(buffer)
        return n

    def write(self, buffer):
        if self.error:
            return -errno.ECONNRESET
        try:
            while True:
                n = None if self.rest else self.raw_write(buffer, 0)
                if n is not None:
                    return n
                if not self.waits:
                    # all of it is taken, for axTLS would turn for ever; flush() goes on
                    self.rest += bytes(buffer)
                    return len(buffer)
                if not self.wait(uselect.POLLOUT):
                    break
        except OSError as error:
            self.error = error
        except MemoryError:
            self.error = OSError(errno.ENOMEM, "")
        return -errno.ECONNRESET

    def raw_write(self, buffer, start):
        began = ticks_ms()
        n = self.raw.write(buffer, start, len(buffer) - start)
        if n and ticks_diff(ticks_ms(), began) > _LWIP_WAITED_MS:
            # lwIP had no memory: it waits 10 s, drops the data and says that it is out
            raise OSError(errno.ENOMEM, "")
        return n

    def flush(self):
        # Writes what TCP had no room for; whether all of it is out.
        while self.start < len(self.rest):
            n = self.raw_write(self.rest, self.start)
            if not n:
                return False
            self.start += n  # without the heap: what is out must not go out again
        self.rest = b""
        self.start = 0
        return True

    def ioctl(self, request, argument):
        return 0


class AxTLS:
    """The client's end of a TLS connection, with the methods of a socket.

    `ws`, `connection`: the client and its connection, with the raw socket; `context`: the `SSLContext`; `name`: of the
    server, or `None`. Shakes hands.
    """

    def __init__(self, ws, connection, context, name):
        gc.collect()
        if hasattr(gc, "mem_free") and gc.mem_free() < _FREE:
            ws.error = "too little memory for TLS"
            raise MemoryError
        bytearray(_BLOCK)  # raises MemoryError, where axTLS would crash
        gc.collect()
        self._connection = connection
        self._raw = connection.raw
        self._kept = b""  # decrypted, not yet asked for
        self._owed = 0  # bytes that axTLS has taken, and TCP not yet
        self._gate = gate = _Gate(self._raw, ws._deadline)
        try:
            # the SSLSocket's own flag stays "blocking": a read then goes on until the gate has nothing
            self._sock = context.wrap_socket(gate, server_hostname=name)
        except OSError as error:
            if gate.error and gate.error.errno == errno.ETIMEDOUT:
                connection.status = -18
                ws.error = connection.doing
            gate.error = error  # for the finaliser, which would write
            raise
        gate.waits = False

    def _take(self, buffer, n):
        try:
            k = self._sock.readinto(buffer, n)
        except OSError as error:  # also the number of an alert, which is no errno
            raise ValueError(error)
        if k == 0 and self._gate.error:
            raise self._gate.error
        self._connection.locked = False
        return k

    def readinto(self, buffer, n=None):
        """Read up to `n` bytes; their number, 0 at the end, or `None` for nothing yet."""
        if n is None:
            n = len(buffer)
        if self._kept:
            k = min(n, len(self._kept))
            buffer[:k] = self._kept[:k]
            self._kept = self._kept[k:]
            return k
        return self._take(buffer, n)

    def readline(self, n):
        """Read at most `n` bytes, up to the end of a line; `None` for nothing yet, b"" at the end."""
        line = b""
        byte = bytearray(1)
        while len(line) < n:
            k = self.readinto(byte, 1)
            if not k:
                return line or (b"" if k == 0 else None)
            line += byte
            if byte[0] == 10:
                break
        return line

    def write(self, buffer, start, n):
        """Write `n` bytes from `start`; their number, or 0 for a dead session.

        `None` for not yet: the same bytes must then be given again.
        """
        gate = self._gate
        if self._owed:
            if not gate.flush():
                return None
            k = self._owed
            self._owed = 0
            return k
        piece = bytearray(_PIECE)
        gate.shut = True
        try:
            # what is decrypted, or half read, must be out of the way
            k = 1
            while k:
                k = self._take(piece, _PIECE)
                if k:
                    self._connection.ready = True
                    self._kept += piece[:k]
        except MemoryError:
            # what was decrypted may be lost
            gate.error = OSError(errno.ENOMEM, "")
            raise gate.error
        finally:
            gate.shut = False
        if gate.inside:
            self._connection.locked = True
            return None
        k = self._sock.write(buffer, start, n)
        if k == 0 and gate.error:
            raise gate.error
        if gate.rest:
            self._owed = k
            return None
        return k

    def close(self):
        """Close TCP, and then TLS, which would wait for room to say farewell."""
        self._gate.error = _CLOSED  # axTLS gets nothing through any more
        self._raw.close()
        try:
            self._sock.close()
        except OSError:
            pass


def step(ws, connection, load):
    """Put axTLS over the connected socket, with the context and the name that `_wstls` has put into `args`.

    Raises `OSError`, `ValueError` where the handshake fails, `MemoryError` when there is too little memory to begin.
    """
    sys.modules.pop("_wsreceive", None)  # as in uwebsocket_client: nothing is received meanwhile
    context, name = connection.args[-2:]
    connection.args = connection.args[:-2]
    connection.step = "_wsrequest"
    connection.socket = AxTLS(ws, connection, context, name)
