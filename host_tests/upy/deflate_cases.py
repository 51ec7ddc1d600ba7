"""What servers may choose of the offer, and what compressed messages come to (RFC 7692).

REPLIES: (name, window bits offered, value of Sec-WebSocket-Extensions, what comes of it). That is None for a refusal,
else (window bits, whether the server keeps its context, whether the client may compress).

CASES: (name, stream, told, options), as in protocol_cases. Options: `takeover`, whether the server keeps its context;
`most`; `data`, None: the case runs both ways.
"""

REPLIES = []
CASES = []

_NO_CONTEXT = b"permessage-deflate; server_no_context_takeover"


def _reply(name, bits, value, agreed):
    REPLIES.append((name, bits, value, agreed))


_reply("nothing-more", 15, b"permessage-deflate", None)  # with context takeover 13 bits were offered
_reply("takeover", 15, b"permessage-deflate; server_max_window_bits=13", (13, True, False))
_reply("takeover-least", 15, b"permessage-deflate; server_max_window_bits=8", (8, True, False))
_reply("takeover-window-too-large", 12, b"permessage-deflate; server_max_window_bits=11", None)
_reply("takeover-window-at-its-limit", 12, b"permessage-deflate; server_max_window_bits=10", (10, True, False))
_reply("takeover-window-not-below-9", 9, b"permessage-deflate; server_max_window_bits=9", (9, True, False))
_reply("no-takeover", 15, _NO_CONTEXT, (15, False, False))
_reply("no-takeover-no-window", 12, _NO_CONTEXT, None)
_reply("no-takeover-window", 12, _NO_CONTEXT + b"; server_max_window_bits=12", (12, False, False))
_reply("no-takeover-smaller-window", 12, _NO_CONTEXT + b"; server_max_window_bits=9", (9, False, False))
_reply("no-takeover-larger-window", 12, _NO_CONTEXT + b"; server_max_window_bits=13", None)
_reply("client-no-takeover", 15, _NO_CONTEXT + b"; client_no_context_takeover", (15, False, True))
_reply("client-window", 15, _NO_CONTEXT + b"; client_max_window_bits=9", (15, False, False))
_reply(
    "all-in-another-order",
    12,
    b"permessage-deflate; client_max_window_bits=15; server_max_window_bits=10; client_no_context_takeover"
    b"; server_no_context_takeover",
    (10, False, True),
)
_reply(
    "white-space",
    15,
    b" permessage-deflate ;\tserver_no_context_takeover ; server_max_window_bits = 9",
    (9, False, False),
)
_reply(
    "no-white-space",
    15,
    b"permessage-deflate;server_no_context_takeover;server_max_window_bits=9",
    (9, False, False),
)
_reply("quoted", 15, _NO_CONTEXT + b'; server_max_window_bits="10"', (10, False, False))
for _value in (
    b"permessage-bzip2",
    b"x-webkit-deflate-frame",
    b"permessage-deflate-2",
    b"server_no_context_takeover",
    _NO_CONTEXT + b", permessage-deflate",
    _NO_CONTEXT + b", permessage-bzip2",
    _NO_CONTEXT + b"; server_no_context_takeover",
    _NO_CONTEXT + b"; server_max_window_bits=9; server_max_window_bits=9",
    _NO_CONTEXT + b"; unknown",
    _NO_CONTEXT + b"; unknown=10",
    _NO_CONTEXT + b"; ",
    _NO_CONTEXT + b";",
    b"permessage-deflate; server_no_context_takeover=1",
    b"permessage-deflate; server_no_context_takeover=",
    _NO_CONTEXT + b"; client_no_context_takeover=10",
    _NO_CONTEXT + b"; server_max_window_bits",
    _NO_CONTEXT + b"; server_max_window_bits=",
    _NO_CONTEXT + b'; server_max_window_bits="',
    _NO_CONTEXT + b'; server_max_window_bits="9',
    _NO_CONTEXT + b"; server_max_window_bits=7",
    _NO_CONTEXT + b"; server_max_window_bits=16",
    _NO_CONTEXT + b"; server_max_window_bits=010",
    _NO_CONTEXT + b"; server_max_window_bits=+9",
    _NO_CONTEXT + b"; server_max_window_bits=1e1",
    _NO_CONTEXT + b"; client_max_window_bits",
    _NO_CONTEXT + b"; client_max_window_bits=0",
    _NO_CONTEXT + b"; client_max_window_bits=99999999999999999999",
):
    _reply("refused-" + _value.decode(), 15, _value, None)


