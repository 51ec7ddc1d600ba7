"""Calls of the client's methods and what they must raise, for every interpreter.

CALLS: (name, method, arguments, told). `told` is what a closed client does: "None", the name of the exception, or
"ENOTCONN" for that OSError. The wrong arguments are refused in every state.
"""

import array

WRONG = ("ValueError", "TypeError")


def handler(*event):
    """Do nothing with an event."""


class Handler:
    """Something else that can be called."""

    def __call__(self, *event):
        """Do nothing with an event."""


CALLS = []


def _add(method, told, table):
    for name, *arguments in table:
        CALLS.append(("{}-{}".format(method, name), method, tuple(arguments), told))


_EVENTS = ("connection", "receive", "data", "pong", "close")
_add("on", "None", [(event, event, handler) for event in _EVENTS])
_add("on", "None", [(event + "-none", event, None) for event in _EVENTS])
_add("on", "None", [("object", "receive", Handler()), ("class", "receive", Handler), ("built-in", "receive", print)])
_add(
    "on",
    "ValueError",
    [
        ("unknown-event", "message", handler),
        ("unknown-event-none", "message", None),
        ("event-in-capitals", "Receive", handler),
        ("event-empty", "", handler),
        ("event-none", None, handler),
        ("event-number", 1, handler),
        ("event-list", [], handler),
        ("unknown-event-and-handler", "message", 1),
    ],
)
_add(
    "on",
    "TypeError",
    [
        ("handler-number", "receive", 1),
        ("handler-text", "receive", "print"),
        ("handler-false", "close", False),
        ("handler-list", "close", [handler]),
        ("handler-dict", "data", {}),
    ],
)

_add(
    "connect",
    "TypeError",
    [("bytes", b"ws://h/"), ("none", None), ("number", 80), ("list", ["ws://h/"]), ("tuple", ("h", 80))],
)

_add(
    "send",
    "ENOTCONN",
    [
        ("text", "x"),
        ("text-empty", ""),
        ("bytes", b"x"),
        ("bytes-empty", b""),
        ("bytearray", bytearray(3)),
        ("memoryview", memoryview(b"abc")),
        ("array", array.array("H", (1, 2))),
        ("array-empty", array.array("H")),
        ("text-as-binary", "x", 2),
        ("bytes-as-text", b"x", 1),
        ("fragment", "x", None, False),
        ("fragment-of-text", "x", 1, False),
        ("ping", b"", 9),
        ("ping-of-text", "x", 9),
        ("ping-of-125", bytes(125), 9),
        ("pong", b"x", 10),
        ("pong-of-an-array", array.array("H", range(62)), 10),
    ],
)
_add(
    "send",
    "TypeError",
    [("none", None), ("number", 1), ("list", [1, 2]), ("dict", {}), ("object", object()), ("function", handler)],
)
_add(
    "send",
    "ValueError",
    [
        ("opcode-3", b"", 3),
        ("opcode-8", b"", 8),
        ("opcode-11", b"", 11),
        ("opcode-15", b"", 15),
        ("opcode-negative", b"", -1),
        ("opcode-128", b"", 0x81),
        ("opcode-text", b"", "text"),
        ("ping-of-126", bytes(126), 9),
        ("pong-of-126", bytes(126), 10),
        ("ping-of-an-array", array.array("H", range(63)), 9),
        ("ping-of-126-bytes-of-text", "\u00e9" * 63, 9),
        ("ping-not-final", b"", 9, False),
        ("pong-not-final", b"", 10, False),
    ],
)

_add(
    "close",
    "None",
    [
        ("plain",),
        ("code", 1000),
        ("code-and-reason", 1000, "bye"),
        ("reason-of-123", 4000, "r" * 123),
        ("reason-empty", 1001, ""),
        ("reason-of-123-bytes", 1000, "\u00e9" * 61 + "x"),
        ("reason-not-ascii", 1000, "\u20ac\U0001f600"),
    ],
)
_add("close", "None", [("code-{}".format(code), code) for code in (1001, 1003, 1007, 1014, 3000, 3999, 4000, 4999)])
_add(
    "close",
    "ValueError",
    [
        ("code-{}".format(code), code)
        for code in (
            0,
            1,
            -1,
            999,
            1004,
            1005,
            1006,
            1015,
            1016,
            2000,
            2999,
            5000,
            65535,
            65536 + 1000,
            1 << 40,
        )
    ],
)
_add(
    "close",
    "ValueError",
    [
        ("code-none", None),
        ("code-text", "1000"),
        ("code-true", True),
        ("code-half", 1000.5),
        ("code-list", []),
        ("reason-of-124", 1000, "r" * 124),
        ("reason-of-124-bytes", 1000, "\u00e9" * 62),
        ("reason-of-10000", 1000, "r" * 10000),
        ("reason-bytes", 1000, b"bye"),
        ("reason-bytes-empty", 1000, b""),
        ("reason-none", 1000, None),
        ("reason-number", 1000, 5),
        ("reason-surrogate", 1000, "\ud800"),
        ("reason-list", 1000, []),
        ("code-bad-reason-good", 1005, "x"),
        ("code-good-reason-bad", 1000, b"\xff"),
    ],
)
