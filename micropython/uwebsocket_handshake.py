# uwebsocket_handshake: from a URL to an open connection. MIT licence, see LICENSE.
"""The opening handshake of RFC 6455 4: the server's reply, and the way there.

Loaded while a connection is being opened, and let go again. Like `uwebsocket_request` it has few
names.
"""

import errno
import gc
import machine
import uselect
import usocket

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
    upgrade = connection = accepted = chosen = False
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
                good = not chosen and value in protocols
                chosen = True
                if good:
                    ws.protocol = value.decode()
            elif i > 0:
                good = not value
        else:
            if not (upgrade and connection and accepted):
                yield -7
            return
        if not good:
            yield -7
            return
        line = b""


def opening(ws, target):
    """Open the connection of `ws`; a generator.

    `target`: what `uwebsocket_request.prepare` returned. Sets `_sock` and `_poller` of `ws`, and
    what the server's reply gives.

    The first step does all that may block: DNS, and on an ESP8266 in the background TCP. Yields 0
    when there is nothing to do until the poller or the clock moves. Ends when the connection is
    open, or after yielding the status (below 0). Raises `OSError` of the network and `EOFError`
    for its end.
    """
    if isinstance(target, int):
        yield target
        return
    tls, host, port, text, accept, protocols = target
    if tls:
        yield -128
        return
    board = None
    if hasattr(machine, "Timer"):  # a PC has none
        import uwebsocket_board as board

        if not board.start(ws):
            yield -104
            return
    try:
        found = usocket.getaddrinfo(host.decode(), port, 0, usocket.SOCK_STREAM)
    except OSError:
        found = ()
    # the ESP32 lists IPv6 results without an address
    found = [info for info in found if info[4]]
    if not found:
        yield -5
        return

    heard = False

    def readline(n):
        nonlocal heard
        line = sock.readline(n)
        if line == b"":
            raise EOFError
        if line:
            heard = True
        return line

    gc.collect()
    for info in found:
        try:
            ws._sock = sock = usocket.socket(info[0], info[1])
            sock.setblocking(False)
            try:
                # before connect(): on lwIP it crashes after a reset. Firmware before 1.23 has
                # no such option, and no need: Nagle's algorithm is off there
                # IPPROTO_TCP; lwIP has a number of its own, and the unix port 1 without a name
                sock.setsockopt(6, getattr(usocket, "TCP_NODELAY", 1), 1)
            except OSError:
                pass
            try:
                sock.connect(info[4])
            except OSError as error:
                if error.errno != errno.EINPROGRESS:
                    raise
            ws._poller = poller = uselect.poll()
            # with HUP, for the ESP32 to show a failure
            poller.register(sock, uselect.POLLIN | uselect.POLLOUT | uselect.POLLHUP)
            if not (board and board.watch(ws)):
                yield 0
            start = 0
            while start < len(text):
                n = sock.write(text, start, len(text) - start)
                if n:
                    start += n
                else:
                    yield 0
            poller.modify(sock, uselect.POLLIN | uselect.POLLHUP)
            yield from reply(readline, accept, protocols, ws)
            return
        except OSError as error:
            if heard:
                raise
            ws.errno = error.errno
            if info is found[-1]:
                # lwIP tells a refused connection as a reset; EPIPE is 32
                if error.errno in (errno.ECONNRESET, 32):
                    yield -111
                    return
                raise
            sock.close()