# ---- compressed messages


def case(name, stream, *told, takeover=False, most=None, data=None):
    """Add a case."""
    CASES.append((name, stream, told, {"takeover": takeover, "most": most, "data": data}))


def runs(in_pieces):
    """Generate (name, stream, told, options) for `deflate_player.play_all_ways`, with `data` settled.

    `in_pieces` is that of protocol_cases.
    """
    for name, stream, told, options in CASES:
        for data in (False, True) if options["data"] is None else (options["data"],):
            both = dict(options)
            both["data"] = data
            yield name + ("-in-pieces" if data else ""), stream, in_pieces(told) if data else list(told), both


def frame(first, payload):
    """Return an unmasked frame; `first`: its first byte."""
    n = len(payload)
    if n < 126:
        return bytes((first, n)) + payload
    return bytes((first, 126 if n < 65536 else 127)) + n.to_bytes(2 if n < 65536 else 8, "big") + payload


class _Bits:
    def __init__(self):
        self.out = bytearray()
        self.free = 0

    def add(self, value, n):
        """Add `n` bits, the lowest first."""
        for i in range(n):
            if not self.free:
                self.out.append(0)
                self.free = 8
            self.out[-1] |= (value >> i & 1) << (8 - self.free)
            self.free -= 1

    def code(self, value, n):
        """Add a Huffman code of `n` bits, the highest first."""
        for i in range(n):
            self.add(value >> (n - 1 - i), 1)


def run_of(n):
    """Return "a" `n` times, compressed: a block with fixed codes (RFC 1951 3.2.6) of one byte and copies of it."""
    bits = _Bits()
    bits.add(2, 3)
    n -= 1
    bits.code(0x30 + 97, 8)
    while n >= 258:
        bits.code(0xC5, 8)  # 258 bytes
        bits.code(0, 5)  # from one before
        n -= 258
    for _ in range(n):
        bits.code(0x30 + 97, 8)
    bits.code(0, 7)
    bits.add(0, 3)  # an empty block, whose four bytes are left out
    return bytes(bits.out)


def stored(payload):
    """Return bytes as a block that is not compressed, and the beginning of an empty one."""
    n = len(payload)
    return bytes((0, n & 255, n >> 8, ~n & 255, (~n >> 8) & 255)) + payload + b"\0"


HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"  # RFC 7692 7.2.3.1
AGAIN = b"\xf2\x00\x11\x00\x00"  # and once more, with context takeover: 7.2.3.2
_EMPTY = b"\x00"
_UMLAUTS = stored("\u00e4\u00f6\u20ac\U0001f600".encode())

