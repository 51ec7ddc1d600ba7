"""Statuses of errors and Close codes of statuses, and buffers as bytes, on every interpreter and port."""

import array
import sys

import pytest

import fakes
from common import rigs
from servers import wire
from support.programs import CHIP, told
from upy.losing import status_of
from upy.plain import plain

_EACH = pytest.mark.parametrize("interpreter", [*rigs.INTERPRETERS, CHIP])

_STATUSES = {
    "ENOMEM": -101,
    "ENOBUFS": -101,
    "ETIMEDOUT": -103,
    "EHOSTUNREACH": -104,
    "ECONNABORTED": -108,
    "ECONNRESET": -109,
    "EPIPE": -109,
    "ECONNREFUSED": -111,
    "EBADF": -199,
    "ENOTCONN": -199,
    "EINVAL": -199,
    "EALREADY": -199,
}
_OTHERS = {"ENETUNREACH": -104, "EAGAIN": -199, "unknown": -199, "zero": -199}


def _told(interpreter):
    return told(interpreter, "error_program.py")


@_EACH
@pytest.mark.parametrize(("name", "status"), [*_STATUSES.items(), *_OTHERS.items()])
def test_status_of_an_os_error_of_either_sign_goes_by_its_meaning(interpreter, name, status):
    assert _told(interpreter)[name] == [status] * 4


@pytest.mark.parametrize("port", fakes.PORTS)
@pytest.mark.parametrize(("name", "status"), _STATUSES.items())
@pytest.mark.parametrize("sign", [1, -1])
def test_status_of_a_ports_own_number_goes_by_its_meaning(port, name, status, sign, scripted_board):
    board = scripted_board(port)
    error = board.execute(f"error = OSError({sign * board.profile.numbers[name]}, '')")["error"]
    client = board.load("uwebsocket_client")
    assert [status_of(client, error, opening) for opening in (True, False)] == [status, status]


@pytest.mark.parametrize(("port", "number"), [("esp32", 114), ("unix", 101)])
def test_status_of_an_unreachable_network_goes_by_the_ports_number(port, number, scripted_board):
    board = scripted_board(port)
    error = board.execute(f"error = OSError({number}, '')")["error"]
    assert status_of(board.load("uwebsocket_client"), error, False) == -104


@_EACH
@pytest.mark.parametrize(
    ("name", "opening", "later"),
    [
        ("no-number", -199, -109),
        ("text-for-a-number", -199, -199),
        ("end", -99, -99),
        ("memory", -101, -101),
        ("value", -128, -161),
    ],
)
def test_status_of_other_errors_is_told(interpreter, name, opening, later):
    assert _told(interpreter)[name] == [opening, later]


@_EACH
def test_status_of_a_number_of_tls_tells_whether_the_handshake_was_over(interpreter):
    assert _told(interpreter)["tls"] == [-128, -161, -128, -161]


_CODES = {-8: 1009, -10: 1009, -11: 1009, -13: 1009, -15: 1002, -16: 1011, -19: 1001, -202: 1002, -207: 1007}


@_EACH
@pytest.mark.parametrize(("status", "code"), _CODES.items())
def test_close_code_of_a_status_is_that_of_the_table(interpreter, status, code):
    assert _told(interpreter)[f"close of {status}"] == plain(wire.close_payload(code))


_WORDS = array.array("H", (0x0102, 0xFF00, 7))
_BUFFERS = {
    "array-of-words": _WORDS.tobytes(),
    "array-of-bytes": b"\1\2\3",
    "array-of-long": array.array("I", (1, 1 << 30)).tobytes(),
    "array-empty": b"",
    "memoryview": b"abcdef",
    "memoryview-of-a-part": b"cde",
    "memoryview-empty": b"",
    "memoryview-of-words": _WORDS.tobytes(),
}


@_EACH
@pytest.mark.parametrize(("name", "data"), _BUFFERS.items(), ids=_BUFFERS)
def test_bytes_of_a_buffer_are_its_memory(interpreter, name, data):
    assert _told(interpreter)[name] == ["memoryview", plain(data), len(data)]


@_EACH
def test_bytes_of_a_buffer_are_no_copy(interpreter):
    assert _told(interpreter)["no-copy"] == plain(b"11")
    assert sys.byteorder == "little", "the table is written for it"
