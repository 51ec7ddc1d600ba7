# uwebsocket_request: the URL and the upgrade request. MIT licence, see LICENSE.
"""The client's part of the opening handshake of RFC 6455 4.1, as bytes.

Loaded when a connection is to be opened, and let go again. The names in it would stay in the
interpreter all the same, so it has few, and compares bytes, which are no names.
"""

from binascii import b2a_base64, unhexlify
from hashlib import sha1
import machine
from os import urandom

from micropython import const

# Indices of the options, see KEYS in uwebsocket_config
_HEADERS = const(0)
_PROTOCOLS = const(1)


def _find(data, byte):
    # where the byte is, or the end
    i = 0
    while i < len(data) and data[i] != byte:
        i += 1
    return i


def _credentials(user):
    # the Authorization header of "user:password", percent-decoded (RFC 7617), or None
    parts = user.split(b"%")
    try:
        for i in range(1, len(parts)):
            if len(parts[i]) < 2:
                return None
            parts[i] = unhexlify(parts[i][:2]) + parts[i][2:]
    except ValueError:
        return None
    if _find(user, 0x3A) == len(user):
        parts.append(b":")
    return b"Basic " + b2a_base64(b"".join(parts))[:-1]


def _host_and_port(host, port):
    # "host", "host:port", "[IPv6]:port" as a tuple, or a status; `port`: where there is none
    literal = bool(host) and host[0] == 0x5B
    i = _find(host, 0x5D if literal else 0x3A)
    digits = host[i:]
    host = host[literal:i]
    if literal:
        if not digits:
            return -4
        digits = digits[1:]
        if digits and digits[0] != 0x3A:
            return -4
    if len(host) > 256:
        return -2
    if not host:
        return -4
    for c in host:
        if not (
            0x30 <= c <= 0x39 or 0x61 <= c | 0x20 <= 0x7A or c in (b":.%" if literal else b"-._~")
        ):
            return -4
    if digits:
        digits = digits[1:]
        if not digits.isdigit() or len(digits) > 9 or not 0 < int(digits) < 65536:
            return -3
        port = int(digits)
    return host, port


def parse_url(url):
    """Take a WebSocket URL apart (RFC 6455 3, RFC 3986 3).

    `url`: `str`. Returns `(tls, host, port, path, authorization)`: `host` and `path` (with the
    query) as bytes, `host` without the brackets of IPv6, `authorization` the value of that header
    or `None`; or the status, -1 to -4.
    """
    try:
        url = url.encode()
    except UnicodeError:
        return -4
    i = 0
    for c in url:
        # white space and controls, in UTF-8 up to U+00A0, and surrogates
        if c <= 0x20 or c == 0x7F or i == 0xC2 and c <= 0xA0 or i == 0xED and c >= 0xA0:
            return -4
        i = c
    i = _find(url, 0x3A)
    if not 1 < i < 4 or url[:i].lower() != b"wss"[:i] or url[i : i + 3] != b"://":
        return -1
    tls = i > 2
    path = url[i + 3 :]
    path = path[: _find(path, 0x23)]  # up to a fragment
    i = min(_find(path, 0x2F), _find(path, 0x3F))
    host = path[:i]
    path = path[i:]

    authorization = None
    i = len(host) - 1
    while i >= 0 and host[i] != 0x40:  # @
        i -= 1
    if i >= 0:
        authorization = _credentials(host[:i]) if max(host) < 0x7F else None
        if authorization is None:
            return -4
        host = host[i + 1 :]
    host = _host_and_port(host, 443 if tls else 80)
    if isinstance(host, int):
        return host

    encoded = bytearray(b"" if path and path[0] == 0x2F else b"/")
    for c in path:
        if c > 0x7E or c in b'"<>\\^`{|}':
            encoded.extend(b"%%%02X" % c)
        else:
            encoded.append(c)
    return tls, host[0], host[1], bytes(encoded), authorization


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
    key = b2a_base64(key)[:-1]
    at = b"[%s]" % host if _find(host, 0x3A) < len(host) else host
    if port != (443 if tls else 80):
        at += b":%d" % port
    end = b"\r\n"
    lines = (
        b"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: uwebsocket_client\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s" % (path, at, key)
    ).split(end)
    if authorization:
        lines.append(b"Authorization: " + authorization)
    offers = []
    for name in protocols:
        offers.append(name.encode())
    for name, value in headers.items():
        name = name.encode() + b": "
        value = value.encode()
        if name.lower() == b"sec-websocket-protocol: ":
            for name in value.split(b","):
                name = name.strip()
                if name and name not in offers:
                    offers.append(name)
        else:
            for i in range(len(lines) - 1, 0, -1):
                if lines[i].lower().startswith(name.lower()):
                    lines.pop(i)
            lines.append(name + value)
    if offers:
        lines.append(b"Sec-WebSocket-Protocol: " + b",".join(offers))
    lines.append(end)
    key = b2a_base64(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())[:-1]
    return tls, host, port, end.join(lines), key, offers


def prepare(ws, url, call):
    """Do what comes before the network: the background, the user's headers, the request.

    `ws`: the client; `url`: as given to `connect()`; `call`: the client's way into a module that it
    does not keep.
    Returns what `request` returns. Raises what a `headers` function raises, and `ValueError` for
    one that returns other headers than `config()` takes.
    """
    if hasattr(machine, "Timer"):  # a PC has none
        import uwebsocket_board

        uwebsocket_board.start(ws)
    options = ws._options
    headers = options[_HEADERS] or {}
    if callable(headers):
        headers = call("config", "update", options, {"headers": headers()})[_HEADERS]
    return request(url, headers, options[_PROTOCOLS], urandom(16))
