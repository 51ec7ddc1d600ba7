# uwebsocket_reply: the server's reply to the upgrade request. MIT licence, see LICENSE.
"""The server's part of the opening handshake of RFC 6455 4.2.2.

Loaded when the request is on its way, and let go again, see `uwebsocket_url`.
"""

from errno import ECONNRESET

from micropython import const

_MOST = const(4096)  # bytes of the reply in all
_LINE = const(64)  # bytes that are asked for at once: the memory for them is taken before


def reply(readline, accept, protocols, ws):
    """Read and check the server's reply (RFC 6455 4.1, 4.2.2); a generator.

    `readline(n)` returns at most `n` bytes of the next line, with its end; less, or `None`, when
    no more has come. `accept`, `protocols`: from `request`. `ws`: an object that is given the
    attributes `http_status` (of a refusal) and `protocol` (the server's choice).

    Yields 0 when there is nothing to read. Ends after the headers of a good reply, or after
    yielding -7 or -17. Takes nothing that follows the headers.
    """
    room = _MOST
    upgrade = connection = accepted = False
    chosen = None
    line = b""
    code = None
    while True:
        if not room:
            yield -7
            return
        value = readline(min(room, _LINE))
        if not value:
            yield 0
            continue
        room -= len(value)
        line += value
        if value[-1] != 10:
            continue
        line = line.strip(b"\r\n")
        good = True
        if code is None:
            code = line[9:12]
            good = line[:7] == b"HTTP/1." and line[8:9] == b" " and line[12:13] in (b"", b" ")
            if good and len(code) == 3 and code.isdigit():
                if code != b"101":
                    ws.http_status = int(code)
                    yield -17
                    return
            else:
                good = False
        elif line:
            i = line.find(b":")
            name = line[: max(i, 0)].lower()
            value = line[i + 1 :].strip()
            # which of these, by its place; no name, one with white space, a folded line: malformed
            i = b" upgrade sec-websocket-accept connection sec-websocket-protocol sec-websocket-extensions ".find(
                b" %s " % name
            )
            if not name or len(name.split()) > 1 or name.strip() != name:
                good = False
            elif i == 0:
                good = upgrade = value.lower() == b"websocket"
            elif i == 8:
                good = not accepted and value == accept
                accepted = True
            elif i == 29:
                for name in value.lower().split(b","):
                    connection = connection or name.strip() == b"upgrade"
            elif i == 40:
                good = chosen is None and value in protocols
                chosen = value
            elif i > 0:
                good = not value
        else:
            if not (upgrade and connection and accepted):
                yield -7
            elif chosen:
                ws.protocol = chosen.decode()
            return
        if not good:
            yield -7
            return
        line = b""


def read(ws, value):
    """Read the reply from the socket of `ws`; a generator that yields what `reply` yields.

    `value`: the tuple of `accept` and `protocols` for `reply`, and whether the server has said
    something already, in TLS. Yields -111 too. Raises `OSError`
    of the network and `EOFError` for its end.
    """
    heard = value[2]

    def readline(n):
        nonlocal heard
        # a reset loses the part of a line that came before it, so the first byte is taken alone
        line = ws._sock.readline(n if heard else 1)
        if line == b"":
            raise EOFError
        if line:
            heard = True
        return line

    try:
        yield from reply(readline, value[0], value[1], ws)
    except OSError as error:
        # lwIP tells a refused connection as a reset
        if heard or error.errno != ECONNRESET:
            raise
        ws.errno = error.errno
        yield -111
