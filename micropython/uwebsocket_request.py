# uwebsocket_request: the URL and the upgrade request. MIT licence, see LICENSE.
"""The client's part of the opening handshake of RFC 6455 4.1, as bytes.

Loaded when a connection is to be opened, and let go again. The names in it would stay in the
interpreter all the same, so it has few, and compares bytes, which are no names.
"""

from binascii import b2a_base64
from hashlib import sha1
import machine
from os import urandom

from micropython import const

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


def request(url, headers, protocols, key):
    """Build the upgrade request (RFC 6455 4.1).

    `url`: `str`; `headers`: dict of the user's, checked; `protocols`: subprotocols to offer, `str`;
    `key`: 16 random bytes.
    Returns the status of `parse_url`, or `(tls, host, port, request, accept, protocols)`: the bytes
    to send, the value that the server must give as `Sec-WebSocket-Accept`, and all subprotocols
    that are offered, each as bytes.
    """
    target = parse_url(url)
    if isinstance(target, int):
        return target
    tls, host, port, path, authorization = target
    at = b"[" + host + b"]" if b":" in host else host
    if port != (443 if tls else 80):
        at += b":%d" % port
    defaults = {b"Host": at, b"User-Agent": b"uwebsocket_client"}
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
    return tls, host, port, b"\r\n".join(lines), key, protocols


def prepare(ws, url, load):
    """Do what comes before the network: the background, the user's headers, the request.

    `ws`: the client; `url`: as given to `connect()`; `load`: the client's way to import for a moment.
    Returns what `request` returns. Raises what a `headers` function raises, and `ValueError` for
    one that returns other headers than `config()` takes.
    """
    if hasattr(machine, "Timer"):  # a PC has none
        import uwebsocket_board

        uwebsocket_board.start(ws)
    options = ws._options
    headers = options[_HEADERS] or {}
    if callable(headers):
        headers = load("uwebsocket_config").update(options, {"headers": headers()})[_HEADERS]
    return request(url, headers, options[_PROTOCOLS], urandom(16))
