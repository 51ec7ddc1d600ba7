"""Values for config(), good and bad, for every interpreter."""

# The table of the options: what config() changes, and its defaults.
DEFAULTS = {
    "headers": {},
    "protocols": (),
    "connect_timeout_ms": 10000,
    "close_timeout_ms": 5000,
    "send_timeout_ms": 10000,
    "ping_interval_ms": 30000,
    "ping_limit": 2,
    "max_message": None,
    "tls": {},
    "reconnect": False,
    "reconnect_min_ms": 1000,
    "reconnect_max_ms": 60000,
    "compression": False,
    "background": True,
    "timer": None,
}

GOOD = []  # (name, key, value)
BAD = []  # (name, key, value): ValueError that names the key


def token():
    """Return headers, as a function for the option `headers`."""
    return {"Authorization": "Bearer t"}


def _add(cases, key, values):
    for value in values:
        cases.append(("{}-{}".format(key, value if value != "" else "empty"), key, value))


_TIMES = ("connect_timeout_ms", "close_timeout_ms", "send_timeout_ms", "ping_interval_ms", "reconnect_max_ms")
_NO_NUMBERS = (True, False, None, "1000", 1000.0, 1e9, b"1", (), [], {})
for _key in _TIMES:
    _add(GOOD, _key, (1000, 60000, (1 << 29) - 1))
    _add(BAD, _key, (-1, 1 << 29, 1 << 30, 1 << 62, 1 << 64, -(1 << 40)) + _NO_NUMBERS)
_add(GOOD, "reconnect_min_ms", (1, 60000))
_add(BAD, "reconnect_min_ms", (-1, 1 << 29, 60001) + _NO_NUMBERS)
_add(GOOD, "ping_limit", (1, 2, 100))
_add(BAD, "ping_limit", (0, -1) + _NO_NUMBERS)
_add(GOOD, "max_message", (None, 0, 1, 125, 65536, 1 << 20, 1 << 31, 1 << 40))
_add(BAD, "max_message", (-1, True, False, "1000", 1000.0, b"1", (), []))
for _key in ("reconnect", "compression"):
    _add(BAD, _key, (0, 1, None, "yes", "", (), 1.0))
_add(GOOD, "reconnect", (True, False))
_add(GOOD, "compression", (False,))
_add(GOOD, "background", (True, False, 1, 50, 1000))
_add(BAD, "background", (0, -1, 1 << 29, None, "yes", 50.0, (), []))
_add(GOOD, "timer", (None, -1, 0, 1, 3))
_add(BAD, "timer", (-2, "0", 1.0, True, (), []))
_add(GOOD, "protocols", ((), [], ("mqtt",), ["chat", "superchat"], ("v1.x-y_z~!#$%&'*+.^`|",)))
_add(
    BAD,
    "protocols",
    (
        "mqtt",
        "",
        None,
        1,
        b"mqtt",
        {},
        ("",),
        ("a b",),
        ("a,b",),
        ("a\r\nX: 1",),
        (b"a",),
        (1,),
        ("a", ""),
        ("a/b",),
        ('a"b',),
        ("a\t",),
        ("a\x7f",),
        (None,),
    ),
)

BAD.append(("protocols-not-ascii", "protocols", ("\u00e9",)))

for _name, _value in (
    ("none", {}),
    ("one", {"X-Token": "abc"}),
    ("empty-value", {"X": ""}),
    ("not-ascii-value", {"X": "\u00e9"}),
    ("overrides", {"host": "a", "USER-AGENT": "b", "authorization": "c"}),
    ("tab-in-value", {"X": "a\tb"}),
    ("subprotocol", {"Sec-WebSocket-Protocol": "mqtt"}),
    ("subprotocols", {"sec-websocket-protocol": "a, b,c"}),
    ("function", token),
    ("like-the-clients-own", {"Upgrade-Insecure-Requests": "1", "Connection2": "x", "XSec-WebSocket-Key": "k"}),
):
    GOOD.append(("headers-" + _name, "headers", _value))
