"""Every scripted scenario with what the client must make of it, as one table: `SCENARIOS`.

A scenario is data, so that a test program on any interpreter can play it: the server's steps, the client's
configuration and calls, and what must come of both.
"""

from dataclasses import dataclass, field, replace

from .steps import (
    AnswerPings,
    Await,
    Close,
    Drip,
    Echo,
    Endless,
    Fin,
    Frame,
    Listen,
    Pause,
    Raw,
    Recase,
    Reply,
    Reset,
    Split,
    Stuff,
    Times,
    Together,
)  # fmt: skip
from .wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

CHIP = "virtual-esp8266"
MICROPYTHONS = ("micropython64", "micropython32")
EVERYWHERE = ("cpython", *MICROPYTHONS)
ANYTHING = object()  # an expectation that every result meets


@dataclass(frozen=True)
class Scenario:
    """What a server does, what the client is told to do, and what must come of it.

    `calls` maps a moment ("start": right after connect(), "connection", "receive") to the client's methods called
    then, each a list of the name and the arguments as host_tests/upy/status_program.py takes them. `received` are the
    messages that must arrive, `sent` the Close code that must reach the server (None: no Close frame; 1005: empty),
    `heard` the client's `close_code` and `close_reason`, `answers` the frames that must come besides Close,
    `first` who ends TCP, `raised` the errors that calls must raise, by errno name. `status` is a tuple where
    timing decides between two.
    """

    steps: tuple = ()
    status: int | tuple = -6
    sent: object = None
    received: tuple = ()
    heard: object = ANYTHING
    answers: object = ANYTHING
    first: str | None = None
    raised: tuple = ()
    http_status: int | None = None
    protocol: str | None = None
    config: dict = field(default_factory=dict)
    calls: dict = field(default_factory=dict)
    data: bool = False
    url: str | None = None
    on: tuple = EVERYWHERE
    heap: str | None = None
    budget_ms: int = 30000


def pattern(size: int) -> bytes:
    """Return the message that the argument {"pattern": size} stands for."""
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def _open(*steps, **expected):
    """Return a scenario that follows a good handshake."""
    return Scenario((Reply(), *steps), **expected)


def _bye(*steps, code=1000, **expected):
    """Return a scenario in which all goes well, and then the server closes with `code`."""
    return _open(*steps, Close(code), status=-6, sent=code, **expected)


def _refused(reply, **expected):
    """Return a scenario whose reply to the upgrade request is not accepted."""
    return Scenario((reply, Listen(2000)), status=-7, first="client", **expected)


def _bad_frame(*steps, **expected):
    """Return a scenario that ends with a frame against RFC 6455."""
    return _open(*steps, status=-202, sent=1002, **expected)


def _bad_text(*steps, **expected):
    """Return a scenario that ends with text that is not UTF-8."""
    return _open(*steps, status=-207, sent=1007, **expected)


_CLOSE_NOW = {"connection": [["close"]]}
_QUICK_CONNECT = {"connect_timeout_ms": 300}
_QUICK_CLOSE = {"close_timeout_ms": 300}
_QUICK_PING = {"ping_interval_ms": 100, "ping_limit": 2}
# 2 s of silence end it: a server on a busy machine must not seem dead.
_PATIENT_PING = {"ping_interval_ms": 100, "ping_limit": 20}

_URLS = {
    "url-without-scheme": Scenario(status=-1, url="127.0.0.1:{port}/"),
    "url-http-scheme": Scenario(status=-1, url="http://127.0.0.1:{port}/"),
    "url-empty": Scenario(status=-1, url=""),
    "url-host-257-characters": Scenario(status=-2, url="ws://" + "a" * 257 + "/"),
    "url-port-0": Scenario(status=-3, url="ws://127.0.0.1:0/"),
    "url-port-65536": Scenario(status=-3, url="ws://127.0.0.1:65536/"),
    "url-port-not-a-number": Scenario(status=-3, url="ws://127.0.0.1:8o80/"),
    "url-without-host": Scenario(status=-4, url="ws:///path"),
    "url-line-break": Scenario(status=-4, url="ws://127.0.0.1:{port}/a\r\nX: y"),
    "url-space": Scenario(status=-4, url="ws://127.0.0.1:{port}/a b"),
    # Labels are at most 63 characters, so a resolver refuses this name itself and asks nobody.
    "host-unresolvable": Scenario(status=-5, url="ws://" + "a" * 64 + ".invalid:{port}/"),
    # TCP has no multicast: the kernel answers ENETUNREACH and sends nothing.
    "host-unreachable": Scenario(status=-104, url="ws://224.0.0.1:{port}/"),
    "port-closed": Scenario(status=-111, url="ws://127.0.0.1:{closed_port}/"),
    "port-never-answers": Scenario(status=-18, url="ws://127.0.0.1:{full_port}/", config=_QUICK_CONNECT),
}

