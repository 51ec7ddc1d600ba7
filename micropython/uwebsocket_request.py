# uwebsocket_request: the upgrade request. MIT licence, see LICENSE.
"""The client's part of the opening handshake of RFC 6455 4.1, as bytes.

Loaded when a connection is to be opened, and let go again, see `uwebsocket_url`.
"""

from binascii import b2a_base64
from hashlib import sha1
from os import urandom

import machine
from micropython import const

# Indices of the options, see KEYS in uwebsocket_config
_HEADERS = const(0)
_PROTOCOLS = const(1)


def request(target, headers, protocols, key):
    """Build the upgrade request (RFC 6455 4.1).

    `target`: what `parse_url` returned; `headers`: dict of the user's, checked; `protocols`:
    subprotocols to offer, `str`; `key`: 16 random bytes.
    Returns `(tls, host, port, request, accept, protocols)`: the bytes to send, the value that the
    server must give as `Sec-WebSocket-Accept`, and all subprotocols that are offered, each as bytes.
    """
    tls, host, port, path, authorization = target
    key = b2a_base64(key)[:-1]
    at = b"[%s]" % host if host.find(b":") >= 0 else host
    if port != (443 if tls else 80):
        at += b":%d" % port
    end = b"\r\n"
    lines = (
        b"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: uwebsocket_client\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s" % (path, at, key)
    ).split(end)
    if authorization:
        lines.append(b"Authorization: " + authorization)
    offers = []
    for name in protocols:
        name = name.encode()
        if name not in offers:
            offers.append(name)
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


def prepare(ws, target, call):
    """Do what comes before the network: the background, the user's headers, the request.

    `ws`: the client; `target`: what `parse_url` returned; `call`: the client's way into a module that
    it does not keep.
    Returns what `request` returns, or `target` if that is a status. Raises what a `headers` function
    raises, and `ValueError` for one that returns other headers than `config()` takes.
    """
    if hasattr(machine, "Timer"):  # a PC has none
        import uwebsocket_board

        uwebsocket_board.start(ws)
    if isinstance(target, int):
        return target
    options = ws._options
    headers = options[_HEADERS] or {}
    if callable(headers):
        headers = call("config", "update", options, {"headers": headers()})[_HEADERS]
    return request(target, headers, options[_PROTOCOLS], urandom(16))