for _name, _value in (
    ("not-a-dict", ()),
    ("list-of-pairs", [("X", "1")]),
    ("none", None),
    ("text", "X: 1"),
    ("number", 1),
    ("name-empty", {"": "1"}),
    ("name-with-colon", {"X:": "1"}),
    ("name-with-space", {"X Y": "1"}),
    ("name-with-cr", {"X\r": "1"}),
    ("name-with-lf", {"X\nY": "1"}),
    ("name-with-nul", {"X\0": "1"}),
    ("name-not-ascii", {"\u00e9": "1"}),
    ("name-bytes", {b"X": "1"}),
    ("name-number", {1: "1"}),
    ("value-with-cr", {"X": "a\rb"}),
    ("value-with-lf", {"X": "a\nb"}),
    ("value-with-crlf", {"X": "a\r\nY: b"}),
    ("value-ends-in-lf", {"X": "a\n"}),
    ("value-with-nul", {"X": "a\0"}),
    ("value-bytes", {"X": b"a"}),
    ("value-number", {"X": 1}),
    ("value-none", {"X": None}),
    ("second-is-bad", {"X": "1", "Y": "\n"}),
    ("upgrade", {"Upgrade": "h2c"}),
    ("upgrade-lower", {"upgrade": "x"}),
    ("connection", {"Connection": "close"}),
    ("connection-upper", {"CONNECTION": "close"}),
    ("key", {"Sec-WebSocket-Key": "x"}),
    ("key-lower", {"sec-websocket-key": "x"}),
    ("version", {"Sec-WebSocket-Version": "8"}),
    ("accept", {"Sec-WebSocket-Accept": "x"}),
    ("extensions", {"Sec-WebSocket-Extensions": "permessage-deflate"}),
    ("unknown-of-the-clients-own", {"Sec-WebSocket-Any": "x"}),
    ("subprotocol-empty", {"Sec-WebSocket-Protocol": ""}),
    ("subprotocol-with-space", {"Sec-WebSocket-Protocol": "a b"}),
    ("subprotocols-with-a-hole", {"Sec-WebSocket-Protocol": "a,,b"}),
):
    BAD.append(("headers-" + _name, "headers", _value))

for _name, _value in (
    ("none", {}),
    ("verify-not", {"verify": False}),
    ("ca", {"ca": b"der"}),
    ("ca-of-a-file", {"ca": "ca.pem"}),
    ("ca-as-pem", {"ca": b"-----BEGIN CERTIFICATE-----\n"}),
    ("ca-and-verify", {"ca": b"der", "verify": True}),
    ("ca-without-verify", {"ca": b"der", "verify": False}),
    ("server-hostname", {"server_hostname": "example.com"}),
    ("client-certificate", {"cert": b"der", "key": b"der"}),
    ("client-certificate-of-files", {"cert": "c.der", "key": "k.der"}),
):
    GOOD.append(("tls-" + _name, "tls", _value))
for _name, _value in (
    ("not-a-dict", True),
    ("none", None),
    ("list", []),
    ("unknown", {"cafile": "x"}),
    ("ca-number", {"ca": 1}),
    ("ca-none", {"ca": None}),
    ("ca-empty", {"ca": b""}),
    ("verify-without-ca", {"verify": True}),
    ("server-hostname-empty", {"server_hostname": ""}),
    ("verify-number", {"verify": 1}),
    ("verify-none", {"verify": None}),
    ("verify-text", {"verify": "no"}),
    ("server-hostname-bytes", {"server_hostname": b"h"}),
    ("server-hostname-none", {"server_hostname": None}),
    ("cert-number", {"cert": 1, "key": b"k"}),
    ("key-list", {"cert": b"c", "key": []}),
    ("unknown-key-of-another-type", {1: 2}),
    ("cert-without-key", {"cert": b"c"}),
    ("key-without-cert", {"key": b"k"}),
    ("ca-pem-as-text", {"ca": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"}),
    ("cert-pem-as-text", {"cert": "\n-----BEGIN CERTIFICATE-----\n", "key": b"k"}),
    ("key-pem-as-text", {"cert": b"c", "key": "-----BEGIN RSA PRIVATE KEY-----\n"}),
):
    BAD.append(("tls-" + _name, "tls", _value))

UNKNOWN = ("unknown", "Headers", "timeout", "", "headers ", "ping_interval", 1, None, ("headers",), b"headers")
NOT_DICTS = (None, 1, "headers", [("ping_limit", 1)], ("ping_limit",), b"")