case("text", frame(0xC1, HELLO), (1, "Hello"))
case("binary", frame(0xC2, HELLO), (2, b"Hello"))
case("empty", frame(0xC1, _EMPTY) + frame(0xC2, _EMPTY), (1, ""), (2, b""))
case("stored", frame(0xC1, stored(b"Hello")), (1, "Hello"))
case("final-block", frame(0xC1, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), (1, "Hello"))
case("two-blocks", frame(0xC1, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), (1, "Hello"))
_SENSORS = "sensor temperature humidity pressure voltage current sensor temperature error error ok".split()
case(
    "dynamic-codes",
    frame(
        0xC1,
        b"\xcc\x8ek\n\xc20\x10\x06\xaf\xf2\x1d!\xa9\x8f\xea\xeei\x82.6\xd4<\xd8l\x84\xde\xbe\xd5\x1f\n\x9e\xa0\xff"
        b"\x06\x06\x86q\x84&\xb9\x15ex\x82I\xaa\xa2\xc1\xba\nc L=\xc5{\xb4\x85q T\x95\xd6>\xe6Hx\x95\xa7\x85\xc7\xc6'"
        b"\xc2\xad\xabJ6\xc6\xf9\x17\x1b\xffb\x17\x82\xa8\xbe\xcd\xf5K\xde\x11\xca\xccp;xX\x01",
    ),
    (1, "".join(["{}: {}; ".format(i, word) for i, word in enumerate(_SENSORS)]) * 2),
)
case("messages", frame(0xC1, HELLO) * 3, (1, "Hello"), (1, "Hello"), (1, "Hello"))
case("plain-between", frame(0xC1, HELLO) + b"\x81\x02hi" + frame(0xC2, HELLO), (1, "Hello"), (1, "hi"), (2, b"Hello"))
case("plain-fragments", b"\x01\x02hi\x89\x00\x80\x02ho" + frame(0xC1, HELLO), (9, b""), (1, "hiho"), (1, "Hello"))
case("fragments", frame(0x41, HELLO[:3]) + frame(0x80, HELLO[3:]), (1, "Hello"))
case(
    "fragments-empty-ones-too",
    b"\x42\x00" + frame(0, HELLO[:1]) + b"\x00\x00" + frame(0, HELLO[1:]) + b"\x80\x00",
    (2, b"Hello"),
)
case(
    "control-frames-between",
    frame(0x41, HELLO[:3]) + b"\x89\x01p" + frame(0x00, HELLO[3:4]) + b"\x8a\x00" + frame(0x80, HELLO[4:]),
    (9, b"p"),
    (10, b""),
    (1, "Hello"),
)
case("close-between", frame(0x41, HELLO[:3]) + b"\x88\x02\x03\xe8" + frame(0x80, HELLO[3:]), (8, b"\x03\xe8"))
case("unfinished", frame(0x41, HELLO))
case("incomplete", frame(0xC1, HELLO)[:-1])
case("text-of-all-lengths", frame(0xC1, _UMLAUTS), (1, "\u00e4\u00f6\u20ac\U0001f600"))
for _n in (125, 126, 127, 511, 512, 513, 1024, 1025, 40000):
    case("run-of-{}".format(_n), frame(0xC2, run_of(_n)) + b"\x89\x00", (2, b"a" * _n), (9, b""))
case("length-in-16-bits", frame(0xC2, stored(b"b" * 300)), (2, b"b" * 300))
case("length-in-64-bits", frame(0xC2, stored(b"c" * 65530)), (2, b"c" * 65530))

