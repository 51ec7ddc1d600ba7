"""Tells what the client makes of errors and odd buffers, by this interpreter's own numbers."""

import array
import errno

from losing import close_payload_of, status_of
from plain import tell

import _wserror as errors
import uwebsocket_client

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


def of_either_sign(number):
    """Return the statuses of an error's number, as it is and negated, while opening and afterwards."""
    return [
        status_of(uwebsocket_client, OSError(signed, ""), opening)
        for signed in (number, -number)
        for opening in (True, False)
    ]


def main():
    for name in _NAMES:
        number = getattr(errno, name)
        tell(name, of_either_sign(number))
    for name, number in (("EPIPE", 32), ("ENETUNREACH", 101), ("unknown", 250), ("tls", -29312), ("zero", 0)):
        tell(name, of_either_sign(number))
    for name, error in (
        ("no-number", OSError()),
        ("text-for-a-number", OSError("text")),
        ("end", EOFError()),
        ("memory", MemoryError()),
        ("value", ValueError("\nThe certificate is not trusted\n")),
    ):
        tell(name, [status_of(uwebsocket_client, error, opening) for opening in (True, False)])
    for status in (-8, -10, -11, -13, -15, -16, -19, -202, -207):
        tell("close of {}".format(status), close_payload_of(uwebsocket_client, status))
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
        found = errors.memory(message)
        tell(name, [type(found).__name__, bytes(found), len(found)])
    copied = errors.memory(words)
    words[0] = 0x3131
    tell("no-copy", bytes(copied[:2]))


main()
