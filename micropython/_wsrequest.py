# _wsrequest: the upgrade request. MIT licence, see LICENSE.
"""The client's part of the opening handshake of RFC 6455 4.1.

Loaded when the server is reached, and let go again, see `_wsurl`.
"""

from _wsprotocol import urandom
from micropython import const
from uwebsocket_client import binascii, sha1

_SEGMENT = const(1452)  # the most that one write takes, as in _wsconnect
_LEAST = const(256)


def memory(text):
    """Return the bytes of a str or bytes, as a memoryview; without a copy where the interpreter can."""
    try:
        return memoryview(text)
    except TypeError:
        return memoryview(text.encode())


def request(url, args, fields, key):
    """Make the upgrade request (RFC 6455 4.1); a generator of its pieces, `str` or bytes-like.

    `url`: `str`; `args`: what `parse_url` returned for it; `fields`: dict of the user's, checked, and of what is
    offered; `key`: bytes, the value of Sec-WebSocket-Key.
    """
    tls, host, port, start, authorization = args
    end = b"\r\n"
    yield b"GET "
    # path and query, percent-encoded
    url = memory(url)
    i = start
    if i == len(url) or url[i] != 0x2F:
        yield "/"  # a name of the interpreter's, bytes would be an object
    while i < len(url) and url[i] != 0x23:
        c = url[i]
        if c > 0x7E or c in b"^`{|}":
            yield url[start:i]
            yield b"%%%02X" % c
            start = i + 1
        i += 1
    yield url[start:i]
    yield b" HTTP/1.1\r\n"
    # the headers of every request, which the user's override
    lines = [(b"Host: [%s]" if b":" in host else b"Host: %s") % host, b"User-Agent: uwebsocket_client"]
    if port != (443 if tls else 80):
        lines[0] += b":%d" % port
    if authorization:
        lines.append(b"Authorization: " + authorization)
    names = b"\n%s\n" % "\n".join(fields).lower().encode()
    for line in lines:
        if b"\n%s\n" % line[: line.find(b":")].lower() not in names:
            yield line
            yield end
    yield b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    yield key
    yield end
    for name, value in fields.items():
        yield name
        yield b": "
        yield value
        yield end
    yield end


def step(ws, connection, load):
    """Send the upgrade request; a generator that yields 0 where there is no room for it.

    Leaves for the next phase what the server must give as Sec-WebSocket-Accept, as bytes, and what is offered, see
    `_wsurl`. Raises `OSError` of the network, `ValueError` of TLS.
    """
    if connection.heard is not None:
        connection.doing = "time-out: request"
    fields, protocols, match = connection.fields
    key = binascii.b2a_base64(urandom(16))[:-1]
    size = 0
    for piece in request(ws._url, connection.args, fields, key):
        size += len(memory(piece))
    try:
        buffer = bytearray(min(size, _SEGMENT))
    except MemoryError:
        buffer = bytearray(_LEAST)
    n = 0
    for piece in request(ws._url, connection.args, fields, key):
        piece = memory(piece)
        i = 0
        while i < len(piece):
            k = min(len(piece) - i, len(buffer) - n)
            buffer[n : n + k] = piece[i : i + k]
            n += k
            i += k
            size -= k
            if size and n < len(buffer):
                continue
            connection.buffer = buffer
            connection.start = 0
            connection.end = n
            while n:
                try:
                    if connection.flush(False):
                        n = 0
                finally:
                    if connection.start and connection.heard is None:
                        connection.heard = True
                        connection.doing = "time-out: request"
                if n:
                    yield 0
    connection.fields = None
    key = binascii.b2a_base64(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())[:-1]
    connection.args = key, protocols, match
    connection.step = "_wsreply"
    connection.doing = "time-out: reply"
    if connection.pollable is not connection.raw:
        # While hands are shaken the SSLSocket knows which way it waits. Afterwards TCP itself is asked, which wakes at
        # once: what mbedTLS has decrypted is never left, for the client reads until there is nothing.
        connection.poller.unregister(connection.pollable)
        connection.poller.register(connection.raw, connection.flags)
        connection.pollable = connection.raw
