# _wsurl: takes a WebSocket URL apart. MIT licence, see LICENSE.
"""RFC 6455 3 and RFC 3986 3, strict enough that nothing can be smuggled into a request.

The first of the modules that take part in opening a connection, each loaded when its turn has come and let go
again: url, offers, connect, tls, request, reply. The names in them would stay in the interpreter all the same,
so they have few, and compare bytes, which are no names.
"""

from _wsprotocol import urandom
from micropython import const
from uwebsocket_client import binascii

# Indices of the options, see KEYS in _wsconfig
_HEADERS = const(0)
_PROTOCOLS = const(1)
_RECONNECT_MIN = const(10)
_RECONNECT_MAX = const(11)
_COMPRESSION = const(12)

_HANDLER = const(2)  # an owner, as in uwebsocket_client


def _clean(url):
    # Whether all characters of a URL, in UTF-8, may be in one.
    last = 0  # three bytes
    for c in url:
        last = (last << 8 | c) & 0xFFFFFF
        two = last & 0xFFFF
        if (
            c <= 0x20
            or c == 0x7F
            or c in b'"<>\\'  # what RFC 3986 leaves out, for deceiving
            or 0xC280 <= two <= 0xC2A0  # controls and white space up to U+00A0
            or 0xEDA0 <= two <= 0xEDBF  # surrogates
            # the white space beyond that: U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000
            or 0xE28080 <= last <= 0xE2808A
            or last in (0xE19A80, 0xE280A8, 0xE280A9, 0xE280AF, 0xE2819F, 0xE38080)
        ):
            return False
    return True


def _authority(host, port):
    # Host, port and the value of Authorization of what stands between // and the path; or the status. `port`: where
    # none is given.
    authorization = None
    i = host.find(b"@")
    if i >= 0:
        user = host[:i].split(b"%")
        if max(host) > 0x7E or host.rfind(b"@") > i:
            return -4
        try:
            for c in range(1, len(user)):
                if len(user[c]) < 2:
                    return -4
                user[c] = binascii.unhexlify(user[c][:2]) + user[c][2:]
        except ValueError:
            return -4
        if b":" not in host[:i]:
            user.append(b":")
        authorization = b"Basic " + binascii.b2a_base64(bytes().join(user))[:-1]
        host = host[i + 1 :]

    literal = 0x5B in host[:1]
    i = host.find(b"]" if literal else b":")
    digits = host[i:] if i >= 0 else bytes()
    host = host[literal : i if i >= 0 else len(host)]
    if literal:
        if digits[1:2].strip(b":") or not digits or host and b":" not in host:
            return -4
        digits = digits[1:]
    if len(host) > 256:
        return -2
    if not host:
        return -4
    for c in host:
        if not (0x30 <= c <= 0x39 or 0x61 <= c | 0x20 <= 0x7A or c in (b":.%" if literal else b"-._~")):
            return -4
    if digits:
        digits = digits[1:]
        if not digits.isdigit() or len(digits) > 256 or not 0 < int(digits) < 65536:
            return -3
        port = int(digits)
    return host, port, authorization


def parse_url(url):
    """Take a WebSocket URL apart (RFC 6455 3, RFC 3986 3).

    `url`: `str`. Returns `(tls, host, port, start, authorization)`: `host` as bytes, without the brackets of
    IPv6; `start` the byte of the URL, in UTF-8, at which path and query begin; `authorization` the value of that
    header or `None`. Or returns the status, -1 to -4.
    """
    try:
        url = memoryview(url)  # without a copy where the interpreter can
    except TypeError:
        try:
            url = url.encode()
        except UnicodeError:
            return -4
    if not _clean(url):
        return -4
    start = bytes(url[:6]).lower()
    tls = start == b"wss://"
    if not tls and start[:5] != b"ws://":
        return -1
    i = start = 6 if tls else 5
    while start < len(url) and url[start] not in b"/?#":
        start += 1
    parts = _authority(bytes(url[i:start]), 443 if tls else 80)
    return parts if isinstance(parts, int) else (tls, parts[0], parts[1], start, parts[2])


def step(ws, connection, load):
    """Begin an attempt: leaves in `connection` as `args` what `parse_url` returns, and as `fields` the user's headers,
    the subprotocols that are offered and the function that judges what the server makes of an extension, or `None`.

    Raises what a `headers` function raises, and `ValueError` for one that returns other headers than `config()` takes;
    the attempt has then ended with -199.
    """
    # At random between reconnect_min_ms and a limit that doubles with each attempt, up to reconnect_max_ms.
    least = ws._options[_RECONNECT_MIN]
    ws._tries += 1
    most = min(max(least, 1) << min(ws._tries, 29), ws._options[_RECONNECT_MAX])
    connection.pause_ms = least + ((most - least) * urandom(1)[0] >> 8)
    headers = None
    owner = ws._owner
    ws._owner = _HANDLER  # what is raised now is the program's, which may call the client as in a handler
    try:
        headers = ws._options[_HEADERS] or {}
        if callable(headers):
            headers = load("_wsconfig").header_fields(headers())
    except MemoryError:
        ws._end(-101)
    except BaseException:
        ws._end(-199)
        raise
    ws._owner = owner
    connection.args = parse_url(ws._url)
    connection.fields = headers, (), None
    offers = headers or ws._options[_PROTOCOLS] or ws._options[_COMPRESSION]
    connection.step = "_wsoffers" if offers else "_wsconnect"