_HANDSHAKE_GOOD = {
    "reply-lower-case": Scenario((Recase("lower"), Close(1000)), sent=1000),
    "reply-upper-case": Scenario((Recase("upper"), Close(1000)), sent=1000),
    "reply-values-in-other-case": Scenario(
        (Reply(headers={"Upgrade": "WebSocket", "Connection": "keep-alive, UPGRADE"}), Close(1000)), sent=1000
    ),
    "reply-spaces-around-values": Scenario(
        (Reply(headers={"Upgrade": "\t websocket \t", "Connection": " Upgrade "}), Close(1000)), sent=1000
    ),
    "reply-without-reason-phrase": Scenario((Reply("HTTP/1.1 101 "), Close(1000)), sent=1000),
    "reply-with-other-headers": Scenario(
        (Reply(lines=b"Server: x\r\nDate: today\r\nX-Colon: a:b:c\r\nX-Empty:\r\n"), Close(1000)), sent=1000
    ),
    "reply-of-3900-bytes": Scenario((Reply(lines=b"X: " + b"x" * 3750 + b"\r\n"), Close(1000)), sent=1000),
    "reply-byte-by-byte": Scenario((Drip(Reply()), Close(1000)), sent=1000),
    "reply-and-frames-in-one-segment": Scenario(
        (Together((Reply(), Frame(TEXT, b"early"), Frame(BINARY, b""), Close(1001, b"bye"))),),
        sent=1001, received=((TEXT, b"early"), (BINARY, b"")), heard=(1001, "bye"),
    ),
    "reply-cut-before-last-byte": Scenario((Split(Reply(), (-1,)), Close(1000)), sent=1000),
    "reply-cut-in-status-line": Scenario((Split(Reply(), (7, 10)), Close(1000)), sent=1000),
    "subprotocol-chosen": Scenario(
        (Reply(headers={"Sec-WebSocket-Protocol": "superchat"}), Close(1000)),
        sent=1000, protocol="superchat", config={"protocols": ["chat", "superchat"]},
    ),
    "subprotocol-offered-none-chosen": Scenario((Reply(), Close(1000)), sent=1000, config={"protocols": ["chat"]}),
}  # fmt: skip

