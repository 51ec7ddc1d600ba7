# _wsreply: the server's reply to the upgrade request. MIT licence, see LICENSE.
"""The server's part of the opening handshake of RFC 6455 4.2.2.

Loaded when the request is on its way, and let go again, see `_wsurl`.
"""

from micropython import const
from uwebsocket_client import ticks_ms

_HEADER = const(5)  # the event that a header is, as in uwebsocket_client

# What has been seen of a reply, each once: whether, and the subprotocol that was chosen. In the order of _NAMES.
_UPGRADE = const(0)
_ACCEPT = const(1)
_CONNECTION = const(2)
_PROTOCOL = const(3)

_NAMES = const(b" upgrade sec-websocket-accept connection sec-websocket-protocol sec-websocket-extensions ")

_MOST = const(16385)  # bytes of header lines in all are too many
_LINE = const(512)  # bytes of a line that matters
_PIECE = const(64)  # bytes that are asked for at once: the memory for them is taken before


def _text(line):
    # A line as a str; what is not UTF-8 byte by byte, as Latin-1.
    try:
        return str(line, "utf-8")
    except UnicodeError:
        return "".join(map(chr, line))


def _good(name, value, long, seen, accept, offered, match):
    # Whether a header of the reply is as RFC 6455 4.1 wants it; notes it in `seen`. `long`: whether a part of it is not
    # kept.
    # Which of these it is, by its place. No name, one with white space, a folded line: malformed.
    i = _NAMES.find(b" %s " % name)
    if not name or len(name.split()) > 1 or name.strip() != name or i >= 0 and long:
        return False
    if i == 0:
        seen[_UPGRADE] = _text(value).lower() == "websocket"  # which is a name of the interpreter's
        return seen[_UPGRADE]
    if i == 8:
        good = not seen[_ACCEPT] and value == accept
        seen[_ACCEPT] = True
        return good
    if i == 29:
        for i in value.lower().split(b","):
            if i.strip() == b"upgrade":
                seen[_CONNECTION] = True
    elif i == 40:
        good = seen[_PROTOCOL] is None and _text(value) in offered
        seen[_PROTOCOL] = _text(value)
        return good
    elif i > 0:
        return match(value) if match and value else not value
    return True


def reply(readline, accept, offered, ws, header=False, match=None):
    """Read and check the server's reply (RFC 6455 4.1, 4.2.2); a generator.

    `readline(n)` returns at most `n` bytes of the next line, with its end; less, or `None`, when
    no more has come. `accept`: bytes; `offered`: a list of the `str` that were offered. `ws`: an object that is
    given the attributes `http_status` (of a refusal), `error` and `protocol` (the server's choice). `header`: whether
    headers are yielded. `match`: where an extension was offered, the function that is given what the server has
    chosen, as bytes, and returns whether it may.

    Yields 0 when there is nothing to read; 5 and then a header, `(name, value)` as `str`; -7 or -17 as the
    last. Ends after the headers of a good reply. Takes nothing that follows the headers. Replies of 1xx before
    101 are passed over (RFC 9110 15.2).
    """
    room = _MOST
    code = 0  # of the reply, once its first line is read
    seen = [False, False, False, None]
    line = bytes()  # a literal would be an object of this module
    while True:
        value = readline(min(room, _PIECE))
        if not value:
            yield 0
            continue
        room -= len(value)
        ended = value[-1] == 10
        if header or len(line) <= _LINE:
            line += value
        if not code and line[:9] != b"HTTP/1.1 "[: len(line)]:
            break
        if not room:
            if code < 200:
                ws.error = "more than 16 KiB of headers"
                code = -7
            break
        if not ended:
            continue
        place = len(line)
        line = line.strip(b"\r\n")
        if not code:
            value = line[9:12]
            if not value.isdigit() or int(value) < 100 or line[12:13] not in b" ":
                break
            code = int(value)
            if code > 199:
                ws.http_status = code
                ws.error = _text(line)
                if not header:
                    break
        elif not line:
            if code != 101:
                if code > 199:
                    break
                code = 0  # an interim reply: another one follows
                continue
            if all(seen[:3]):
                ws.protocol = seen[_PROTOCOL]
                return
            ws.error = "missing header " + _text(_NAMES.split()[seen.index(False)])
            code = -7
            break
        else:
            i = line.find(b":")
            name = line[: max(i, 0)].lower()
            value = line[i + 1 :].strip()
            if code == 101 and not _good(name, value, place > _LINE, seen, accept, offered, match):
                ws.error = "wrong header " + _text(name or line[:_PIECE])
                code = -7
                break
            if header and name and (code == 101 or code > 199):
                yield _HEADER
                yield _text(name), _text(value)
        line = bytes()
    if code > 199:
        yield -17
    else:
        ws.error = ws.error or "no HTTP/1.1 reply"
        yield -7


def step(ws, connection, load):
    """Read the reply from the socket; a generator that yields what `reply` yields.

    Raises `OSError` of the network, `ValueError` of TLS, and `EOFError` for the end.
    """

    def readline(n):
        # a reset loses the part of a line that came before it, so the first byte is taken alone
        line = connection.socket.readline(n if connection.heard else 1)
        if line:
            connection.heard = True
        elif line is not None:
            raise EOFError
        if ws.http_status:
            connection.status = -17  # whatever comes after it
        return line

    accept, offered, match = connection.args
    yield from reply(readline, accept, offered, ws, ws._handlers["header"], match)
    connection.step = connection.args = None
    connection.got_ms = connection.sent_ms = connection.opened_ms = ticks_ms()
