"""What a server may send, byte by byte, and what the receiver must say to it (RFC 6455 5 and 7.4).

CASES: (name, stream, told, options). `told` lists (opcode, content) of whole messages and control frames, and at the
end the status where the stream earns one; nothing after the last message means that the receiver waits for more.
Options: `most` is max_message; `data` is how the messages are handed over, True in pieces, False whole, None: the case
runs both ways; `switch` maps how much was told to whether "data" is registered from then on.
"""

CASES = []

# Where the bounds of a byte within a character change.
EDGES = bytes((0, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF,
               0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFF))  # fmt: skip

OPCODES = (0, 1, 2, 8, 9, 10)
HUGE = (1 << 30, (1 << 31) - 1, 1 << 31, (1 << 32) + 2, 1 << 62, (1 << 63) - 1)


def case(name, stream, *told, most=None, data=None, switch=None):
    """Add a case."""
    CASES.append((name, stream, told, {"most": most, "data": data, "switch": switch}))


def length(n):
    """Return the length field of an unmasked frame in its shortest form."""
    if n < 126:
        return bytes((n,))
    return b"\x7e" + n.to_bytes(2, "big") if n < 65536 else b"\x7f" + n.to_bytes(8, "big")


def in_pieces(told):
    """Return what is told when the same messages are handed over in pieces."""
    return [
        (word[0] | 0x30, word[1].encode() if isinstance(word[1], str) else word[1])
        if isinstance(word, tuple) and word[0] < 8
        else word
        for word in told
    ]


# ---- whole messages, and the three forms of the length

