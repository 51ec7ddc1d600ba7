# uwebsocket_handshake: from a URL to an open connection. MIT licence, see LICENSE.
"""The opening handshake of RFC 6455 4: URL, request and reply as text, then the way there.

Loaded while a connection is being opened, and let go again. The names that it brings stay in the
interpreter, so it uses those that a firmware has anyway where it can, and bytes for texts.
"""

from binascii import b2a_base64
import errno
from hashlib import sha1
from micropython import const
from os import urandom
import uselect
import usocket

_MOST = const(4096)  # bytes of the reply in all

# Indices of the options, see KEYS in uwebsocket_config
_HEADERS = const(0)
_PROTOCOLS = const(1)
_CONNECT_TIMEOUT = const(2)
_BACKGROUND = const(13)


def _fails(what, need):
    raise ValueError("config: {} {}".format(what, need))


def check_token(what, text):
    """Raise `ValueError` unless `text` is a `str` that is a token of RFC 7230 3.2.6.

    `what`: the configuration key for the error's text.
    """
    if not isinstance(text, str) or not text:
        _fails(what, "must hold names of type str")
    for c in text:
        if not "!" < c < "\x7f" or c in '"(),/:;<=>?@[\\]{}':
            _fails(what, "has a character that a name must not have: {!r}".format(text))


def _offers(value):
    # the names in a comma-separated value
    return [item.strip() for item in value.split(",") if item.strip()]


def check_headers(headers):
    """Raise `ValueError` for a header that must not go into a request.

    `headers`: dict of names and values, both `str`. No name may be the client's own (`Upgrade`,
    `Connection`, `Sec-WebSocket-*` but `-Protocol`); no value may hold CR, LF or NUL.
    """
    for name, value in headers.items():
        check_token("headers", name)
        if not isinstance(value, str):
            _fails("header " + name, "must have a value of type str")
        for c in "\r\n\0":
            if c in value:
                _fails("header " + name, "must not hold CR, LF or NUL")
        low = name.lower()
        if low == "sec-websocket-protocol":
            for item in _offers(value):
                check_token("header " + name, item)
        elif low in ("upgrade", "connection") or low.startswith("sec-websocket-"):
            _fails("header " + name, "is the client's own")


def _percent_decode(text):
    out = bytearray()
    data = text.encode()
    i = 0
    while i < len(data):
        byte = data[i]
        if byte == 0x25:  # %
            try:
                byte = int(text[i + 1 : i + 3], 16) if i + 2 < len(data) else -1
            except ValueError:
                byte = -1
            if byte < 0:
                return None
            i += 2
        out.append(byte)
        i += 1
    return out


def parse_url(url):
    """Take a WebSocket URL apart (RFC 6455 3, RFC 3986 3).

    Returns `(tls, host, port, path, authorization)`: `host` as `getaddrinfo` wants it, `path`
    with the query, `authorization` the value of that header or `None`; or the status -1 to -4.
    """
    for c in url:
        c = ord(c)  # white space, controls, and what is no character
        if c <= 0x20 or 0x7F <= c <= 0xA0 or 0xD800 <= c <= 0xDFFF:
            return -4
    i = url.find("://")
    scheme = url[:i].lower() if i > 0 else ""
    if scheme not in ("ws", "wss"):
        return -1
    tls = scheme == "wss"
    url = url[i + 3 :]
    i = url.find("#")
    if i >= 0:
        url = url[:i]
    end = len(url)
    for c in "/?":
        i = url.find(c)
        if 0 <= i < end:
            end = i
    path = url[end:]
    host = url[:end]

    authorization = None
    i = host.rfind("@")
    if i >= 0:
        user = host[:i]
        host = host[i + 1 :]
        if max(user + " ") > "~":
            return -4
        user = _percent_decode(user if ":" in user else user + ":")
        if user is None:
            return -4
        authorization = "Basic " + b2a_base64(user)[:-1].decode()

    port = None
    literal = host.startswith("[")
    if literal:
        i = host.find("]")
        if i < 0:
            return -4
        if host[i + 1 : i + 2] == ":":
            port = host[i + 2 :]
        elif i + 1 < len(host):
            return -4
        host = host[1:i]
    else:
        i = host.find(":")
        if i >= 0:
            port = host[i + 1 :]
            host = host[:i]
    if len(host) > 256:
        return -2
    if not host:
        return -4
    for c in host:
        if not ("0" <= c <= "9" or "a" <= c.lower() <= "z" or c in (":.%" if literal else "-._~")):
            return -4
    if port is None:
        port = 443 if tls else 80
    else:
        if not port or len(port) > 9:
            return -3
        for c in port:
            if not "0" <= c <= "9":
                return -3
        port = int(port)
        if not 0 < port < 65536:
            return -3

    if not path.startswith("/"):
        path = "/" + path
    if max(path) > "~" or [c for c in '"<>\\^`{|}' if c in path]:
        path = "".join(
            [
                chr(b) if 0x20 < b < 0x7F and chr(b) not in '"<>\\^`{|}' else "%{:02X}".format(b)
                for b in path.encode()
            ]
        )
    return tls, host, port, path, authorization