_HANDSHAKE_BAD = {
    "reply-without-upgrade": _refused(Reply(headers={"Upgrade": None})),
    "reply-wrong-upgrade": _refused(Reply(headers={"Upgrade": "h2c"})),
    "reply-empty-upgrade": _refused(Reply(headers={"Upgrade": ""})),
    "reply-without-connection": _refused(Reply(headers={"Connection": None})),
    "reply-wrong-connection": _refused(Reply(headers={"Connection": "keep-alive"})),
    "reply-connection-only-contains-upgrade": _refused(Reply(headers={"Connection": "no-upgrade"})),
    "reply-without-accept": _refused(Reply(headers={"Sec-WebSocket-Accept": None})),
    "reply-wrong-accept": _refused(Reply(headers={"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="})),
    "reply-empty-accept": _refused(Reply(headers={"Sec-WebSocket-Accept": ""})),
    "reply-subprotocol-not-asked-for": _refused(Reply(headers={"Sec-WebSocket-Protocol": "chat"})),
    "reply-other-subprotocol": _refused(
        Reply(headers={"Sec-WebSocket-Protocol": "mqtt"}), config={"protocols": ["chat"]}
    ),
    "reply-two-subprotocols": _refused(
        Reply(headers={"Sec-WebSocket-Protocol": "chat, mqtt"}), config={"protocols": ["chat", "mqtt"]}
    ),
    "reply-extension-not-offered": _refused(Reply(headers={"Sec-WebSocket-Extensions": "permessage-deflate"})),
    "reply-unknown-extension": _refused(Reply(headers={"Sec-WebSocket-Extensions": "x-other"})),
    "reply-header-without-colon": _refused(Reply(lines=b"nonsense\r\n")),
    "reply-header-without-name": _refused(Reply(lines=b": value\r\n")),
    "reply-space-before-colon": _refused(Reply(lines=b"X : y\r\n")),
    "reply-oversized-header": _refused(Reply(lines=b"X: " + b"x" * 20000 + b"\r\n")),
    "reply-oversized-in-many-headers": _refused(Reply(lines=b"X: yyyyyyyy\r\n" * 2000)),
    "reply-endless-headers": Scenario((Raw(b"HTTP/1.1 101 OK\r\n"), Endless(Raw(b"X: y\r\n" * 100))), status=-7),
    "reply-endless-header": Scenario((Raw(b"HTTP/1.1 101 OK\r\nX: "), Endless(Raw(b"x" * 600))), status=-7),
    "reply-oversized-header-that-matters": _refused(Reply(lines=b"Connection: " + b"x" * 600 + b"\r\n")),
    "reply-of-http-10": _refused(Raw(b"HTTP/1.0 101 Switching Protocols\r\n\r\n")),
    "reply-not-http": _refused(Raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")),
    "reply-never": Scenario((Listen(2000),), status=-18, first="client", config=_QUICK_CONNECT),
    "reply-half": Scenario(
        (Raw(b"HTTP/1.1 101 Swit"), Listen(2000)), status=-18, first="client", config=_QUICK_CONNECT
    ),
    "reply-drips": Scenario(
        (Raw(b"HTTP/1.1 101 OK\r\nX: "), Endless(Raw(b"x"), pause_ms=20)), status=-18, config=_QUICK_CONNECT
    ),
    "reply-then-fin-halfway": Scenario((Raw(b"HTTP/1.1 101 Swit"), Fin()), status=-99, heard=(1006, "")),
    "fin-instead-of-reply": Scenario((Fin(),), status=-99, heard=(1006, "")),
    "reset-instead-of-reply": Scenario((Reset(),), status=-111),
    # The client must have read the first bytes: after them a reset is no refusal.
    "reset-within-reply": Scenario((Raw(b"HTTP/1.1 101 Swit"), Pause(100), Reset()), status=-109),
} | {
    f"reply-{code}": Scenario(
        (Reply(f"HTTP/1.1 {code} Refused", {"Content-Length": "4"}), Raw(b"no!\n")), status=-17, http_status=code
    )
    for code in (200, 301, 400, 401, 403, 404, 426, 500, 503)
}

_FIRST_BYTE = {
    f"rsv{4 - bit.bit_length()}": Frame(TEXT, b"x", rsv=bit) for bit in (4, 2, 1)
} | {
    f"opcode-{opcode}": Frame(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
}  # fmt: skip

_FRAMING = {f"frame-{name}": _bad_frame(step) for name, step in _FIRST_BYTE.items()} | {
    "frame-masked": _bad_frame(Frame(TEXT, b"hello", key=b"\1\2\3\4")),
    "frame-masked-empty": _bad_frame(Frame(TEXT, b"", key=b"\1\2\3\4")),
    "ping-rsv": _bad_frame(Frame(PING, b"x", rsv=2)),
    "ping-fragmented": _bad_frame(Frame(PING, b"x", fin=False)),
    "pong-fragmented": _bad_frame(Frame(PONG, b"x", fin=False)),
    "close-fragmented": _bad_frame(Frame(CLOSE, b"\x03\xe8", fin=False)),
    "ping-of-126-bytes": _bad_frame(Frame(PING, b"x" * 126)),
    "pong-of-126-bytes": _bad_frame(Frame(PONG, b"x" * 126)),
    "close-of-126-bytes": _bad_frame(Frame(CLOSE, b"\x03\xe8" + b"x" * 124)),
    "ping-of-65536-bytes": _bad_frame(Frame(PING, b"x" * 65536)),
    "ping-in-longer-form": _bad_frame(Frame(PING, b"x", form=2)),
    "length-0-in-16-bits": _bad_frame(Frame(BINARY, b"", form=2)),
    "length-125-in-16-bits": _bad_frame(Frame(BINARY, b"x" * 125, form=2)),
    "length-125-in-64-bits": _bad_frame(Frame(BINARY, b"x" * 125, form=8)),
    "length-65535-in-64-bits": _bad_frame(Frame(BINARY, b"x" * 65535, form=8)),
    "length-2-to-the-63": _bad_frame(Frame(BINARY, announced=1 << 63, form=8)),
    "length-2-to-the-64-less-1": _bad_frame(Frame(BINARY, announced=(1 << 64) - 1, form=8)),
    "close-of-one-byte": _bad_frame(Frame(CLOSE, b"\x03")),
    "frame-bad-within-fragments": _bad_frame(Frame(TEXT, b"a", fin=False), Frame(3, b"x")),
    "frame-bad-after-good": _bad_frame(
        Together((Frame(TEXT, b"good"), Frame(TEXT, b"bad", rsv=1))), received=((TEXT, b"good"),)
    ),
    # The header alone shows what is wrong: nothing that it announces may be waited for.
    "frame-bad-without-payload": _bad_frame(Frame(11, announced=100), Listen(2000)),
    "frame-bad-byte-by-byte": _bad_frame(Drip(Frame(BINARY, b"x" * 125, form=8))),
    "frame-bad-and-server-silent": _bad_frame(
        Frame(3), Await(CLOSE), Listen(2000), first="client", config=_QUICK_CLOSE
    ),
} | {
    f"close-code-{code}": _bad_frame(Close(code), heard=(1006, ""))
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
}  # fmt: skip

_FRAGMENT_ORDER = {
    "continuation-without-start": _open(Frame(CONTINUATION, b"x"), status=-15, sent=1002),
    "continuation-unfinished-without-start": _open(Frame(CONTINUATION, b"x", fin=False), status=-15, sent=1002),
    "continuation-after-whole-message": _open(
        Frame(TEXT, b"x"), Frame(CONTINUATION, b"x"), status=-15, sent=1002, received=((TEXT, b"x"),)
    ),
    "text-within-fragments": _open(Frame(TEXT, b"a", fin=False), Frame(TEXT, b"b"), status=-15, sent=1002),
    "binary-within-fragments": _open(Frame(TEXT, b"a", fin=False), Frame(BINARY, b"b"), status=-15, sent=1002),
    "start-within-fragments": _open(
        Frame(BINARY, b"a", fin=False), Frame(BINARY, b"b", fin=False), status=-15, sent=1002
    ),
}

_NOT_UTF8 = {
    "lone-continuation": b"\x80",
    "overlong-nul": b"\xc0\x80",
    "overlong-2-last": b"\xc1\xbf",
    "overlong-3-first": b"\xe0\x80\x80",
    "overlong-3-last": b"\xe0\x9f\xbf",
    "overlong-4-first": b"\xf0\x80\x80\x80",
    "overlong-4-last": b"\xf0\x8f\xbf\xbf",
    "surrogate-first": b"\xed\xa0\x80",
    "surrogate-last": b"\xed\xbf\xbf",
    "surrogate-pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "above-10ffff": b"\xf4\x90\x80\x80",
    "lead-f5": b"\xf5\x80\x80\x80",
    "five-byte-form": b"\xf8\x88\x80\x80\x80",
    "byte-fe": b"\xfe",
    "byte-ff": b"\xff",
    "cut-2": b"\xc3",
    "cut-3": b"\xe2\x82",
    "cut-4": b"\xf0\x9f\x98",
    "lead-then-ascii": b"\xc3\x28",
    "lead-then-lead": b"\xe2\x82\xc3\xa9",
}

_TEXT_EDGES = "\0\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff".encode()

_UTF8 = (
    {f"text-{name}": _bad_text(Frame(TEXT, "gr\u00fc\u00df ".encode() + bad)) for name, bad in _NOT_UTF8.items()}
    | {
        f"fragments-{name}": _bad_text(
            Frame(TEXT, b"abc" + bad[:1], fin=False), Frame(CONTINUATION, fin=False), Frame(CONTINUATION, bad[1:])
        )
        for name, bad in _NOT_UTF8.items()
    }
    | {f"data-{name}": _bad_text(Frame(TEXT, b"abc" + bad), data=True) for name, bad in _NOT_UTF8.items()}
    | {f"reason-{name}": _bad_text(Close(1000, b"abc" + bad), heard=(1006, "")) for name, bad in _NOT_UTF8.items()}
    | {
        "text-edges-of-utf8": _bye(Frame(TEXT, _TEXT_EDGES), received=((TEXT, _TEXT_EDGES),)),
        "fragments-within-characters": _bye(
            *(Frame(CONTINUATION if i else TEXT, bytes((byte,)), fin=False) for i, byte in enumerate(_TEXT_EDGES)),
            Frame(CONTINUATION),
            received=((TEXT, _TEXT_EDGES),),
        ),
        "binary-need-not-be-utf8": _bye(Frame(BINARY, b"\xff\xc0\x80"), received=((BINARY, b"\xff\xc0\x80"),)),
        "text-bad-at-the-end-of-64-kib": _bad_text(Frame(TEXT, pattern(65535) + b"\xc3")),
    }
)  # fmt: skip

_SERVER_CLOSES = {
    f"server-closes-{code}": _open(
        Close(code, b"why \xe2\x82\xac"), status=-6, sent=code, heard=(code, "why \u20ac"), first="server"
    )
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
} | {
    "server-closes-without-code": _open(Close(), status=-6, sent=1005, heard=(1005, "")),
    "server-closes-longest-reason": _open(
        Close(1000, b"r" * 123), status=-6, sent=1000, heard=(1000, "r" * 123)
    ),
    "server-closes-within-fragments": _bye(Frame(TEXT, b"half", fin=False)),
    "server-closes-twice": _open(Close(1001), Close(1002), status=-6, sent=1001, heard=(1001, "")),
    "server-closes-then-sends": _open(
        Together((Close(1001), Frame(TEXT, b"late"), Frame(3))), status=-6, sent=1001
    ),
    "server-closes-tcp-late": _open(
        Close(1000), Await(CLOSE), Listen(300), Fin(), status=-6, sent=1000, first="server"
    ),
    "server-closes-tcp-never": _open(
        Close(1000), Await(CLOSE), Listen(2000), status=-6, sent=1000, first="client", config=_QUICK_CLOSE
    ),
    "server-closes-and-resets": _open(Close(1000), Await(CLOSE), Reset(), status=-6, sent=1000),
    "server-closes-byte-by-byte": _open(Drip(Close(1000, b"slow")), status=-6, sent=1000, heard=(1000, "slow")),
}  # fmt: skip

_CLIENT_CLOSES = {
    "close-answered": _open(Echo(), status=0, sent=1000, calls=_CLOSE_NOW, heard=(1000, ""), first="server"),
    "close-with-code-and-reason": _open(
        Echo(), status=0, sent=4321, calls={"connection": [["close", 4321, "enough \u20ac"]]}, heard=(4321, "")
    ),
    "close-unanswered": _open(
        Await(CLOSE), Listen(2000), status=0, sent=1000, calls=_CLOSE_NOW, config=_QUICK_CLOSE, first="client"
    ),
    "close-answered-tcp-late": _open(
        Await(CLOSE), Close(1000), Listen(300), Fin(), status=0, sent=1000, calls=_CLOSE_NOW, first="server"
    ),
    "close-then-fin": _open(Await(CLOSE), Fin(), status=0, sent=1000, calls=_CLOSE_NOW),
    "close-then-reset": _open(Await(CLOSE), Reset(), status=0, sent=1000, calls=_CLOSE_NOW),
    "close-then-late-message": _open(
        Await(CLOSE), Frame(TEXT, b"late"), Frame(PING, b"late"), Close(1000), status=0, sent=1000, calls=_CLOSE_NOW
    ),
    "close-then-bad-frame": _open(Await(CLOSE), Frame(3, b"x"), Close(1000), status=0, sent=1000, calls=_CLOSE_NOW),
    "close-then-other-code": _open(Await(CLOSE), Close(1001), status=0, sent=1000, calls=_CLOSE_NOW),
    "close-within-receive": _open(
        Together((Frame(TEXT, b"a"), Frame(TEXT, b"b"))), Echo(),
        status=0, sent=1000, received=((TEXT, b"a"),), calls={"receive": [["close"]]},
    ),
    "close-twice": _open(Echo(), status=0, sent=1000, calls={"connection": [["close"], ["close", 1001]]}),
    "close-while-connecting": Scenario((Listen(2000),), status=0, calls={"start": [["close"]]}),
    "close-while-reply-is-awaited": Scenario(
        (Listen(2000),), status=0, first="client", calls={"start": [["poll", 50], ["poll", 50], ["close"]]}
    ),
    "close-while-server-is-deaf": _open(
        Pause(1000), status=0, calls=_CLOSE_NOW, config=_QUICK_CLOSE, sent=1000
    ),
}  # fmt: skip

_LOST = {
    "fin-after-handshake": _open(Fin(), status=-99, heard=(1006, "")),
    "fin-within-header": _open(Raw(b"\x82"), Fin(), status=-99),
    "fin-within-length": _open(Raw(b"\x82\x7f\0\0"), Fin(), status=-99),
    "fin-within-payload": _open(Frame(BINARY, b"abc", announced=10), Fin(), status=-99),
    "fin-within-fragments": _open(Frame(TEXT, b"abc", fin=False), Fin(), status=-99),
    "fin-after-message": _open(Frame(TEXT, b"last"), Fin(), status=-99, received=((TEXT, b"last"),)),
    "reset-after-handshake": _open(Pause(100), Reset(), status=-109, heard=(1006, "")),
    "reset-within-payload": _open(Frame(BINARY, b"abc", announced=10), Pause(100), Reset(), status=-109),
    "reset-while-sending": _open(
        Pause(100), Reset(), status=-109, calls={"connection": [["flood", 65536]]}, raised=("ENOTCONN",)
    ),
    "silent": _open(
        Listen(3000), status=-19, sent=1001, config=_QUICK_PING | _QUICK_CLOSE, answers=((PING, b""), (PING, b""))
    ),
    "silent-within-payload": _open(
        Frame(BINARY, b"abc", announced=10), Listen(3000), status=-19, sent=1001, config=_QUICK_PING | _QUICK_CLOSE
    ),
    "silent-but-for-pongs": _bye(AnswerPings(25), config=_PATIENT_PING),
    "silent-within-payload-but-for-drips": _bye(
        Drip(Frame(BINARY, b"0123456789"), 300), config=_PATIENT_PING, received=((BINARY, b"0123456789"),)
    ),
    "deaf": _open(
        Pause(1500), status=-103, config={"send_timeout_ms": 300}, calls={"connection": [["flood", 65536]]},
        raised=("ETIMEDOUT",),
    ),
}  # fmt: skip

_HUGE = {
    "huge": 1 << 62,
    "largest": (1 << 63) - 1,
}
_WRAPPING = {  # in 32 bits these would be 5 and 0 bytes, and -1 as a signed number
    "4-gib-and-5": (1 << 32) + 5,
    "4-gib": 1 << 32,
    "4-gib-less-1": (1 << 32) - 1,
}


def _too_large(name, length, **expected):
    """Return the three scenarios of a length that is too large: whole, first fragment, later fragment."""
    expected = {"sent": 1009, **expected}
    return {
        f"{name}-whole": _open(Frame(BINARY, b"abcde", announced=length, form=8), status=-8, **expected),
        f"{name}-first": _open(Frame(TEXT, b"abcde", fin=False, announced=length, form=8), status=-10, **expected),
        f"{name}-later": _open(
            Frame(BINARY, b"a", fin=False), Frame(CONTINUATION, b"abcde", announced=length, form=8),
            status=-11, **expected,
        ),
    }  # fmt: skip


def _merged(tables):
    merged = {}
    for table in tables:
        if shared := merged.keys() & table:
            raise ValueError(f"two scenarios have the same name: {', '.join(shared)}")
        merged |= table
    return merged


_SMALL_HEAP = {"heap": "256k", "on": MICROPYTHONS}

_MEMORY = (
    _merged(_too_large(name, length) for name, length in _HUGE.items())
    | _merged(_too_large(name, length, config={"max_message": 100}) for name, length in _WRAPPING.items())
    | _merged(_too_large(f"no-memory-{name}", length, **_SMALL_HEAP) for name, length in _WRAPPING.items())
    | {
        "limit-reached-exactly": _bye(
            Frame(BINARY, b"x" * 100), config={"max_message": 100}, received=((BINARY, b"x" * 100),)
        ),
        "limit-reached-in-fragments": _bye(
            Frame(BINARY, b"x" * 60, fin=False), Frame(CONTINUATION, b"x" * 40),
            config={"max_message": 100}, received=((BINARY, b"x" * 100),),
        ),
        "limit-exceeded-by-one": _open(Frame(BINARY, b"x" * 101), config={"max_message": 100}, status=-8, sent=1009),
        "limit-exceeded-first": _open(
            Frame(TEXT, b"x" * 101, fin=False), config={"max_message": 100}, status=-10, sent=1009
        ),
        "limit-exceeded-in-fragments": _open(
            Frame(BINARY, b"x" * 60, fin=False), Frame(CONTINUATION, b"x" * 41),
            config={"max_message": 100}, status=-11, sent=1009,
        ),
        "limit-0-empty-message": _bye(Frame(TEXT), config={"max_message": 0}, received=((TEXT, b""),)),
        "no-memory-whole": _open(Frame(BINARY, pattern(1 << 18)), status=-8, sent=1009, **_SMALL_HEAP),
        "no-memory-later": _open(
            Frame(BINARY, pattern(1 << 16), fin=False),
            *(Frame(CONTINUATION, pattern(1 << 16), fin=False) for _ in range(4)),
            status=-11, sent=1009, **_SMALL_HEAP,
        ),
        "no-memory-to-decode": _open(Frame(TEXT, pattern(140_000)), status=-13, sent=1009, **_SMALL_HEAP),
        "enough-memory-afterwards": _bye(
            Frame(TEXT, pattern(30_000)), received=((TEXT, pattern(30_000)),), **_SMALL_HEAP
        ),
        "data-needs-no-memory": _bye(
            Frame(BINARY, pattern(1 << 20)), data=True, received=((BINARY, pattern(1 << 20)),), **_SMALL_HEAP
        ),
    }
)  # fmt: skip

_FLOODS = {
    "flood-of-empty-fragments": _bye(
        Together((Frame(TEXT, fin=False), Times(10000, Frame(CONTINUATION, fin=False)), Frame(CONTINUATION, b"x"))),
        received=((TEXT, b"x"),),
    ),
    "flood-of-empty-messages": _bye(Times(500, Frame(BINARY)), received=((BINARY, b""),) * 500),
    "flood-of-pings": _bye(Times(2000, Frame(PING, b"x" * 125)), answers=ANYTHING),
    "flood-of-pings-to-deaf-server": _bye(Stuff(Times(20000, Frame(PING, b"x" * 125)))),
    "flood-of-pongs": _bye(Times(2000, Frame(PONG, b"unasked"))),
    "flood-while-nobody-polls": _bye(
        Times(5000, Frame(PING, b"x" * 125)), Frame(TEXT, b"after"),
        calls={"connection": [["sleep_ms", 300]]}, received=((TEXT, b"after"),),
    ),
}  # fmt: skip

_PIECES = (*(Frame(TEXT if i == 0 else CONTINUATION, part.encode(), fin=i == 3) for i, part in enumerate("abcd")),)

_MESSAGES = {
    f"message-of-{size}": _bye(Frame(BINARY, pattern(size)), received=((BINARY, pattern(size)),))
    for size in (0, 1, 125, 126, 127, 65535, 65536)
} | {
    f"data-of-{size}": _bye(Frame(TEXT, pattern(size)), data=True, received=((TEXT, pattern(size)),))
    for size in (0, 1, 125, 126, 511, 512, 513, 65536)
} | {
    f"echo-of-{size}": _open(
        Echo(1), Await(CLOSE), status=0, sent=1000, received=((BINARY, pattern(size)),),
        answers=((BINARY, pattern(size)),),
        calls={"connection": [["send", {"pattern": size}]], "receive": [["close"]]},
    )
    for size in (0, 1, 3, 125, 126, 127, 1000, 65535, 65536, 200_000)
} | {
    "echo-of-text": _open(
        Echo(1), Await(CLOSE), status=0, sent=1000, received=((TEXT, _TEXT_EDGES),), answers=((TEXT, _TEXT_EDGES),),
        calls={"connection": [["send", _TEXT_EDGES.decode()]], "receive": [["close"]]},
    ),
    "echo-of-empty-text": _open(
        Echo(1), Await(CLOSE), status=0, sent=1000, received=((TEXT, b""),), answers=((TEXT, b""),),
        calls={"connection": [["send", ""]], "receive": [["close"]]},
    ),
    "echo-of-fragments": _open(
        Echo(3), Await(CLOSE), status=0, sent=1000, received=((TEXT, b"one, two"),),
        answers=((TEXT, b"one, "), (CONTINUATION, b""), (CONTINUATION, b"two")),
        calls={
            "connection": [["send", "one, ", None, False], ["send", "", 0, False], ["send", "two", 0, True]],
            "receive": [["close"]],
        },
    ),
    "fragments": _bye(*_PIECES, received=((TEXT, b"abcd"),)),
    "fragments-in-one-segment": _bye(Together(_PIECES), received=((TEXT, b"abcd"),)),
    "fragments-all-empty": _bye(
        Frame(BINARY, fin=False), Frame(CONTINUATION, fin=False), Frame(CONTINUATION), received=((BINARY, b""),)
    ),
    "fragments-data": _bye(*_PIECES, data=True, received=((TEXT, b"abcd"),)),
    "ping-within-fragments": _bye(
        Frame(TEXT, b"a", fin=False), Frame(PING, b"in between"), Frame(CONTINUATION, b"b"), Await(PONG),
        received=((TEXT, b"ab"),), answers=((PONG, b"in between"),),
    ),
    "ping-empty": _bye(Frame(PING), Await(PONG), answers=((PONG, b""),)),
    "ping-of-125-bytes": _bye(Frame(PING, b"x" * 125), Await(PONG), answers=((PONG, b"x" * 125),)),
    "pong-unasked": _bye(Frame(PONG, b"why not"), answers=()),
    "message-byte-by-byte": _bye(Drip(Frame(TEXT, b"drop by drop")), received=((TEXT, b"drop by drop"),)),
    "message-cut-everywhere": _bye(
        Split(Frame(BINARY, b"y" * 126), (1, 2, 3, 4, 5, 129)), received=((BINARY, b"y" * 126),)
    ),
    "message-one-byte-a-second": _bye(
        Drip(Frame(BINARY, b"z"), 1000), received=((BINARY, b"z"),)
    ),
}  # fmt: skip

# What cannot be played on the chip: its resolver would ask another computer; its packets all reach QEMU, wherever they
# go; two ends come before it has filled the buffers of QEMU and of this computer; the others need a message that its
# heap cannot hold.
_NOT_ON_THE_CHIP = (
    "host-unresolvable", "host-unreachable",
    "deaf", "flood-of-pings-to-deaf-server",
    "text-bad-at-the-end-of-64-kib", "no-memory-later", "no-memory-to-decode", "enough-memory-afterwards",
    "message-of-65535", "message-of-65536", "echo-of-65535", "echo-of-65536", "echo-of-200000",
)  # fmt: skip


def _on_the_chip(table):
    """Return a table with the chip among the interpreters of each scenario that it can play."""
    if unknown := set(_NOT_ON_THE_CHIP) - set(table):
        raise ValueError(f"there is no scenario {', '.join(unknown)}")
    return {
        name: scenario if name in _NOT_ON_THE_CHIP else replace(scenario, on=(*scenario.on, CHIP))
        for name, scenario in table.items()
    }


SCENARIOS = _on_the_chip(_merged((
    _URLS, _HANDSHAKE_GOOD, _HANDSHAKE_BAD, _FRAMING, _FRAGMENT_ORDER, _UTF8, _SERVER_CLOSES, _CLIENT_CLOSES, _LOST,
    _MEMORY, _FLOODS, _MESSAGES,
)))  # fmt: skip

SCRIPTS = {name: scenario.steps for name, scenario in SCENARIOS.items()}
