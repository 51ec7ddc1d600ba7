"""uwebsocket_deflate: what is offered and agreed on, compressed messages however they come, what goes out."""

import os
import types
import zlib

import pytest

import deflate
from common import compiler, rigs
from servers import compressing, wire
from support import chip_tables
from support.client_session import Session, each
from support.programs import CHIP, MICROPYTHONS, told
from upy import deflate_cases, protocol_cases
from upy.plain import plain

_PROGRAM = "deflate_program.py"
_RUNS = list(deflate_cases.runs(protocol_cases.in_pieces))

on_all_and_chip = pytest.mark.parametrize("interpreter", [*rigs.INTERPRETERS, CHIP])
on_micropython_and_chip = pytest.mark.parametrize("interpreter", [*MICROPYTHONS, CHIP])


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mpy")
    compiler.build_folder([*compiler.sources(), *compiler.extra_sources()], folder)
    return str(folder)


# ---- the tables


@on_all_and_chip
@pytest.mark.parametrize(
    ("name", "expected"), [pytest.param(case[0], case[3], id=case[0]) for case in deflate_cases.REPLIES]
)
def test_deflate_reply_is_agreed_to_by_the_letter(interpreter, name, expected):
    if expected and interpreter != "cpython":
        expected = (*expected[:2], False)  # these cannot compress
    assert told(interpreter, _PROGRAM, "replies", heap="8m")[name] == plain(expected)


@pytest.mark.parametrize(
    ("interpreter", "name", "expected"),
    [
        pytest.param(interpreter, run[0], run[2], id=f"{run[0]}-{interpreter}")
        for run in _RUNS
        for interpreter in (*rigs.INTERPRETERS, CHIP)
        if interpreter != CHIP or chip_tables.fits(*run[1:3])
    ],
)
def test_deflate_stream_however_it_comes_says_the_same(interpreter, name, expected):
    assert told(interpreter, _PROGRAM, "messages", heap="8m")[name] == plain(expected)


def test_deflate_tables_have_each_name_once():
    for names in ([run[0] for run in _RUNS], [case[0] for case in deflate_cases.REPLIES]):
        assert len(set(names)) == len(names)


# ---- the client


_NO_CONTEXT = ("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; server_max_window_bits=9")


def _opened(session, *headers):
    """Ask the server and have it agree; return its Peer."""
    peer = session.ask()
    peer.upgrade([*headers])
    session.until(lambda: session.ws.connected)
    return peer