def request(target, headers, protocols, nonce):
    """Build the upgrade request (RFC 6455 4.1).

    `target`: what `parse_url` returned; `headers`: dict of the user's, checked here;
    `protocols`: subprotocols to offer; `nonce`: 16 random bytes.
    Returns `(request, accept, protocols)`: the bytes to send, the value that the server must give
    as `Sec-WebSocket-Accept` (bytes), and all subprotocols that are offered.
    """
    check_headers(headers)
    tls, host, port, path, authorization = target
    if ":" in host:
        host = "[" + host + "]"
    if port != (443 if tls else 80):
        host += ":" + str(port)
    defaults = {"Host": host, "User-Agent": "uwebsocket_client"}
    if authorization:
        defaults["Authorization"] = authorization
    protocols = list(protocols)
    lines = ["GET " + path + " HTTP/1.1"]
    for name, value in headers.items():
        low = name.lower()
        if low == "sec-websocket-protocol":
            protocols += [item for item in _offers(value) if item not in protocols]
            continue
        for default in list(defaults):
            if default.lower() == low:
                del defaults[default]
        lines.append(name + ": " + value)
    lines += [name + ": " + value for name, value in defaults.items()]
    key = b2a_base64(nonce)[:-1]
    lines.append("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13")
    lines.append("Sec-WebSocket-Key: " + key.decode())
    if protocols:
        lines.append("Sec-WebSocket-Protocol: " + ", ".join(protocols))
    lines.append("\r\n")
    accept = b2a_base64(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())[:-1]
    return "\r\n".join(lines).encode(), accept, protocols


def reply(readline, accept, protocols, result):
    """Read and check the server's reply (RFC 6455 4.1, 4.2.2); a generator.

    `readline(n)` returns at most `n` bytes of the next line, with its end; less, or `None`, when
    no more has come. `accept`, `protocols`: from `request`. `result`: an object that is given the
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
        part = readline(room)
        if not part:
            yield 0
            continue
        room -= len(part)
        line += part
        if part[-1] != 10:
            continue
        line = line.strip(b"\r\n")
        if code is None:
            code = line[9:12]
            good = line.startswith(b"HTTP/1.") and line[8:9] == b" " and line[12:13] in (b"", b" ")
            if not good or len(code) < 3 or not code.isdigit():
                yield -7
                return
            if code != b"101":
                result.http_status = int(code)
                yield -17
                return
        elif line:
            i = line.find(b":")
            name = line[:i].lower()
            # no name, a name with white space, or a folded line
            if i < 1 or b" " in name or b"\t" in name:
                yield -7
                return
            value = line[i + 1 :].strip()
            good = True
            if name == b"upgrade":
                good = upgrade = value.lower() == b"websocket"
            elif name == b"connection":
                for item in value.lower().split(b","):
                    connection = connection or item.strip() == b"upgrade"
            elif name == b"sec-websocket-accept":
                good = not accepted and value == accept
                accepted = True
            elif name == b"sec-websocket-protocol":
                good = not chosen and value in [item.encode() for item in protocols]
                chosen = True
                if good:
                    result.protocol = value.decode()
            elif name == b"sec-websocket-extensions":
                good = not value
            if not good:
                yield -7
                return
        else:
            if not (upgrade and connection and accepted):
                yield -7
            return
        line = b""


def _wifi_down():
    # True where a station interface is in use, has no link, and no access point serves instead
    try:
        import network

        station = network.WLAN(network.STA_IF)
        if station.active() and not station.isconnected():
            return not network.WLAN(network.AP_IF).active()
    except (ImportError, AttributeError, OSError):
        pass
    return False


def _background(options):
    # the module that drives clients in the background, where the port can
    if options[_BACKGROUND] is not False:
        import machine

        if hasattr(machine, "Timer"):
            import uwebsocket_background

            return uwebsocket_background
    return None


def opening(ws, url, options):
    """Open the connection of `ws`; a generator.

    `url`: as given to `connect()`; `options`: a tuple in the order of `uwebsocket_config.KEYS`.
    Sets `_sock` and `_poller` of `ws`, and what the server's reply gives.

    The first step does all that may block: DNS, and on an ESP8266 in the background TCP. Yields 0
    when there is nothing to do until the poller or the clock moves. Ends when the connection is
    open, or after yielding the status (below 0). Raises `OSError` of the network, `EOFError` for
    its end, and what a `headers` function raises.
    """
    background = _background(options)
    if background:
        background.add(ws, options)
    target = parse_url(url)
    if isinstance(target, int):
        yield target
        return
    headers = options[_HEADERS]
    text, accept, protocols = request(
        target, headers() if callable(headers) else headers, options[_PROTOCOLS], urandom(16)
    )
    if target[0]:
        yield -128
        return
    if _wifi_down():
        yield -104
        return
    try:
        # the ESP32 lists IPv6 results without an address
        found = [info for info in usocket.getaddrinfo(target[1], target[2], 0, usocket.SOCK_STREAM) if info[4]]
    except OSError:
        found = ()
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
            if not (background and background.watch(sock, poller, options[_CONNECT_TIMEOUT])):
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
