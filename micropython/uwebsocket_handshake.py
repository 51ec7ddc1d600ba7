# uwebsocket_handshake: from a URL to an open connection. MIT licence, see LICENSE.
"""The opening handshake of RFC 6455 4: URL, request and reply as bytes, then the way there.

Loaded while a connection is being opened, and let go again. The names in it would stay in the
interpreter all the same, so it has few, and compares bytes, which are no names.
"""

from binascii import b2a_base64
import errno
from hashlib import sha1
import machine
from os import urandom
import uselect
import usocket

from micropython import const

_MOST = const(4096)  # bytes of the reply in all

# Indices of the options, see KEYS in uwebsocket_config
_HEADERS = const(0)
_PROTOCOLS = const(1)


def parse_url(url):
    """Take a WebSocket URL apart (RFC 6455 3, RFC 3986 3).

    `url`: `str`. Returns `(tls, host, port, path, authorization)`: `host` and `path` (with the
    query) as bytes, `host` without the brackets of IPv6, `authorization` the value of that header
    or `None`; or the status, -1 to -4.
    """
    for c in url:
        c = ord(c)  # white space, controls, and what is no character
        if c <= 0x20 or 0x7F <= c <= 0xA0 or 0xD800 <= c <= 0xDFFF:
            return -4
    url = url.encode()
    i = url.find(b"://")
    scheme = url[: max(i, 0)].lower()
    if scheme not in (b"ws", b"wss"):
        return -1
    tls = len(scheme) > 2
    path = url[i + 3 :]
    i = path.find(b"#")
    if i >= 0:
        path = path[:i]
    i = 0
    while i < len(path) and path[i] not in b"/?":
        i += 1
    host = path[:i]
    path = path[i:]

    authorization = None
    i = host.rfind(b"@")
    if i >= 0:
        user = host[:i]
        host = host[i + 1 :]
        if b":" not in user:
            user += b":"
        plain = bytearray()
        i = 0
        while i < len(user):
            if user[i] > 0x7E:
                return -4
            if user[i] == 0x25:  # %
                try:
                    plain.append(int(user[i + 1 : i + 3].decode() + " "[len(user) - i > 2 :], 16))
                except ValueError:
                    return -4
                i += 2
            else:
                plain.append(user[i])
            i += 1
        authorization = b"Basic " + b2a_base64(plain)[:-1]

    port = None
    i = host.find(b":")
    extra = b"-._~"
    if host[:1] == b"[":
        extra = b":.%"
        i = host.find(b"]") + 1
        if i == 0 or i < len(host) and host[i] != 0x3A:
            return -4
        port = host[i + 1 :] if i < len(host) else None
        host = host[1 : i - 1]
    elif i >= 0:
        port = host[i + 1 :]
        host = host[:i]
    if len(host) > 256:
        return -2
    if not host:
        return -4
    for c in host:
        if not (0x30 <= c <= 0x39 or 0x61 <= c | 0x20 <= 0x7A or c in extra):
            return -4
    if port is None:
        port = 443 if tls else 80
    else:
        if not port.isdigit() or len(port) > 9:
            return -3
        port = int(port)
        if not 0 < port < 65536:
            return -3

    if path[:1] != b"/":
        path = b"/" + path
    out = bytearray()
    for c in path:
        if c > 0x7E or c in b'"<>\\^`{|}':
            out.extend(b"%%%02X" % c)
        else:
            out.append(c)
    return tls, host, port, bytes(out), authorization


def request(target, headers, protocols, key):
    """Build the upgrade request (RFC 6455 4.1).

    `target`: what `parse_url` returned; `headers`: dict of the user's, checked; `protocols`:
    subprotocols to offer; `key`: 16 random bytes.
    Returns `(request, accept, protocols)`: the bytes to send, the value that the server must give
    as `Sec-WebSocket-Accept`, and all subprotocols that are offered, each as bytes.
    """
    tls, host, port, path, authorization = target
    if b":" in host:
        host = b"[" + host + b"]"
    if port != (443 if tls else 80):
        host += b":%d" % port
    defaults = {b"Host": host, b"User-Agent": b"uwebsocket_client"}
    if authorization:
        defaults[b"Authorization"] = authorization
    protocols = [name.encode() for name in protocols]
    lines = [b"GET " + path + b" HTTP/1.1"]
    for name, value in headers.items():
        name = name.encode()
        value = value.encode()
        if name.lower() == b"sec-websocket-protocol":
            for value in value.split(b","):
                value = value.strip()
                if value and value not in protocols:
                    protocols.append(value)
        else:
            for default in list(defaults):
                if default.lower() == name.lower():
                    del defaults[default]
            lines.append(name + b": " + value)
    for name, value in defaults.items():
        lines.append(name + b": " + value)
    lines.append(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13")
    key = b2a_base64(key)[:-1]
    lines.append(b"Sec-WebSocket-Key: " + key)
    if protocols:
        lines.append(b"Sec-WebSocket-Protocol: " + b", ".join(protocols))
    lines.append(b"\r\n")
    key = b2a_base64(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())[:-1]
    return b"\r\n".join(lines), key, protocols


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
        value = readline(room)
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
            if not name or b" " in name or b"\t" in name:
                good = False  # no name, a name with white space, or a folded line
            elif name == b"upgrade":
                good = upgrade = value.lower() == b"websocket"
            elif name == b"connection":
                for name in value.lower().split(b","):
                    connection = connection or name.strip() == b"upgrade"
            elif name == b"sec-websocket-accept":
                good = not accepted and value == accept
                accepted = True
            elif name == b"sec-websocket-protocol":
                good = not chosen and value in protocols
                chosen = True
                if good:
                    ws.protocol = value.decode()
            elif name == b"sec-websocket-extensions":
                good = not value
        else:
            if not (upgrade and connection and accepted):
                yield -7
            return
        if not good:
            yield -7
            return
        line = b""


def opening(ws, url, load):
    """Open the connection of `ws`; a generator.

    `url`: as given to `connect()`; `load`: the client's way to import for a moment. Sets `_sock` and
    `_poller` of `ws`, and what the server's reply gives.

    The first step does all that may block: DNS, and on an ESP8266 in the background TCP. Yields 0
    when there is nothing to do until the poller or the clock moves. Ends when the connection is
    open, or after yielding the status (below 0). Raises `OSError` of the network, `EOFError` for
    its end, and what a `headers` function raises.
    """
    options = ws._options
    board = None
    if hasattr(machine, "Timer"):  # a PC has none
        import uwebsocket_board as board
    target = parse_url(url)
    if isinstance(target, int):
        yield target
        return
    headers = options[_HEADERS] or {}
    if callable(headers):
        headers = load("uwebsocket_config").update(options, {"headers": headers()})[_HEADERS]
    text, accept, protocols = request(target, headers, options[_PROTOCOLS], urandom(16))
    if target[0]:
        yield -128
        return
    if board and not board.start(ws):
        yield -104
        return
    try:
        found = usocket.getaddrinfo(target[1].decode(), target[2], 0, usocket.SOCK_STREAM)
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

    for info in found:
        try:
            ws._sock = sock = usocket.socket(info[0], info[1])
            sock.setblocking(False)
            try:
                # before connect(): on lwIP it crashes after a reset. Firmware before 1.23 has
                # no such option, and no need: Nagle's algorithm is off there
                sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY
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