@each()
@pytest.mark.parametrize(
    ("free", "bits", "least"),
    [(1 << 20, 15, 13), (100000, 13, 11), (20000, 11, 9), (9000, 10, 9), (3000, 9, 9)],
    ids=["1MiB", "100KB", "20KB", "9KB", "3KB"],
)
def test_deflate_offer_has_the_window_that_the_heap_affords(firmware, free, bits, least):
    with Session(firmware, {"compression": True}, upgrade=False) as session:
        session.board.mem_free = free
        peer = session.ask()
        without, within = peer.request().header("Sec-WebSocket-Extensions").split(", ")
        assert without.startswith("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
        assert without.endswith(f"; server_max_window_bits={bits}") or bits == 15 and "server_max" not in without
        assert within.startswith("permessage-deflate; client_no_context_takeover; client_max_window_bits")
        assert within.endswith(f"; server_max_window_bits={least}")


@each()
def test_deflate_not_asked_for_is_not_offered_nor_taken(firmware):
    with Session(firmware, upgrade=False) as session:
        peer = session.ask()
        assert peer.request().header("Sec-WebSocket-Extensions") is None
        peer.upgrade([_NO_CONTEXT])
        assert session.finish() == -7


@each()
@pytest.mark.parametrize(
    "headers",
    [[("Sec-WebSocket-Extensions", "permessage-bzip2")], [_NO_CONTEXT, _NO_CONTEXT]],
    ids=["another", "twice"],
)
def test_deflate_wrong_reply_is_no_upgrade(firmware, headers):
    with Session(firmware, {"compression": True}, upgrade=False) as session:
        session.ask().upgrade(headers)
        assert session.finish() == -7
        assert session.ws.error == "wrong header sec-websocket-extensions"


@each()
def test_deflate_declined_goes_on_without(firmware):
    with Session(firmware, {"compression": True}, upgrade=False) as session:
        peer = _opened(session)
        session.ws.send("a" * 1000)
        assert session.frames(peer) == [(wire.TEXT, b"a" * 1000)]
        peer.frame(wire.TEXT, deflate_cases.HELLO, rsv=4)
        peer.close(after_ms=1000)
        assert session.finish() == -202


@each()
@pytest.mark.parametrize(
    ("payload", "most", "status", "code"),
    [
        (deflate_cases.HELLO, 5, None, None),
        (deflate_cases.HELLO, 4, -8, 1009),
        (deflate_cases.run_of(200000), 2000, -8, 1009),
        (b"\x06", None, -202, 1002),
        (deflate_cases.stored(b"\xff"), None, -207, 1007),
    ],
    ids=["good", "too-long", "bomb", "corrupt", "not-utf-8"],
)
def test_deflate_message_is_told_or_ends_the_connection(firmware, payload, most, status, code):
    with Session(firmware, {"compression": True, "max_message": most}, upgrade=False) as session:
        peer = _opened(session, _NO_CONTEXT)
        peer.frame(wire.TEXT, payload, rsv=4)
        if status is None:
            session.until(lambda: session.messages)
            assert session.messages == ["Hello"]
            session.ws.close()
            status, code = 0, 1000
        session.until(lambda: any(frame.opcode == wire.CLOSE for frame in peer.frames()))
        peer.close_frame(code)
        peer.close()
        assert session.finish() == status
        assert session.sent_close(peer) == code


@pytest.fixture(scope="module")
def insisting():
    """URLs of servers that refuse who does not offer compression: one that keeps no context, one that insists on it."""
    with compressing.running() as urls:
        yield urls


@on_micropython_and_chip
@pytest.mark.parametrize("takeover", [False, True], ids=["no-takeover", "takeover"])
def test_deflate_server_that_insists_is_talked_to_from_a_small_heap(insisting, compiled, interpreter, takeover):
    heap = rigs.HEAPS.get(interpreter)
    found = told(interpreter, "deflate_client_program.py", insisting[takeover], heap=heap, before=compiled)
    assert found["close"] == [0, None, None]
    assert found["echoes"] == [True] * 6


@on_micropython_and_chip
@pytest.mark.parametrize("takeover", [False, True], ids=["no-takeover", "takeover"])
@pytest.mark.parametrize(("most", "status"), [("4000", -8), ("0", -13)], ids=["max-message", "heap"])
def test_deflate_bomb_in_a_small_heap_ends_the_connection(insisting, compiled, interpreter, takeover, most, status):
    heap = rigs.HEAPS.get(interpreter)
    found = told(interpreter, "deflate_client_program.py", insisting[takeover], most, heap=heap, before=compiled)
    assert found["close"] == [status, None, None]


@each()
@pytest.mark.parametrize("can", [True, False], ids=["can-compress", "cannot"])
@pytest.mark.parametrize("agreed", [True, False], ids=["client-keeps-none", "client-may-keep"])
def test_deflate_message_goes_out_compressed_where_that_is_possible(firmware, can, agreed):
    text = "temperature 21.5 " * 100
    with Session(firmware, upgrade=False) as session:
        if not can:
            session.board.modules["deflate"] = types.SimpleNamespace(RAW=deflate.RAW, DeflateIO=deflate.Inflater)
        session.ws.config({"compression": True})
        name, value = _NO_CONTEXT
        peer = _opened(session, (name, value + ("; client_no_context_takeover" if agreed else "")))
        session.ws.send(text)
        session.ws.send("short")
        session.ws.send(os.urandom(500))
        session.ws.send(text, 1, False)
        session.ws.send(text, 0)
        session.ws.send("ping", 9)
        session.board.advance(3000)
        first, *others = peer.frames()
        assert [frame.rsv for frame in others] == [0] * 5
        assert first.opcode == wire.TEXT
        if can and agreed:
            assert first.rsv == 4
            assert len(first.payload) < 100
            assert zlib.decompressobj(-15).decompress(first.payload + b"\0\0\xff\xff") == text.encode()
        else:
            assert (first.rsv, first.payload) == (0, text.encode())
