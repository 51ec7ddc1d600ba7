"""URLs, upgrade requests and replies, and what must be made of them (RFC 6455 3 and 4), for every interpreter."""

URLS = []  # (name, url, status or (tls, host, port, path, authorization))
REQUESTS = []  # (name, url, headers, protocols, the request's lines in any order, the subprotocols that are offered)
REPLIES = []  # (name, reply, protocols, status or (protocol,), http_status)
HEADERS = []  # (name, reply, the headers that "header" tells)

# ---- URLs


def url(name, text, *told):
    """Add a URL: with a status, or with what differs from ws://h/, in the order (host, port, path, authorization)."""
    if isinstance(told[0], int):
        URLS.append((name, text, told[0]))
    else:
        host, port, path, authorization = (told + (None,) * 4)[:4]
        tls = text[2] in "sS"
        URLS.append((name, text, (tls, host, port or (443 if tls else 80), path or b"/", authorization)))


url("host", "ws://h", b"h")
url("host-and-slash", "ws://h/", b"h")
url("tls", "wss://h/", b"h")
url("scheme-in-capitals", "WS://h/", b"h")
url("scheme-in-mixed-case", "wSs://h/", b"h")
url("host-keeps-its-case", "ws://Host.Example/", b"Host.Example")
url("host-with-hyphens-and-digits", "ws://a-1.b-2.3/", b"a-1.b-2.3")
url("host-with-underscore", "ws://my_host/", b"my_host")
url("host-with-a-last-dot", "ws://example.com./", b"example.com.")
url("ip-address", "ws://192.168.1.10:8080/echo", b"192.168.1.10", 8080, b"/echo")
url("host-of-256", "ws://" + "a" * 256 + "/", b"a" * 256)
url("port", "ws://h:8080/", b"h", 8080)
url("port-without-a-path", "ws://h:8080", b"h", 8080)
url("port-first", "ws://h:1/", b"h", 1)
url("port-last", "ws://h:65535/", b"h", 65535)
url("port-with-leading-zeros", "ws://h:00080/", b"h", 80)
url("port-with-many-leading-zeros", "ws://h:0000000080/", b"h", 80)
url("port-of-the-other-scheme", "wss://h:80/", b"h", 80)
url("ipv6", "ws://[::1]/", b"::1")
url("ipv6-and-port", "ws://[2001:db8::1]:9000/x", b"2001:db8::1", 9000, b"/x")
url("ipv6-with-ipv4", "ws://[::ffff:10.0.0.1]", b"::ffff:10.0.0.1")
url("path", "ws://h/a/b/c", b"h", None, b"/a/b/c")
url("path-and-query", "ws://h/a?b=c&d=e", b"h", None, b"/a?b=c&d=e")
url("query-without-a-path", "ws://h?b=c", b"h", None, b"/?b=c")
url("query-without-a-path-after-a-port", "ws://h:81?b", b"h", 81, b"/?b")
url("query-empty", "ws://h/?", b"h", None, b"/?")
url("query-with-slash", "ws://h?a/b", b"h", None, b"/?a/b")
url("query-with-at", "ws://h?user@example.com", b"h", None, b"/?user@example.com")
url("path-with-at", "ws://h/@x", b"h", None, b"/@x")
url("path-with-colon", "ws://h/a:1", b"h", None, b"/a:1")
url("path-with-another-url", "ws://h/http://x:y@z/", b"h", None, b"/http://x:y@z/")
url("fragment", "ws://h/a#b", b"h", None, b"/a")
url("fragment-after-a-query", "ws://h/a?b#c?d/e", b"h", None, b"/a?b")
url("fragment-without-a-path", "ws://h#a/b@c", b"h")
url("fragment-after-a-port", "ws://h:81#x", b"h", 81)
url("path-not-ascii", "ws://h/\u00e9\u20ac\U0001f600", b"h", None, b"/%C3%A9%E2%82%AC%F0%9F%98%80")
url("query-not-ascii", "ws://h/?q=\u00fc", b"h", None, b"/?q=%C3%BC")
url("path-percent-encoded", "ws://h/%20%C3%a9%2F", b"h", None, b"/%20%C3%a9%2F")
url("user", "ws://user:pass@h/", b"h", None, None, b"Basic dXNlcjpwYXNz")
url("user-and-port", "wss://user:pass@h:8443/x", b"h", 8443, b"/x", b"Basic dXNlcjpwYXNz")
url("user-and-ipv6", "ws://user:pass@[::1]:81/", b"::1", 81, None, b"Basic dXNlcjpwYXNz")
url("user-without-a-path", "ws://user:pass@h?q", b"h", None, b"/?q", b"Basic dXNlcjpwYXNz")
url("user-without-password", "ws://user@h/", b"h", None, None, b"Basic dXNlcjo=")
url("user-with-empty-password", "ws://user:@h/", b"h", None, None, b"Basic dXNlcjo=")
url("user-percent-decoded", "ws://us%65r:p%40ss%3a%2F%e2%82%ac@h/", b"h", None, None, b"Basic dXNlcjpwQHNzOi/igqw=")
url("user-with-encoded-line-end", "ws://u:%0d%0aX%3A%201@h/", b"h", None, None, b"Basic dToNClg6IDE=")
url("password-with-colon", "ws://user:a:b@h/", b"h", None, None, b"Basic dXNlcjphOmI=")
url("password-long", "ws://user:" + "x" * 120 + "@h/", b"h", None, None, b"Basic dXNlcjp4" + b"eHh4" * 39 + b"eHg=")

