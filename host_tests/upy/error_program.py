"""Tells what uwebsocket_errors makes of errors and buffers, by this interpreter's own numbers."""

import array
import errno

from plain import tell

import uwebsocket_errors as errors

_NAMES = (
    "ENOMEM",
    "ENOBUFS",
    "ETIMEDOUT",
    "EHOSTUNREACH",
    "ECONNABORTED",
    "ECONNRESET",
    "ECONNREFUSED",
    "EAGAIN",
    "EBADF",
    "ENOTCONN",
    "EINVAL",
    "EALREADY",
)


class TextError(OSError):
    """An OSError without a number, as getaddrinfo raises it."""


def main():
    for name in _NAMES:
        number = getattr(errno, name)
        tell(name, [errors.status_of(OSError(number, "")), errors.status_of(OSError(-number, ""))])
    for name, number in (("EPIPE", 32), ("ENETUNREACH", 101), ("unknown", 9999), ("tls", -29312), ("zero", 0)):
        tell(name, [errors.status_of(OSError(number, "")), errors.status_of(OSError(-number, ""))])
    tell("no-number", [errors.status_of(TextError("text")), errors.status_of(OSError())])
    tell("end", errors.status_of(EOFError()))
    tell("memory", errors.status_of(MemoryError()))
    for status in (-8, -10, -11, -13, -15, -16, -19, -202, -207):
        tell("close of {}".format(status), errors.failure_payload(status))
    words = array.array("H", (0x0102, 0xFF00, 7))
    view = memoryview(bytearray(b"abcdef"))
    for name, message in (
        ("array-of-words", words),
        ("array-of-bytes", array.array("B", (1, 2, 3))),
        ("array-of-long", array.array("I", (1, 1 << 30))),
        ("array-empty", array.array("H")),
        ("memoryview", view),
        ("memoryview-of-a-part", view[2:5]),
        ("memoryview-empty", view[3:3]),
        ("memoryview-of-words", memoryview(words)),
    ):
        found = errors.bytes_of(message)
        tell(name, [type(found).__name__, bytes(found), len(found)])
    copied = errors.bytes_of(words)
    words[0] = 0x3131
    tell("no-copy", bytes(copied[:2]))


main()