case("nothing", b"")
case("text", b"\x81\x05hello", (1, "hello"))
case("binary", b"\x82\x03\x00\x80\xff", (2, b"\x00\x80\xff"))
case("text-empty", b"\x81\x00", (1, ""))
case("binary-empty", b"\x82\x00", (2, b""))
case("text-nul", b"\x81\x01\x00", (1, "\x00"))
case(
    "messages-in-a-row",
    b"\x81\x01a\x82\x01b\x81\x00\x82\x00\x81\x01c",
    (1, "a"),
    (2, b"b"),
    (1, ""),
    (2, b""),
    (1, "c"),
)
for _n in (1, 124, 125, 126, 127, 128, 255, 256, 511, 512, 513, 1023, 1024, 1025, 65535, 65536, 65537):
    _payload = (b"0123456789abcde\xff" * (_n // 16 + 1))[:_n]
    _ascii = (b"0123456789abcdef" * (_n // 16 + 1))[:_n]
    case("binary-of-{}".format(_n), b"\x82" + length(_n) + _payload + b"\x89\x00", (2, _payload), (9, b""))
    case("text-of-{}".format(_n), b"\x81" + length(_n) + _ascii + b"\x8a\x00", (1, _ascii.decode()), (10, b""))

case("length-16-of-125", b"\x82\x7e\x00\x7d" + bytes(125), -202)
case("length-16-of-0", b"\x82\x7e\x00\x00", -202)
case("length-64-of-125", b"\x82\x7f" + (125).to_bytes(8, "big"), -202)
case("length-64-of-65535", b"\x82\x7f" + (65535).to_bytes(8, "big"), -202)
case("length-64-of-0", b"\x81\x7f" + bytes(8), -202)
case("length-63-bits", b"\x82\x7f\x80" + bytes(7), -202)
case("length-all-ones", b"\x82\x7f" + b"\xff" * 8, -202)
case("length-63-bits-continued", b"\x02\x01a\x80\x7f\x80" + bytes(7), -202)
case("length-16-of-a-fragment-too-long-a-form", b"\x01\x01a\x80\x7e\x00\x01b", -202)
case("length-incomplete", b"\x82\x7e\x01")
case("header-incomplete", b"\x82")
case("payload-incomplete", b"\x82\x05abcd")

# ---- reserved bits and opcodes, masks, control frames

for _bit in (0x40, 0x20, 0x10, 0x70):
    for _opcode in OPCODES:
        case("reserved-bits-{:x}-opcode-{}".format(_bit, _opcode), bytes((0x80 | _bit | _opcode, 0)), -202)
for _opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    case("reserved-opcode-{}".format(_opcode), bytes((0x80 | _opcode, 0)), -202)
    case("reserved-opcode-{}-in-parts".format(_opcode), bytes((_opcode, 0)), -202)
    case("reserved-opcode-{}-within-a-message".format(_opcode), b"\x01\x01a" + bytes((0x80 | _opcode, 0)), -202)
for _opcode in OPCODES:
    case("masked-opcode-{}".format(_opcode), bytes((0x80 | _opcode, 0x81)) + b"\1\2\3\4a", -202)
for _opcode in (8, 9, 10):
    case("control-{}-in-parts".format(_opcode), bytes((_opcode, 0)), -202)
    case("control-{}-of-126".format(_opcode), bytes((0x80 | _opcode, 126, 0, 126)) + bytes(126), -202)
    case("control-{}-of-65536".format(_opcode), bytes((0x80 | _opcode, 127)) + bytes(8), -202)
case("reserved-bit-after-a-message", b"\x81\x01a\xc1\x01b", (1, "a"), -202)
case("reserved-bit-of-a-fragment", b"\x01\x01a\xc0\x01b", -202)

case("ping", b"\x89\x04ping", (9, b"ping"))
case("ping-empty", b"\x89\x00", (9, b""))
case("ping-of-125", b"\x89\x7d" + bytes(125), (9, bytes(125)))
case("pong", b"\x8a\x04pong", (10, b"pong"))
case("pong-empty", b"\x8a\x00", (10, b""))
case("ping-not-utf-8", b"\x89\x02\xff\xc0", (9, b"\xff\xc0"))
case("pings-in-a-row", b"\x89\x01a\x89\x00\x8a\x01b\x89\x01c", (9, b"a"), (9, b""), (10, b"b"), (9, b"c"))
case("ping-incomplete", b"\x89\x04pin")

# ---- fragments

case("fragments-two", b"\x01\x03hel\x80\x02lo", (1, "hello"))
case("fragments-binary", b"\x02\x01a\x00\x01b\x80\x01c", (2, b"abc"))
case("fragments-first-empty", b"\x01\x00\x80\x01a", (1, "a"))
case("fragments-middle-empty", b"\x01\x01a\x00\x00\x80\x01b", (1, "ab"))
case("fragments-last-empty", b"\x02\x01a\x80\x00", (2, b"a"))
case("fragments-all-empty", b"\x01\x00\x00\x00\x80\x00", (1, ""))
case("fragments-all-empty-binary", b"\x02\x00\x00\x00\x80\x00", (2, b""))
case("fragments-many-empty", b"\x02\x00" + b"\x00\x00" * 120 + b"\x80\x01z", (2, b"z"))
case("fragments-of-one-byte", b"\x01\x01a" + b"\x00\x01b" * 60 + b"\x80\x01c", (1, "a" + "b" * 60 + "c"))
case(
    "fragments-of-600",
    b"\x02\x7e\x02\x58" + b"a" * 600 + b"\x00\x7e\x02\x58" + b"b" * 600 + b"\x80\x7e\x02\x58" + b"c" * 600,
    (2, b"a" * 600 + b"b" * 600 + b"c" * 600),
)
case("fragments-then-messages", b"\x01\x01a\x80\x01b\x82\x01c\x02\x01d\x80\x01e", (1, "ab"), (2, b"c"), (2, b"de"))
case("fragments-with-ping-between", b"\x01\x01a\x89\x01p\x80\x01b", (9, b"p"), (1, "ab"))
case(
    "fragments-with-pings-between-all",
    b"\x89\x00\x02\x01a\x89\x01p\x8a\x01q\x00\x01b\x89\x02rs\x80\x00\x89\x00",
    (9, b""),
    (9, b"p"),
    (10, b"q"),
    (9, b"rs"),
    (2, b"ab"),
    (9, b""),
)
case(
    "fragments-with-ping-of-125-between",
    b"\x01\x02ab\x89\x7d" + b"p" * 125 + b"\x80\x02cd",
    (9, b"p" * 125),
    (1, "abcd"),
)
case("fragments-unfinished", b"\x01\x01a\x00\x01b")
case("fragments-closed-between", b"\x01\x01a\x88\x02\x03\xe8\x80\x01b", (8, b"\x03\xe8"))

case("continuation-without-a-start", b"\x80\x01a", -15)
case("continuation-without-a-start-more-to-come", b"\x00\x01a", -15)
case("continuation-empty-without-a-start", b"\x80\x00", -15)
case("continuation-long-without-a-start", b"\x80\x7e\x01\x00", -15)
case("continuation-after-a-message", b"\x81\x01a\x80\x01b", (1, "a"), -15)
case("continuation-after-the-last", b"\x01\x01a\x80\x01b\x80\x01c", (1, "ab"), -15)
case("continuation-after-a-ping", b"\x89\x01a\x80\x01b", (9, b"a"), -15)
case("text-within-a-message", b"\x01\x01a\x81\x01b", -15)
case("text-in-parts-within-a-message", b"\x01\x01a\x01\x01b", -15)
case("binary-within-a-message", b"\x02\x00\x82\x00", -15)
case("text-within-a-message-after-a-ping", b"\x01\x01a\x89\x00\x81\x01b", (9, b""), -15)

# ---- text is UTF-8 (RFC 3629)

_GOOD_TEXTS = (
    ("two-bytes", "\u00e9\u0080\u07ff"),
    ("three-bytes", "\u0800\u20ac\ud7ff\ue000\ufffd\uffff"),
    ("four-bytes", "\U00010000\U0001f600\U0010ffff"),
    ("mixed", "a\u00e9\u20ac\U0001f600z"),
    ("kosme", "\u03ba\u1f79\u03c3\u03bc\u03b5"),
    ("of-every-suspicious-lead", "\u0905\ud55c\U00010348\U00100000"),
    ("byte-order-mark", "\ufeffa"),
)
GOOD_BYTES = tuple((_name, _text.encode()) for _name, _text in _GOOD_TEXTS)
for _name, _text in _GOOD_TEXTS:
    _payload = _text.encode()
    case("text-" + _name, b"\x81" + length(len(_payload)) + _payload + b"\x89\x00", (1, _text), (9, b""))
    for _at in range(1, len(_payload)):
        case(
            "text-{}-split-at-{}".format(_name, _at),
            b"\x01" + length(_at) + _payload[:_at] + b"\x89\x00\x80" + length(len(_payload) - _at) + _payload[_at:],
            (9, b""),
            (1, _text),
        )

BAD_TEXTS = (
    ("continuation-alone", b"\x80"),
    ("lead-alone", b"\xc3"),
    ("lead-before-ascii", b"\xc3a"),
    ("overlong-nul", b"\xc0\x80"),
    ("overlong-slash", b"\xc0\xaf"),
    ("overlong-c1", b"\xc1\xbf"),
    ("overlong-three", b"\xe0\x80\xaf"),
    ("overlong-three-last", b"\xe0\x9f\xbf"),
    ("overlong-four", b"\xf0\x80\x80\xaf"),
    ("overlong-four-last", b"\xf0\x8f\xbf\xbf"),
    ("surrogate-first", b"\xed\xa0\x80"),
    ("surrogate-last", b"\xed\xbf\xbf"),
    ("surrogate-pair", b"\xed\xa0\xbd\xed\xb8\x80"),
    ("above-10ffff", b"\xf4\x90\x80\x80"),
    ("lead-f5", b"\xf5\x80\x80\x80"),
    ("lead-f7", b"\xf7\xbf\xbf\xbf"),
    ("lead-f8", b"\xf8\x88\x80\x80\x80"),
    ("lead-fc", b"\xfc\x84\x80\x80\x80\x80"),
    ("fe", b"\xfe"),
    ("ff", b"\xff"),
    ("cut-three", b"\xe2\x82"),
    ("cut-four", b"\xf0\x9f\x98"),
    ("one-continuation-too-many", b"\xc3\xa9\xa9"),
    ("after-good", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"),
)
for _name, _bad in BAD_TEXTS:
    case("text-not-utf-8-" + _name, b"\x81" + length(len(_bad)) + _bad, -207)
    case("text-not-utf-8-between-" + _name, b"\x81" + length(len(_bad) + 2) + b"a" + _bad + b"z", -207)
    case("fragments-not-utf-8-" + _name, b"\x01\x01a\x80" + length(len(_bad)) + _bad, -207)
    case("binary-not-utf-8-" + _name, b"\x82" + length(len(_bad)) + _bad, (2, _bad))
case("text-cut-in-a-fragment", b"\x01\x01\xc3\x80\x00", -207)
case("text-cut-by-ascii-in-the-next-fragment", b"\x01\x01\xc3\x80\x01a", -207)
case("text-overlong-across-fragments", b"\x01\x01\xe0\x80\x02\x80\xaf", -207)
case("text-good-after-cut-message", b"\x81\x02\xc3\xa9\x81\x01a", (1, "\u00e9"), (1, "a"))
case("text-not-utf-8-far-in", b"\x81\x7e\x04\x00" + b"a" * 1000 + b"\xed\xa0\x80" + b"b" * 21, -207)
case("text-long-of-two-byte-characters", b"\x81\x7e\x03\xe8" + b"\xc3\xa9" * 500, (1, "\u00e9" * 500))
case("text-long-of-three-byte-characters", b"\x81\x7e\x03\xe7" + b"\xe2\x82\xac" * 333, (1, "\u20ac" * 333))
case(
    "text-long-of-four-byte-characters",
    b"\x01\x7e\x02\x02"
    + b"\xf0\x9f\x98\x80" * 128
    + b"\xf0\x9f"
    + b"\x80\x7e\x02\x02\x98\x80"
    + b"\xf0\x9f\x98\x80" * 128,
    (1, "\U0001f600" * 257),
)
# The rest is not waited for once the text cannot become UTF-8.
case("text-not-utf-8-unfinished", b"\x81\x10\xff", -207)
case("text-not-utf-8-unfinished-far-in", b"\x81\x7e\x08\x00" + b"a" * 1200 + b"\xf4\x90", -207)
case("fragment-not-utf-8-unfinished", b"\x01\x03a\xed\xa0", -207)
case("text-unfinished-within-a-character", b"\x81\x04\xf0\x9f\x98")

# ---- Close frames


def close(code, reason=b""):
    """Return a Close frame."""
    return b"\x88" + length(2 + len(reason)) + code.to_bytes(2, "big") + reason


case("close-empty", b"\x88\x00", (8, b""))
case("close-of-one-byte", b"\x88\x01\x03", -202)
case("close-with-reason", close(1000, b"bye"), (8, b"\x03\xe8bye"))
case("close-with-utf-8-reason", close(1001, "\u00e9\U0001f600".encode()), (8, b"\x03\xe9\xc3\xa9\xf0\x9f\x98\x80"))
case("close-with-the-longest-reason", close(4999, b"r" * 123), (8, b"\x13\x87" + b"r" * 123))
case("close-after-a-message", b"\x81\x01a" + close(1000), (1, "a"), (8, b"\x03\xe8"))
case("close-then-more", close(1000) + b"\x81\x01a\xff\xff", (8, b"\x03\xe8"))
case("close-empty-then-more", b"\x88\x00\x88\x00", (8, b""))
case("close-incomplete", b"\x88\x05\x03\xe8by")
for _code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
    case("close-code-{}".format(_code), close(_code), (8, _code.to_bytes(2, "big")))
for _code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 65535):
    case("close-code-{}".format(_code), close(_code), -202)
    case("close-code-{}-with-reason".format(_code), close(_code, b"why"), -202)
for _name, _bad in BAD_TEXTS:
    case("close-reason-not-utf-8-" + _name, close(1000, _bad), -207)

# ---- max_message, and lengths that no memory holds

for _most, _told in ((5, (2, b"hello")), (4, -8), (0, -8)):
    case("whole-of-5-most-{}".format(_most), b"\x82\x05hello", _told, most=_most, data=False)
for _most, _told in ((126, (2, bytes(126))), (125, -8)):
    case("whole-of-126-most-{}".format(_most), b"\x82\x7e\x00\x7e" + bytes(126), _told, most=_most, data=False)
for _most, _told in ((65536, (2, bytes(65536))), (65535, -8)):
    case(
        "whole-of-65536-most-{}".format(_most),
        b"\x82\x7f" + (65536).to_bytes(8, "big") + bytes(65536),
        _told,
        most=_most,
        data=False,
    )
case("text-most-counts-bytes", b"\x81\x03\xe2\x82\xac", (1, "\u20ac"), most=3, data=False)
case("text-most-counts-bytes-not-characters", b"\x81\x03\xe2\x82\xac", -8, most=2, data=False)
case("empty-most-0", b"\x82\x00\x81\x00\x02\x00\x80\x00", (2, b""), (1, ""), (2, b""), most=0, data=False)
case("first-fragment-most", b"\x02\x05hello", -10, most=4, data=False)
case("first-fragment-most-exactly", b"\x02\x05hello\x80\x00", (2, b"hello"), most=5, data=False)
case("later-fragment-most-exactly", b"\x02\x03hel\x80\x02lo", (2, b"hello"), most=5, data=False)
case("later-fragment-most", b"\x02\x03hel\x80\x02lo", -11, most=4, data=False)
case("middle-fragment-most", b"\x02\x01h\x00\x04ello", -11, most=4, data=False)
case("last-fragment-most-by-one", b"\x01\x02ab\x00\x02cd\x80\x01e", -11, most=4, data=False)
case("announced-length-most-nothing-read", b"\x82\x7e\x10\x00", -8, most=4095, data=False)
case(
    "most-is-for-each-message",
    b"\x82\x04abcd\x02\x02ab\x80\x02cd\x81\x04abcd",
    (2, b"abcd"),
    (2, b"abcd"),
    (1, "abcd"),
    most=4,
    data=False,
)
case(
    "most-leaves-control-frames",
    b"\x89\x05pings\x82\x01a\x8a\x05pongs",
    (9, b"pings"),
    (2, b"a"),
    (10, b"pongs"),
    most=1,
    data=False,
)
case(
    "most-leaves-pieces",
    b"\x82\x05hello\x02\x05hello\x80\x05hello",
    (0x32, b"hello"),
    (0x32, b"hellohello"),
    most=4,
    data=True,
)
for _size in HUGE:
    _head = b"\x7f" + _size.to_bytes(8, "big")
    case("huge-{}".format(_size), b"\x82" + _head + b"abc", -8, most=65536, data=False)
    case("huge-{}-text".format(_size), b"\x81" + _head + b"abc", -8, most=65536, data=False)
    case("huge-{}-first-fragment".format(_size), b"\x02" + _head + b"abc", -10, most=65536, data=False)
    case("huge-{}-later-fragment".format(_size), b"\x02\x01a\x80" + _head + b"abc", -11, most=65536, data=False)
    case("huge-{}-in-pieces".format(_size), b"\x82" + _head + b"abc", data=True)
    # Without max_message the heap is the limit. A fragment that it cannot hold is refused before it fills it.
    case("huge-{}-later-fragment-no-memory".format(_size), b"\x01\x01a\x80" + _head + b"abc", -11, data=False)
    if _size >> 60:  # a PC might hold the others
        case("huge-{}-no-memory".format(_size), b"\x82" + _head + b"abc", -8, data=False)
        case("huge-{}-first-fragment-no-memory".format(_size), b"\x01" + _head + b"abc", -10, data=False)

# ---- "data": pieces, and when it applies

case(
    "pieces-of-fragments-with-ping-between",
    b"\x01\x02ab\x89\x01p\x00\x00\x80\x02cd",
    (9, b"p"),
    (0x31, b"abcd"),
    data=True,
)
case("pieces-last-empty", b"\x02\x02ab\x80\x00", (0x32, b"ab"), data=True)
case("pieces-empty", b"\x81\x00\x02\x00\x80\x00", (0x31, b""), (0x32, b""), data=True)
case("pieces-split-a-character", b"\x01\x01\xc3\x80\x01\xa9", (0x31, b"\xc3\xa9"), data=True)
case("pieces-not-utf-8-at-the-end", b"\x01\x01\xc3\x80\x00", -207, data=True)
case("pieces-not-utf-8-after-a-message", b"\x81\x01a\x81\x02\xc0\x80", (0x31, b"a"), -207, data=True)
case("pieces-unfinished", b"\x82\x7e\x04\x00" + bytes(600), data=True)

_TWO = b"\x81\x01a\x82\x01b"
case("data-registered-after-a-message", _TWO, (1, "a"), (0x32, b"b"), data=False, switch={1: True})
case("data-unregistered-after-a-message", _TWO, (0x31, b"a"), (2, b"b"), data=True, switch={1: False})
_TWO = b"\x01\x02\xc3\xa9\x89\x00\x80\x02cd\x81\x03\xe2\x82\xac"
case(
    "data-registered-within-a-message",
    _TWO,
    (9, b""),
    (1, "\u00e9cd"),
    (0x31, b"\xe2\x82\xac"),
    data=False,
    switch={1: True},
)
case(
    "data-unregistered-within-a-message",
    _TWO,
    (9, b""),
    (0x31, b"\xc3\xa9cd"),
    (1, "\u20ac"),
    data=True,
    switch={1: False},
)
case(
    "data-registered-and-unregistered-within-a-message",
    b"\x02\x01a\x89\x00\x00\x01b\x8a\x00\x80\x01c\x82\x01d",
    (9, b""),
    (10, b""),
    (2, b"abc"),
    (2, b"d"),
    data=False,
    switch={1: True, 2: False},
)
case(
    "data-unregistered-forgets-the-pieces",
    b"\x82\x7e\x02\x00" + b"a" * 512 + b"\x02\x02bc\x80\x02de\x82\x01f",
    (0x32, b"a" * 512),
    (2, b"bcde"),
    (0x32, b"f"),
    data=True,
    switch={1: False, 2: True},
)
case(
    "data-registered-most-applies-to-whole-ones",
    b"\x82\x02ab\x82\x04cdef\x82\x03ghi",
    (2, b"ab"),
    (0x32, b"cdef"),
    -8,
    most=2,
    data=False,
    switch={1: True, 2: False},
)


def runs():
    """Generate (name, stream, told, play's options) of all cases, those without `data` both ways."""
    for name, stream, told, options in CASES:
        if options["data"] is not None:
            yield name, stream, list(told), options
        else:
            for data in (False, True):
                both = dict(options)
                both["data"] = data
                yield name + ("-in-pieces" if data else ""), stream, in_pieces(told) if data else list(told), both


# ---- sending

KEY = b"\x01\x80\xff\x5a"
SOURCE = bytes((i * 7 + (i >> 8)) & 0xFF for i in range(65700))


def mask_runs():
    """Generate (name, start, n, room): messages of `n` bytes from `start` in SOURCE, and scratch buffers for them.

    A buffer has room for 128 bytes of payload; longer messages have one for the whole, or for a multiple of the 484
    bytes that are masked at once.
    """
    for n in list(range(1101)) + list(range(1445, 1460)) + list(range(65530, 65542)):
        rooms = [128]
        if n > 484:
            rooms += [484, min((n + 483) // 484 * 484, 1452)]
        elif n > 128:
            rooms.append(n + 3)
        for room in rooms:
            yield "frame-of-{}-by-{}".format(n, room), 0, n, room
    for start in (1, 2, 3, 5):
        for n in (0, 1, 2, 3, 4, 5, 8, 9, 33, 128, 129, 300, 515):
            yield "frame-of-{}-from-{}".format(n, start), start, n, 128