for _name, _text in (
    ("http", "http://h/"),
    ("https", "https://h/"),
    ("wsx", "wsx://h/"),
    ("w", "w://h/"),
    ("none", "h/path"),
    ("none-with-port", "h:80/"),
    ("empty", "://h/"),
    ("nothing", ""),
    ("one-slash", "ws:/h/"),
    ("no-slashes", "ws:h"),
    ("alone", "ws"),
    ("colon", "ws:"),
    ("relative", "//h/"),
    ("in-the-path", "x/ws://h/"),
):
    url("scheme-" + _name, _text, -1)

url("host-of-257", "ws://" + "a" * 257 + "/", -2)
url("host-of-257-with-user-and-port", "ws://u:p@" + "a" * 257 + ":80/", -2)
url("host-of-5000", "wss://" + "a." * 2500, -2)

for _port in (
    "0",
    "65536",
    "99999",
    "100000",
    "18446744073709551696",
    "-1",
    "+80",
    "8o",
    "80a",
    "0x50",
    "80:",
    ":80",
    "",
    "8.0",
    "1e3",
    "\u0661",
    "00",
):
    url("port-" + (_port or "missing"), "ws://h:" + _port + "/", -3)
    url("port-{}-of-ipv6".format(_port or "missing"), "ws://[::1]:" + _port, -3)

for _name, _text in (
    ("missing", "ws://"),
    ("missing-before-a-path", "ws:///x"),
    ("missing-before-a-query", "ws://?x"),
    ("missing-before-a-fragment", "ws://#x"),
    ("missing-before-a-port", "ws://:80/"),
    ("missing-after-a-user", "ws://u:p@/"),
    ("missing-after-a-user-before-a-port", "ws://u@:80"),
    ("not-ascii", "ws://h\u00e9/"),
    ("not-ascii-at-all", "ws://\u4e2d\u6587/"),
    ("with-percent", "ws://h%41/"),
    ("with-comma", "ws://a,b/"),
    ("with-plus", "ws://a+b/"),
    ("with-pipe", "ws://a|b/"),
    ("ipv6-not-closed", "ws://[::1/"),
    ("ipv6-not-opened", "ws://::1]/"),
    ("ipv6-empty", "ws://[]/"),
    ("ipv6-followed", "ws://[::1]x/"),
    ("ipv6-followed-by-digits", "ws://[::1]80/"),
    ("ipv6-nested", "ws://[[::1]]/"),
    ("brackets-without-ipv6", "ws://[abc]/"),
):
    url("host-" + _name, _text, -4)
for _name, _text in (
    ("bad-percent", "ws://us%zzer@h/"),
    ("half-percent", "ws://user%4@h/"),
    ("percent-alone", "ws://user%@h/"),
    ("percent-twice", "ws://us%%41@h/"),
    ("percent-sign", "ws://us%+1@h/"),
    ("percent-minus", "ws://us%-1@h/"),
    ("percent-underscore", "ws://us%1_@h/"),
    ("percent-x", "ws://us%0x@h/"),
    ("not-ascii", "ws://\u00fcser@h/"),
    ("with-at", "ws://us@er@h/"),
    ("twice", "ws://user@@h/"),
    ("password-with-at", "ws://user:p@ss@h/"),
    ("before-another-host", "ws://user@good.example:80@evil.example/"),
):
    url("user-" + _name, _text, -4)