case("takeover", frame(0xC1, HELLO) + frame(0xC1, AGAIN) * 2, (1, "Hello"), (1, "Hello"), (1, "Hello"), takeover=True)
case(
    "takeover-final-block",
    frame(0xC1, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00") + frame(0xC1, AGAIN),
    (1, "Hello"),
    (1, "Hello"),
    takeover=True,
)
case(
    "takeover-fragments",
    frame(0xC1, HELLO) + frame(0x42, AGAIN[:2]) + b"\x89\x00" + frame(0x80, AGAIN[2:]),
    (1, "Hello"),
    (9, b""),
    (2, b"Hello"),
    takeover=True,
)
# the window is 512 bytes here: the last 5 bytes of a message that is longer are those that the next one refers to
for _n in (506, 507, 508, 511, 512, 513, 1019, 1024, 1500):
    case(
        "takeover-after-{}".format(_n),
        (frame(0xC2, run_of(_n)) + frame(0xC1, HELLO) + frame(0xC1, AGAIN)) * 2,
        (2, b"a" * _n),
        (1, "Hello"),
        (1, "Hello"),
        (2, b"a" * _n),
        (1, "Hello"),
        (1, "Hello"),
        takeover=True,
    )

# ---- against the rules

for _first in (0xC0, 0xC8, 0xC9, 0xCA, 0xE1, 0xD1, 0xB1, 0xF1, 0xC3):
    case("reserved-{:x}".format(_first), frame(_first, b""), -202)
    case("reserved-{:x}-within".format(_first), frame(0x41, HELLO[:3]) + frame(_first, b""), -202)
case("compressed-continuation", frame(0x41, HELLO[:3]) + frame(0xC0, HELLO[3:]), -202)
case("message-within", frame(0x41, HELLO[:3]) + frame(0x81, b"a"), -15)
case("compressed-message-within", frame(0x41, HELLO[:3]) + frame(0xC1, HELLO), -202)
case("compressed-message-within-plain", b"\x01\x01a" + frame(0xC1, HELLO), -15)
case("reserved-opcode-within", frame(0x41, HELLO[:3]) + frame(0x83, b""), -202)
case("continuation-after", frame(0xC1, HELLO) + b"\x80\x00", (1, "Hello"), -15)
case("masked", b"\xc1\x87\1\2\3\4" + HELLO, -202)
case("masked-within", frame(0x41, HELLO[:3]) + b"\x80\x81\1\2\3\4a", -202)
case("length-of-7-in-16-bits", b"\xc1\x7e\x00\x07" + HELLO, -202)
case("length-of-7-in-64-bits-within", frame(0x41, HELLO[:3]) + b"\x80\x7f" + bytes(7) + b"\x07", -202)
case("length-of-64-bits", b"\xc1\x7f\x80" + bytes(7), -202)
case("block-type-3", frame(0xC1, b"\x06"), -202)
case("stored-length-wrong", frame(0xC1, b"\x00\x05\x00\xfa\xfeHello\x00"), -202)
case("cut", frame(0xC1, HELLO[:-3]), -202)
case("cut-stored", frame(0xC1, stored(b"Hello")[:-4]), -202)
case("nothing", frame(0xC1, b""), -202)
case("more-after-a-final-block", frame(0xC1, b"\xf3\x48\xcd\xc9\xc9\x07\x00" + HELLO), -202, data=False)
case("not-utf-8", frame(0xC1, stored(b"a\xff")), -207)
case("not-utf-8-cut", frame(0xC1, stored(b"a\xe2\x82")), -207)
_surrogate = stored(b"a\xed\xa0\x80")
case("not-utf-8-in-fragments", frame(0x41, _surrogate[:8]) + frame(0x80, _surrogate[8:]), -207)
case("not-utf-8-is-binary", frame(0xC2, stored(b"a\xff")), (2, b"a\xff"))

# ---- max_message

case("most-exactly", frame(0xC1, HELLO), (1, "Hello"), most=5, data=False)
case("most-by-one", frame(0xC1, HELLO), -8, most=4, data=False)
case("most-0", frame(0xC1, _EMPTY), (1, ""), most=0, data=False)
_bomb = run_of(200000)
case("bomb", frame(0xC1, _bomb), -8, most=2000, data=False)
case("bomb-announced", frame(0xC1, _bomb), -8, most=100, data=False)
case("bomb-in-fragments-announced", frame(0x41, _bomb[:90]) + frame(0x80, _bomb[90:]), -11, most=100, data=False)
case("bomb-in-fragments", frame(0x41, _bomb[:90]) + frame(0x80, _bomb[90:]), -8, most=2000, data=False)
case("bomb-in-pieces", frame(0xC2, run_of(40000)), (2, b"a" * 40000), most=5000, data=True)
case("announced-too-long", b"\xc1\x7e\x10\x00", -8, most=1000)
case("announced-too-long-first-fragment", b"\x41\x7e\x10\x00", -10, most=1000)
case("announced-too-long-later-fragment", b"\x41\x01a\x80\x7e\x10\x00", -11, most=1000)
case("announced-huge", b"\xc1\x7f\x7f" + b"\xff" * 7, -8)
