# uwebsocket_errors: what went wrong, in numbers and words. MIT licence, see LICENSE.
"""Statuses for what the network raises, Close codes for statuses, texts for wrong arguments.

Loaded when something has gone wrong, and let go again.
"""

import errno
from os import urandom
from sys import platform

from micropython import const
from utime import ticks_diff, ticks_ms
from uwebsocket_protocol import utf8

# Indices of the options, see KEYS in uwebsocket_config
_RECONNECT_MIN = const(10)
_RECONNECT_MAX = const(11)


_TEXTS = {
    "event": "on: unknown event {!r} (connection, receive, data, pong, close)",
    "opcode": "send: opcode must be 0, 1, 2, 9 or 10, not {!r}",
    "send": "send: a ping or pong holds at most 125 bytes, in one frame",
    "fin": "send: a fragmented message goes on with opcode 0 and ends with fin=True",
    "text": "send: text must be UTF-8",
    "code": "close: code must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, not {!r}",
    "reason": "close: reason must be a str of at most 123 bytes of UTF-8",
}


def refuse(what, value=None):
    """Raise the error for a wrong argument.

    `what`: "url" or "handler" (`TypeError`), else a key of `_TEXTS` (`ValueError`); `value`: what
    was given.
    """
    if what == "url":
        raise TypeError("connect: url must be a str")
    if what == "handler":
        raise TypeError("on: handler must be a function or None")
    raise ValueError(_TEXTS[what].format(value))


def status_of(error, opening=False):
    """Return the status that "close" tells for an exception of the network stack.

    `error`: `OSError`, whose `errno` TLS may give negated, `EOFError` or `MemoryError`, `ValueError`
    of TLS. The numbers differ by port, so they are compared by name; ENETUNREACH (101, 114 on the
    ESP32) and EPIPE (32) have none. TLS has its own beyond 255. `opening`: whether the connection is not open yet.
    """
    if isinstance(error, ValueError):
        return -128 if opening else -161
    if isinstance(error, EOFError):
        return -99
    if isinstance(error, MemoryError):
        return -101
    code = error.errno
    code = abs(code) if isinstance(code, int) else 0
    for known, status in (
        (errno.ENOMEM, -101),
        (errno.ENOBUFS, -101),
        (errno.ETIMEDOUT, -103),
        (errno.EHOSTUNREACH, -104),
        (errno.ECONNABORTED, -108),
        (errno.ECONNRESET, -109),
        (errno.ECONNREFUSED, -111),
        (32, -109),
        (114 if platform == "esp32" else 101, -104),
    ):
        if code == known:
            return status
    return -199 if code < 256 else -128 if opening else -161


def delay(ws):
    """Return the ms that the client `ws` waits before it connects again, and count the attempt.

    At random between `reconnect_min_ms` and a limit that doubles with each attempt, up to
    `reconnect_max_ms`; a connection that stood for as long as that begins anew.
    """
    least = ws._options[_RECONNECT_MIN]
    most = ws._options[_RECONNECT_MAX]
    if ws._since is None:
        ws._found = None  # lwIP takes the request before it is connected, up to MicroPython 1.24
    # negative: it stood for longer than ticks_diff can tell
    elif not 0 <= ticks_diff(ticks_ms(), ws._since) < most:
        ws._tries = 0
    ws._tries = min(ws._tries + 1, 29)
    return least + ((min(max(least, 1) << ws._tries, most) - least) * urandom(1)[0] >> 8)


def close_payload(code, reason):
    """Return the payload of a Close frame (RFC 6455 5.5.1).

    `code`: 1000 to 1003, 1007 to 1014 or 3000 to 4999; `reason`: `str` of at most 123 bytes of UTF-8.
    Raises `ValueError` for others.
    """
    if type(code) is not int or not (999 < code < 1004 or 1006 < code < 1015 or 2999 < code < 5000):
        refuse("code", code)
    try:
        payload = bytes((code >> 8, code & 0xFF)) + reason.encode()
    except (AttributeError, UnicodeError):
        payload = b""
    if not 1 < len(payload) < 126 or utf8(payload, 2, len(payload), 0):
        refuse("reason")
    return payload


def failure_payload(status):
    """Return the payload of the Close frame that tells the server of a failure (RFC 6455 7.4.1)."""
    if status in (-8, -10, -11, -13):
        code = 1009  # message too big
    elif status == -207:
        code = 1007  # invalid payload data
    elif status == -16:
        code = 1011  # internal error
    elif status == -19:
        code = 1001  # going away
    else:
        code = 1002  # protocol error
    return bytes((code >> 8, code & 0xFF))


def bytes_of(message):
    """Return the memory of a bytes-like object, whatever its items are, as a memoryview of bytes, without a copy."""
    import uctypes

    view = memoryview(message)
    size = len(bytes(view[:1])) * len(view)
    return memoryview(uctypes.bytearray_at(uctypes.addressof(message), size))
