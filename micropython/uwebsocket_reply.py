# uwebsocket_reply: the server's reply to the upgrade request. MIT licence, see LICENSE.
"""The server's part of the opening handshake of RFC 6455 4.2.2.

Loaded when the request is on its way, and let go again, see `uwebsocket_url`.
"""

from micropython import const

_HEADER = const(5)  # the event that a header is, as in uwebsocket_client

_MOST = const(16384)  # bytes of header lines in all
_LINE = const(512)  # bytes of a line that matters
_PIECE = const(64)  # bytes that are asked for at once: the memory for them is taken before

_VERSION = b"HTTP/1.1 "

# The headers that decide, each at a place of its own
_NAMES = b" upgrade sec-websocket-accept connection sec-websocket-protocol sec-websocket-extensions "
_UPGRADE = const(0)
_ACCEPT = const(8)
_CONNECTION = const(29)
_PROTOCOL = const(40)
_EXTENSIONS = const(63)


def _text(line):
    # A line as a str; what is not UTF-8 byte by byte, as Latin-1.
    try:
        return str(line, "utf8")
    except UnicodeError:
        return "".join([chr(c) for c in line])


def _place(name):
    # Where a header stands among those that decide; below 0 for the others, which are passed over.
    return _NAMES.find(b" %s " % name) if name and len(name.split()) == 1 else -1


class _Reply:
    # What is known of the reply so far.

    def __init__(self, ws, accept, protocols):
        self._ws = ws
        self._accept = accept
        self._protocols = protocols
        self.code = None
        self._upgrade = self._connection = self._accepted = False
        self._chosen = None

    def status_line(self, line):
        # Takes the first line; returns whether it is one of HTTP/1.1 (RFC 9112 4).
        code = line[9:12]
        if line[:9] != _VERSION or line[12:13] not in (b"", b" "):
            return False
        if len(code) != 3 or not code.isdigit() or code < b"100":
            return False
        self.code = int(code)
        if self.refused():
            self._ws.http_status = self.code
            self._ws.error = _text(line)
        return True

    def refused(self):
        # Whether the reply is neither an upgrade nor an interim one.
        return self.code is not None and self.code > 199

    def header(self, name, value):
        # Takes a header of a 101; returns whether it is as RFC 6455 4.1 wants it.
        place = _place(name)
        if place == _UPGRADE:
            self._upgrade = value.lower() == b"websocket"
            return self._upgrade
        if place == _ACCEPT:
            good = not self._accepted and value == self._accept
            self._accepted = True
            return good
        if place == _CONNECTION:
            for token in value.lower().split(b","):
                self._connection = self._connection or token.strip() == b"upgrade"
        elif place == _PROTOCOL:
            value = _text(value)
            if self._chosen is not None or value not in self._protocols:
                return False
            self._chosen = value
        elif place == _EXTENSIONS:
            return not value
        return True

    def missing(self):
        # The name of a header that did not come, after the last one.
        if not self._upgrade:
            return "Upgrade"
        if not self._connection:
            return "Connection"
        if not self._accepted:
            return "Sec-WebSocket-Accept"
        self._ws.protocol = self._chosen
        return None


def reply(readline, accept, protocols, ws, wanted=False):
    """Read and check the server's reply (RFC 6455 4.1, 4.2.2); a generator.

    `readline(n)` returns at most `n` bytes of the next line, with its end; less, or `None`, when
    no more has come. `accept`: bytes; `protocols`: a list of the `str` that were offered. `ws`: an object that is
    given the attributes `http_status` (of a refusal), `error` and `protocol` (the server's choice). `wanted`: whether
    headers are yielded.

    Yields 0 when there is nothing to read; 5 and then a header, `(name, value)` as `str`; -7 or -17 as the
    last. Ends after the headers of a good reply. Takes nothing that follows the headers. Replies of 1xx before
    101 are passed over (RFC 9110 15.2).
    """
    found = _Reply(ws, accept, protocols)
    room = _MOST
    line = b""
    while True:
        value = readline(min(room, _PIECE))
        if not value:
            yield 0
            continue
        room -= len(value)
        ended = value[-1] == 10
        if len(line) <= _LINE or wanted:
            line += value
        if found.code is None and line[:9] != _VERSION[: len(line)]:
            ws.error = "no HTTP/1.1 reply"
            yield -7
            return
        if not ended and room:
            continue
        if not ended:
            ws.error = "more than 16 KiB of headers"
            yield -17 if found.refused() else -7
            return
        long = len(line) > _LINE
        line = line.strip(b"\r\n")
        if found.code is None:
            if not found.status_line(line):
                ws.error = "no HTTP/1.1 reply"
                yield -7
                return
            if found.refused() and not wanted:
                yield -17
                return
        elif line:
            i = line.find(b":")
            name = line[: max(i, 0)].lower()
            value = line[i + 1 :].strip()
            good = found.code != 101
            if not good:
                # no name, one with white space, a folded line: malformed
                good = name and len(name.split()) == 1 and name.strip() == name
                if good:
                    good = found.header(name, value) and not (long and _place(name) >= 0)
            if not good:
                ws.error = "wrong header " + _text(name or line[:_PIECE])
                yield -7
                return
            if wanted and name and (found.code == 101 or found.refused()):
                yield _HEADER
                yield _text(name), _text(value)
        elif found.refused():
            yield -17
            return
        elif found.code == 101:
            ws.error = found.missing()
            if ws.error:
                ws.error = "no header " + ws.error
                yield -7
            return
        else:
            found.code = None  # an interim reply: another one follows
        line = b""


def phase(ws, connection, load):
    """Read the reply from the socket; a generator that yields what `reply` yields.

    Raises `OSError` of the network, `ValueError` of TLS, and `EOFError` for the end.
    """
    accept, protocols = connection.target

    def readline(n):
        # a reset loses the part of a line that came before it, so the first byte is taken alone
        line = connection.sock.readline(n if connection.heard else 1)
        if line == b"":
            raise EOFError
        if line:
            connection.heard = True
        if ws.http_status and connection.status is None:
            connection.status = -17  # whatever comes after it
        return line

    yield from reply(readline, accept, protocols, ws, "header" in ws._handlers)
