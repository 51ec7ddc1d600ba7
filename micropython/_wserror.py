# _wserror: wrong and rare arguments. MIT licence, see LICENSE.
"""Texts for wrong arguments, and what is only rarely given: a Close code of the user's, odd memory.

Loaded when it is needed, and let go again.
"""

_TEXTS = {
    "event": "on: unknown event {!r} (connection, receive, data, pong, header, close)",
    "opcode": "send: opcode must be 0, 1, 2, 9 or 10, not {!r}",
    "send": "send: a ping or pong holds at most 125 bytes, in one frame",
    "fin": "send: a fragmented message goes on with opcode 0 and ends with fin=True",
    "text": "send: text must be UTF-8",
    "code": "close: code must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, not {!r}",
    "reason": "close: reason must be a str of at most 123 bytes of UTF-8",
}


def throw(what, value=None):
    """Raise the error for a wrong argument.

    `what`: "url" or "handler" (`TypeError`), "wait" (`RuntimeError`), else a key of `_TEXTS`
    (`ValueError`); `value`: what was given.
    """
    if what == "url":
        raise TypeError("connect: url must be a str")
    if what == "handler":
        raise TypeError("on: handler must be a function or None")
    if what == "wait":
        raise RuntimeError("poll: a handler cannot wait")
    raise ValueError(_TEXTS[what].format(value))


def close(code, reason):
    """Return the payload of a Close frame (RFC 6455 5.5.1).

    `code`: 1000 to 1003, 1007 to 1014 or 3000 to 4999; `reason`: `str` of at most 123 bytes of UTF-8.
    Raises `ValueError` for others.
    """
    if type(code) is not int or not (999 < code < 1004 or 1006 < code < 1015 or 2999 < code < 5000):
        throw("code", code)
    if isinstance(reason, str) and len(reason) > 123:
        throw("reason")
    try:
        payload = bytes((code >> 8, code & 0xFF)) + reason.encode()
        # MicroPython lets surrogates and overlong forms into a str (RFC 3629 3). Not by utf8(), which is not there
        # while a connection opens where memory is short.
        for n in map(ord, reason):
            if 0xD7FF < n < 0xE000 or n > 0x10FFFF:
                throw("reason")
        if payload[2:] != "".join(map(chr, map(ord, reason))).encode():
            throw("reason")
    except (AttributeError, UnicodeError):
        payload = b""
    if not 1 < len(payload) < 126:
        throw("reason")
    return payload


def memory(message):
    """Return the memory of a bytes-like object, whatever its items are, as a memoryview of bytes, without a copy."""
    import uctypes

    view = memoryview(message)
    size = len(bytes(view[:1])) * len(view)
    return memoryview(uctypes.bytearray_at(uctypes.addressof(message), size))
