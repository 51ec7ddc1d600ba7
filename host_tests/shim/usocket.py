"""MicroPython's `usocket` as its unix port has it, on CPython's sockets.

Addresses are opaque buffers out of `getaddrinfo`. A time-out is the kernel's: `recv` and `send` then raise
EAGAIN, the stream methods ETIMEDOUT.
"""

import contextlib
import errno
import os
import socket as _host
import struct

from mp_runtime import PortError, Stream, buffer_view

AF_INET = int(_host.AF_INET)
AF_INET6 = int(_host.AF_INET6)
SOCK_STREAM = int(_host.SOCK_STREAM)
SOCK_DGRAM = int(_host.SOCK_DGRAM)
SOL_SOCKET = _host.SOL_SOCKET
SO_REUSEADDR = _host.SO_REUSEADDR
SO_KEEPALIVE = _host.SO_KEEPALIVE
SO_LINGER = _host.SO_LINGER
SO_ERROR = _host.SO_ERROR

_FAMILY = struct.Struct("=H")
_INET = struct.Struct("!2xH4s8x")
_INET6 = struct.Struct("!2xHI16sI")


@contextlib.contextmanager
def _port_errors():
    """Let OS errors out as MicroPython's."""
    try:
        yield
    except OSError as error:
        raise PortError(error.errno) from None


def _pack(family, address):
    """Return CPython's address as the opaque buffer that MicroPython has."""
    packed = bytearray(
        _INET.pack(address[1], _host.inet_pton(family, address[0]))
        if family == AF_INET
        else _INET6.pack(address[1], address[2], _host.inet_pton(family, address[0]), address[3])
    )
    _FAMILY.pack_into(packed, 0, family)
    return packed


def _unpack(packed):
    """Return an opaque address as CPython's."""
    view = buffer_view(packed)
    (family,) = _FAMILY.unpack_from(view)
    if family == AF_INET:
        port, host = _INET.unpack_from(view)
        return _host.inet_ntop(family, host), port
    port, flow, host, scope = _INET6.unpack_from(view)
    return _host.inet_ntop(family, host), port, flow, scope


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0, /):
    """Return a list of (family, type, proto, canonname, address); a failure is an OSError with a text, no number."""
    try:
        found = _host.getaddrinfo(host.encode(), port, af, type, proto, flags)
    except _host.gaierror as error:
        raise PortError(f"[addrinfo error {error.errno}]") from None
    return [
        (int(family), int(kind), protocol, name or None, _pack(family, address))
        for family, kind, protocol, name, address in found
    ]


class socket(Stream):
    """A stream socket."""

    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=0, /):
        with _port_errors():
            self._adopt(_host.socket(af, type, proto))

    def _adopt(self, host_socket):
        self._socket = host_socket
        self._blocking = True

    def connect(self, address):
        """Connect; OSError(EINPROGRESS) on a non-blocking socket."""
        with _port_errors():
            code = self._socket.connect_ex(_unpack(address))
        if code == errno.EINPROGRESS and self._blocking:
            code = errno.ETIMEDOUT
        if code:
            raise PortError(code)

    def bind(self, address):
        """Bind to an address of getaddrinfo."""
        with _port_errors():
            self._socket.bind(_unpack(address))

    def listen(self, backlog=2):
        """Start to listen."""
        with _port_errors():
            self._socket.listen(backlog)

    def accept(self):
        """Return (socket, address)."""
        with _port_errors():
            accepted, address = self._socket.accept()
        connection = socket.__new__(socket)
        connection._adopt(accepted)
        return connection, _pack(accepted.family, address)

    def recv(self, size, flags=0):
        """Return up to `size` bytes, b"" at the end; OSError(EAGAIN) where nothing is there yet."""
        with _port_errors():
            return self._socket.recv(size, flags)

    def send(self, buffer, flags=0):
        """Send; return the count; OSError(EAGAIN) where there is no room."""
        with _port_errors():
            return self._socket.send(buffer_view(buffer), flags)

    def setsockopt(self, level, option, value):
        """Set an option to an int or a buffer. There is no option 20 with a callback on this port."""
        value = value if isinstance(value, int) else buffer_view(value)
        with _port_errors():
            self._socket.setsockopt(level, option, value)

    def setblocking(self, flag):
        """Block, with the time-out that was last set, or not at all."""
        with _port_errors():
            os.set_blocking(self._socket.fileno(), bool(flag))
        self._blocking = bool(flag)

    def settimeout(self, seconds):
        """Block up to `seconds`; None is for ever, 0 not at all."""
        if seconds is None or seconds > 0:
            whole = int(seconds or 0)
            timeout = struct.pack("@ll", whole, round((seconds - whole) * 1000000) if seconds else 0)
            with _port_errors():
                self._socket.setsockopt(SOL_SOCKET, _host.SO_RCVTIMEO, timeout)
                self._socket.setsockopt(SOL_SOCKET, _host.SO_SNDTIMEO, timeout)
        self.setblocking(seconds is None or seconds > 0)

    def fileno(self):
        """Return the file descriptor, -1 once closed."""
        return self._socket.fileno()

    def close(self):
        """Close; more than once is no error."""
        self._socket.close()

    def _receive(self, view):
        return self._stream_call(os.readv, [view])

    def _transmit(self, view):
        return self._stream_call(os.write, view)

    def _stream_call(self, call, data):
        """Call read(2) or write(2); on a blocking socket EAGAIN tells that the time-out is over."""
        try:
            return call(self._socket.fileno(), data)
        except BlockingIOError:
            raise PortError(errno.ETIMEDOUT if self._blocking else errno.EAGAIN) from None
        except OSError as error:
            raise PortError(error.errno) from None