for _name, _char in (("backslash", "\\"), ("less", "<"), ("greater", ">"), ("quote", '"')):
    for _place, _text in (
        ("first", "{}ws://h/"),
        ("scheme", "w{}s://h/"),
        ("user", "ws://u{}:p@h/"),
        ("password", "ws://u:p{}@h/"),
        ("host", "ws://a{}b/"),
        ("port", "ws://h:8{}0/"),
        ("path", "ws://h/a{}b"),
        ("query", "ws://h/?a{}b"),
        ("fragment", "ws://h/#a{}b"),
        ("last", "ws://h/{}"),
        ("for-the-slash", "ws://h{}x"),
    ):
        url("{}-{}".format(_name, _place), _text.format(_char), -4)
_SPACES = tuple(range(0x2000, 0x200B)) + (0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
for _code in (0, 9, 10, 11, 12, 13, 0x1B, 0x1F, 0x20, 0x7F, 0x80, 0x85, 0x9F, 0xA0) + _SPACES:
    for _place, _text in (
        ("first", "{}ws://h/"),
        ("scheme", "w{}s://h/"),
        ("user", "ws://u{}@h/"),
        ("host", "ws://h{}h/"),
        ("port", "ws://h:8{}0/"),
        ("path", "ws://h/a{}b"),
        ("query", "ws://h/?a{}b"),
        ("fragment", "ws://h/#a{}b"),
        ("last", "ws://h/{}"),
    ):
        url("character-{:02x}-{}".format(_code, _place), _text.format(chr(_code)), -4)
for _code in (0xD800, 0xDBFF, 0xDC00, 0xDFFF):
    url("surrogate-{:x}".format(_code), "ws://h/" + chr(_code), -4)
url("smuggled-header", "ws://h/ HTTP/1.1\r\nX: 1\r\n\r\n", -4)
url("smuggled-header-in-the-host", "ws://h\r\nX:1/", -4)

# ---- requests

KEY = b"the sample nonce"  # of RFC 6455 1.3
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
_AGENT = "User-Agent: uwebsocket_client"
_FIXED = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def request(name, text, *lines, headers=None, protocols=(), offered=None, target="/"):
    """Add a request: what its lines are beside those of every request."""
    lines = ("GET {} HTTP/1.1".format(target),) + _FIXED + lines
    REQUESTS.append((name, text, headers or {}, protocols, lines, offered or list(protocols)))


request("plain", "ws://h/", "Host: h", _AGENT)
request("target", "ws://h/a?b#c", "Host: h", _AGENT, target="/a?b")
request("target-not-ascii", "ws://h/\u00e9", "Host: h", _AGENT, target="/%C3%A9")
request("port-is-told", "ws://h:8080/", "Host: h:8080", _AGENT)
request("port-80-is-not-told", "ws://h:80/", "Host: h", _AGENT)
request("port-443-is-not-told-with-tls", "wss://h:443/", "Host: h", _AGENT)
request("port-443-is-told-without-tls", "ws://h:443/", "Host: h:443", _AGENT)
request("port-80-is-told-with-tls", "wss://h:80/", "Host: h:80", _AGENT)
request("ipv6", "ws://[::1]/", "Host: [::1]", _AGENT)
request("ipv6-and-port", "ws://[::1]:81/", "Host: [::1]:81", _AGENT)
request("user", "ws://user:pass@h/", "Host: h", _AGENT, "Authorization: Basic dXNlcjpwYXNz")
request(
    "header",
    "ws://h/",
    "Host: h",
    _AGENT,
    "X-Token: abc",
    "Cookie: a=b; c=d",
    headers={"X-Token": "abc", "Cookie": "a=b; c=d"},
)
request("header-empty", "ws://h/", "Host: h", _AGENT, "X: ", headers={"X": ""})
request("header-not-ascii", "ws://h/", "Host: h", _AGENT, "X: \u00e9\u20ac", headers={"X": "\u00e9\u20ac"})
request("header-with-percent", "ws://h/", "Host: h", _AGENT, "X: 100%s%d", headers={"X": "100%s%d"})
for _name in ("User-Agent", "user-agent", "USER-AGENT", "uSER-aGENT"):
    request("overrides-" + _name, "ws://h/", "Host: h", _name + ": mine", headers={_name: "mine"})
for _name in ("Host", "host", "HOST"):
    request("overrides-" + _name, "ws://h:8080/", _name + ": other", _AGENT, headers={_name: "other"})
for _name in ("Authorization", "authorization"):
    request(
        "overrides-" + _name, "ws://user:pass@h/", "Host: h", _AGENT, _name + ": Bearer t", headers={_name: "Bearer t"}
    )
request(
    "overrides-all",
    "ws://u@h/",
    "host: a",
    "user-agent: b",
    "authorization: c",
    headers={"host": "a", "user-agent": "b", "authorization": "c"},
)
request(
    "protocols",
    "ws://h/",
    "Host: h",
    _AGENT,
    "Sec-WebSocket-Protocol: chat, superchat",
    protocols=("chat", "superchat"),
)
request(
    "protocol-given-twice",
    "ws://h/",
    "Host: h",
    _AGENT,
    "Sec-WebSocket-Protocol: a",
    protocols=("a", "a"),
    offered=["a"],
)
request("protocol", "ws://h/", "Host: h", _AGENT, "Sec-WebSocket-Protocol: mqtt", protocols=("mqtt",))
for _name in ("Sec-WebSocket-Protocol", "sec-websocket-protocol"):
    request(
        "protocols-as-" + _name,
        "ws://h/",
        "Host: h",
        _AGENT,
        "Sec-WebSocket-Protocol: a, b",
        headers={_name: "a, b"},
        offered=["a", "b"],
    )
request(
    "protocols-both-ways",
    "ws://h/",
    "Host: h",
    _AGENT,
    "Sec-WebSocket-Protocol: a, b, c",
    protocols=("a", "b"),
    headers={"Sec-WebSocket-Protocol": "b , c"},
    offered=["a", "b", "c"],
)
request(
    "protocols-twice",
    "ws://h/",
    "Host: h",
    _AGENT,
    "Sec-WebSocket-Protocol: a",
    headers={"Sec-WebSocket-Protocol": "a,a"},
    offered=["a"],
)

# ---- replies

PROTOCOLS = ["chat", "superchat"]
REPLY_MOST = 16384  # bytes of header lines in all
LINE_MOST = 512  # bytes of a line that matters, with its end
_STATUS = b"HTTP/1.1 101 Switching Protocols"
_UPGRADE = b"Upgrade: websocket"
_CONNECTION = b"Connection: Upgrade"
_ACCEPTED = b"Sec-WebSocket-Accept: " + ACCEPT
GOOD_LINES = (_STATUS, _UPGRADE, _CONNECTION, _ACCEPTED)


def joined(*lines):
    """Return the lines as the head of a reply."""
    return b"\r\n".join(lines + (b"", b""))


def reply(name, told, *lines, protocols=PROTOCOLS, http_status=None):
    """Add a reply of these lines: `told` is the status, or a tuple of the protocol that was chosen."""
    REPLIES.append((name, joined(*lines), protocols, told, http_status))


def good(name, *lines, protocol=None):
    """Add a reply that opens the connection."""
    reply(name, (protocol,), *lines)


good("good", *GOOD_LINES)
good("headers-in-another-order", _STATUS, _ACCEPTED, _CONNECTION, _UPGRADE)
good("names-in-capitals", _STATUS, b"UPGRADE: websocket", b"CONNECTION: Upgrade", b"SEC-WEBSOCKET-ACCEPT: " + ACCEPT)
good(
    "names-in-small-letters", _STATUS, b"upgrade: websocket", b"connection: Upgrade", b"sec-websocket-accept: " + ACCEPT
)
good("values-in-capitals", _STATUS, b"Upgrade: WEBSOCKET", b"Connection: UPGRADE", _ACCEPTED)
good("values-in-mixed-case", _STATUS, b"Upgrade: WebSocket", b"Connection: uPGRADE", _ACCEPTED)
good("no-spaces", _STATUS, b"Upgrade:websocket", b"Connection:Upgrade", b"Sec-WebSocket-Accept:" + ACCEPT)
good(
    "many-spaces",
    _STATUS,
    b"Upgrade:   websocket  ",
    b"Connection: \t Upgrade \t",
    b"Sec-WebSocket-Accept: " + ACCEPT + b" \t",
)
good("connection-is-a-list", _STATUS, _UPGRADE, b"Connection: keep-alive, Upgrade", _ACCEPTED)
good("connection-is-a-list-without-spaces", _STATUS, _UPGRADE, b"Connection: upgrade,keep-alive", _ACCEPTED)
good("connection-twice", _STATUS, _UPGRADE, b"Connection: keep-alive", _CONNECTION, b"Connection: x", _ACCEPTED)
good(
    "other-headers",
    _STATUS,
    b"Server: x/1.0",
    b"Date: Mon, 01 Jan 2026 10:00:00 GMT",
    *GOOD_LINES[1:],
    b"Set-Cookie: a=b: c",
    b"X:",
)
good("no-reason-phrase", b"HTTP/1.1 101 ", *GOOD_LINES[1:])
good("no-reason-phrase-nor-space", b"HTTP/1.1 101", *GOOD_LINES[1:])
good("another-reason-phrase", b"HTTP/1.1 101 Web Socket Protocol Handshake", *GOOD_LINES[1:])
good("reason-phrase-not-ascii", b"HTTP/1.1 101 \xc3\xa9\xff", *GOOD_LINES[1:])
good("protocol-first", *GOOD_LINES, b"Sec-WebSocket-Protocol: chat", protocol="chat")
good("protocol-second", *GOOD_LINES, b"sec-websocket-protocol:superchat ", protocol="superchat")
good("extensions-empty", *GOOD_LINES, b"Sec-WebSocket-Extensions:")
good("long-header", _STATUS, b"X: " + b"x" * 3000, *GOOD_LINES[1:])
good("many-headers", _STATUS, *([b"X-Header: value"] * 200), *GOOD_LINES[1:])

reply("no-upgrade", -7, _STATUS, _CONNECTION, _ACCEPTED)
reply("no-connection", -7, _STATUS, _UPGRADE, _ACCEPTED)
reply("no-accept", -7, _STATUS, _UPGRADE, _CONNECTION)
reply("no-headers", -7, _STATUS)
reply("upgrade-wrong", -7, _STATUS, b"Upgrade: h2c", _CONNECTION, _ACCEPTED)
reply("upgrade-longer", -7, _STATUS, b"Upgrade: websockets", _CONNECTION, _ACCEPTED)
reply("upgrade-empty", -7, _STATUS, b"Upgrade:", _CONNECTION, _ACCEPTED)
reply("connection-wrong", -7, _STATUS, _UPGRADE, b"Connection: keep-alive", _ACCEPTED)
reply("connection-longer", -7, _STATUS, _UPGRADE, b"Connection: Upgrades, xUpgrade", _ACCEPTED)
reply("connection-empty", -7, _STATUS, _UPGRADE, b"Connection: ", _ACCEPTED)
reply("accept-wrong", -7, *GOOD_LINES[:3], b"Sec-WebSocket-Accept: " + b"A" * 27 + b"=")
reply("accept-in-another-case", -7, *GOOD_LINES[:3], b"Sec-WebSocket-Accept: " + ACCEPT.lower())
reply("accept-shorter", -7, *GOOD_LINES[:3], b"Sec-WebSocket-Accept: " + ACCEPT[:-1])
reply("accept-longer", -7, *GOOD_LINES[:3], b"Sec-WebSocket-Accept: " + ACCEPT + b"=")
reply("accept-empty", -7, *GOOD_LINES[:3], b"Sec-WebSocket-Accept:")
reply("accept-twice", -7, *GOOD_LINES, _ACCEPTED)
reply("accept-right-then-wrong", -7, *GOOD_LINES, b"Sec-WebSocket-Accept: x")
reply("protocol-not-offered", -7, *GOOD_LINES, b"Sec-WebSocket-Protocol: other")
reply("protocol-where-none-was-offered", -7, *GOOD_LINES, b"Sec-WebSocket-Protocol: chat", protocols=[])
reply("protocol-in-another-case", -7, *GOOD_LINES, b"Sec-WebSocket-Protocol: Chat")
reply("protocol-twice", -7, *GOOD_LINES, b"Sec-WebSocket-Protocol: chat", b"Sec-WebSocket-Protocol: chat")
reply("protocols-all", -7, *GOOD_LINES, b"Sec-WebSocket-Protocol: chat, superchat")
reply("protocol-empty", -7, *GOOD_LINES, b"Sec-WebSocket-Protocol:")
reply("protocol-empty-where-none-was-offered", -7, *GOOD_LINES, b"Sec-WebSocket-Protocol: ", protocols=[])
reply("extension-not-offered", -7, *GOOD_LINES, b"Sec-WebSocket-Extensions: permessage-deflate")
reply("extension-in-capitals-not-offered", -7, *GOOD_LINES, b"SEC-WEBSOCKET-EXTENSIONS: x")
reply("header-without-colon", -7, *GOOD_LINES, b"garbage")
reply("header-without-name", -7, *GOOD_LINES, b": value")
reply("header-name-with-space", -7, *GOOD_LINES, b"X Y: value")
reply("header-space-before-colon", -7, _STATUS, b"Upgrade : websocket", _CONNECTION, _ACCEPTED)
reply("header-folded", -7, *GOOD_LINES, b"X: a", b" b: c")
reply("header-folded-with-tab", -7, *GOOD_LINES, b"X: a", b"\tb: c")
reply("header-first-folded", -7, _STATUS, b" x: y", *GOOD_LINES[1:])

for _name, _line in (
    ("garbage", b"SSH-2.0-OpenSSH_9.2"),
    ("empty", b""),
    ("http-2", b"HTTP/2 101 Switching Protocols"),
    ("http-09", b"<html>"),
    ("no-version", b"HTTP 101 Switching"),
    ("no-space", b"HTTP/1.1101 Switching Protocols"),
    ("two-digits", b"HTTP/1.1 10 x"),
    ("four-digits", b"HTTP/1.1 1010 x"),
    ("letters", b"HTTP/1.1 1O1 x"),
    ("two-spaces", b"HTTP/1.1  101 x"),
    ("sign", b"HTTP/1.1 +10 x"),
    ("only-version", b"HTTP/1.1"),
    ("space-before", b" HTTP/1.1 101 x"),
    ("in-small-letters", b"http/1.1 101 x"),
    ("not-ascii", b"\xff\xfe\x00"),
):
    reply("status-line-" + _name, -7, _line, *GOOD_LINES[1:])

for _status in (200, 204, 301, 302, 400, 401, 403, 404, 407, 426, 429, 500, 503, 599, 999):
    reply(
        "status-{}".format(_status),
        -17,
        "HTTP/1.1 {} Something".format(_status).encode(),
        b"Content-Length: 0",
        http_status=_status,
    )
reply("status-403-upgrades-all-the-same", -17, b"HTTP/1.1 403 Forbidden", *GOOD_LINES[1:], http_status=403)
reply("status-503-without-a-phrase", -17, b"HTTP/1.1 503", http_status=503)
for _status in (0, 1, 99):
    reply("status-{:03}".format(_status), -7, "HTTP/1.1 {:03} Something".format(_status).encode(), *GOOD_LINES[1:])
for _version in ("0.9", "1.0", "1.2", "2.0", "11"):
    for _status in (101, 404):
        reply(
            "status-{}-of-http-{}".format(_status, _version),
            -7,
            "HTTP/{} {} Something".format(_version, _status).encode(),
            *GOOD_LINES[1:],
        )

# Interim replies come before the final one (RFC 9110 15.2).
for _status in (100, 102, 103, 199):
    _interim = "HTTP/1.1 {} Something".format(_status).encode()
    good("interim-{}".format(_status), _interim, b"", *GOOD_LINES)
    good("interim-{}-with-headers".format(_status), _interim, b"Link: </x>; rel=preload", b"X: y", b"", *GOOD_LINES)
    good("interim-{}-with-its-own-upgrade".format(_status), _interim, b"Upgrade: h2c", b"", *GOOD_LINES)
    reply("interim-{}-then-403".format(_status), -17, _interim, b"", b"HTTP/1.1 403 Forbidden", http_status=403)
    reply("interim-{}-then-garbage".format(_status), -7, _interim, b"", b"garbage")
    reply("interim-{}-brings-the-headers".format(_status), -7, _interim, *GOOD_LINES[1:], b"", _STATUS)
good("interim-many", *((b"HTTP/1.1 100 Continue", b"") * 20), *GOOD_LINES)
reply("interim-endless", -7, *((b"HTTP/1.1 100 Continue", b"") * 700), *GOOD_LINES)

_BEFORE = joined(*GOOD_LINES, b"X: ")[:-4]
for _more, _told in ((-1, (None,)), (0, (None,)), (1, -7), (2, -7), (1000, -7)):
    REPLIES.append(
        (
            "of-{}{:+}".format(REPLY_MOST, _more),
            _BEFORE + b"x" * (REPLY_MOST + _more - len(_BEFORE) - 4) + b"\r\n\r\n",
            PROTOCOLS,
            _told,
            None,
        )
    )
reply("full-at-the-end-of-a-line", -7, *GOOD_LINES, b"X: " + b"x" * (REPLY_MOST - len(_BEFORE) - 2), b"Y: z")
good("long-cookies", _STATUS, *([b"Set-Cookie: " + b"c" * 4000] * 4), *GOOD_LINES[1:])
reply("endless-line", -7, _STATUS, b"X: " + b"x" * 20000)
reply("endless-headers", -7, _STATUS, *([b"X: y"] * 4000))
reply("endless-junk", -7, b"x" * 20000)
reply("endless-after-a-refusal", -17, b"HTTP/1.1 403 Forbidden", b"X: " + b"x" * 20000, http_status=403)

# A line that matters is kept, so it is bounded; spaces are the way to make it long.
for _name, _before, _after in (
    ("Upgrade", b"", b"websocket"),
    ("Connection", b"", b"Upgrade"),
    ("Sec-WebSocket-Accept", b"", ACCEPT),
    ("Sec-WebSocket-Protocol", b"", b"chat"),
):
    _others = [line for line in GOOD_LINES if not line.startswith(_name.encode() + b":")]
    _start = _name.encode() + b":"
    for _more, _good in ((0, True), (1, False), (64, False), (5000, False)):
        _fill = b" " * (LINE_MOST + _more - 2 - len(_start) - len(_after))
        reply(
            "{}-of-{}{:+}".format(_name.lower(), LINE_MOST, _more),
            ("chat" if _after == b"chat" else None,) if _good else -7,
            *_others,
            _start + _fill + _after,
        )

# ---- the headers that "header" tells

_OWN_HEADERS = [
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-accept", ACCEPT.decode()),
]


def told(name, headers, *lines):
    """Add a reply of these lines: `headers` are those that are told, in order, before the outcome."""
    HEADERS.append((name, joined(*lines), headers))


told("of-an-upgrade", _OWN_HEADERS, *GOOD_LINES)
told(
    "between-others",
    [("set-cookie", "a=b: c")] + _OWN_HEADERS + [("x-empty", ""), ("set-cookie", "d")],
    _STATUS,
    b"Set-Cookie:a=b: c ",
    *GOOD_LINES[1:],
    b"X-EMPTY:",
    b"set-cookie: \td",
)
told("of-a-refusal", [("location", "ws://other/"), ("x", "1")], b"HTTP/1.1 301 No", b"LOCATION: ws://other/", b"x: 1")
told("of-a-refusal-with-an-own-one", [("upgrade", "h2c")], b"HTTP/1.1 426 No", b"Upgrade: h2c")
told(
    "of-4000-bytes",
    [("set-cookie", "c" * 4000)] + _OWN_HEADERS,
    _STATUS,
    b"Set-Cookie: " + b"c" * 4000,
    *GOOD_LINES[1:],
)
told("utf8", [("x", "\u00e9\u20ac")] + _OWN_HEADERS, _STATUS, b"X: \xc3\xa9\xe2\x82\xac", *GOOD_LINES[1:])
told("latin-1", [("x", "\u00e9\u00ff")] + _OWN_HEADERS, _STATUS, b"X: \xe9\xff", *GOOD_LINES[1:])
told("none", [], b"HTTP/1.1 404 Not Found")
told("not-of-an-interim-reply", _OWN_HEADERS, b"HTTP/1.1 103 Early Hints", b"Link: </x>", b"", *GOOD_LINES)
told("before-a-wrong-one", [("x", "1")], _STATUS, b"X: 1", b"Upgrade: h2c", b"Y: 2")
told("of-an-upgrade-that-lacks-one", _OWN_HEADERS[:2], *GOOD_LINES[:3])
