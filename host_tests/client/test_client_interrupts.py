"""Ctrl-C and no memory at every moment: no byte is sent twice, and the client goes on or ends.

MicroPython raises KeyboardInterrupt where its bytecode jumps, and within calls that wait; MemoryError where something
is allocated. These moments are found by tracing the device code: the same operation runs again and again, interrupted
one moment later each time.
"""

import dis
import linecache
import re
import sys

import pytest

from fakes.board import DEVICE
from servers import wire
from support.client_session import HOST, PORT, URL, Session, each

JUMPS = {number for name, number in dis.opmap.items() if "JUMP" in name or name == "FOR_ITER"}
QUICK = {"close_timeout_ms": 500, "ping_interval_ms": 1000}
PATTERN = bytes(range(251)) * 20


# What allocates more than a few bytes, or loads a module
ALLOCATION = re.compile(r"(bytearray|memoryview|urandom|_call|_load|call|str|bytes|from_bytes|to_bytes|recv|"
                        r"encode|decode|_allocate|receiver|extend|mask|widen|socket|getaddrinfo|poll)\(")  # fmt: skip


def jumps(frame, event):
    """Tell whether MicroPython would look for Ctrl-C here."""
    return event == "opcode" and frame.f_code.co_code[frame.f_lasti] in JUMPS


def allocates(frame, event):
    """Tell whether a line begins that needs memory."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return event == "line" and ALLOCATION.search(line) and not line.lstrip().startswith(("def ", "class "))


class Interruption:
    """Raises an error at one moment of the device code; a context manager. `happened` tells whether it did."""

    def __init__(self, error, is_moment, turn):
        self._error = error
        self._is_moment = is_moment
        self._left = turn
        self.happened = False

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, kind, *_):
        sys.settrace(self._before)
        return kind in (self._error, OSError)  # send() may find the connection ended

    def _trace(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(str(DEVICE)):
            return None
        frame.f_trace_opcodes = self._is_moment is jumps
        if self._is_moment(frame, event):
            if not self._left:
                sys.settrace(None)
                self.happened = True
                raise self._error
            self._left -= 1
        return self._trace


def opening(session):
    """Nothing but a server that answers."""


def is_open(session):
    """An open connection, nothing to read."""
    session.open()


def full_of_news(session):
    """Messages, pieces and control frames wait to be read."""
    peer = session.open()
    peer.frame(wire.TEXT, "one")
    peer.frame(wire.PING, "ping")
    peer.frame(wire.BINARY, b"tw", fin=False)
    peer.frame(wire.PONG, "pong")
    peer.frame(wire.CONTINUATION, b"o" * 600)
    peer.frame(wire.TEXT, "three")
    session.board.advance(100)


def silent(session):
    """A ping is due."""
    session.open()
    session.board.advance(1500)


def within_a_message(session):
    """The first fragment is out."""
    session.open()
    session.ws.send("first, ", None, False)


def closed_by_server(session):
    """The server's Close frame and FIN wait to be read."""
    peer = session.open()
    peer.close_frame(1001)
    peer.fin()
    session.board.advance(100)


def closing(session):
    """The server has answered close()."""
    peer = session.open()
    session.ws.close()
    session.board.advance(100)
    peer.close_frame()
    peer.fin()
    session.board.advance(100)


def polls(session):
    """Poll until nothing is left to do at this moment."""
    for _ in range(6):
        session.ws.poll(0)
        session.board.advance(10)


OPERATIONS = {
    "connect": (opening, lambda session: session.ws.connect(URL)),
    "poll while opening": (lambda session: session.connect(), polls),
    "send a small message": (is_open, lambda session: session.ws.send("small")),
    "send a large message": (is_open, lambda session: session.ws.send(PATTERN)),
    "send a fragment": (within_a_message, lambda session: session.ws.send("last", 0)),
    "send a ping": (is_open, lambda session: session.ws.send(b"ping", 9)),
    "poll with news": (full_of_news, polls),
    "poll with a ping due": (silent, polls),
    "poll with a Close": (closed_by_server, polls),
    "close": (is_open, lambda session: session.ws.close()),
    "poll while closing": (closing, polls),
}


def check(session, name, turn):
    """See to it that the client is whole: that it works, or has ended, once."""
    where = f"interrupted at moment {turn}"
    for _ in range(30):
        session.board.advance(5)
        session.ws.poll(10)
    for _ in range(300):
        alive = session.ws.poll(10)
        session.board.advance(1)
        if not alive or session.ws.connected:
            break
    else:
        raise AssertionError(f"{where}: neither open nor closed")
    peer = session.server.peers[0] if session.server.peers else None
    asked = peer and b"\r\n\r\n" in peer.received()
    frames = [(frame.opcode, frame.payload) for frame in peer.frames()] if asked else []
    opcodes = [opcode for opcode, _ in frames]
    assert opcodes.count(wire.CLOSE) <= 1 and wire.CLOSE not in opcodes[:-1], f"{where}: {frames}"
    assert session.messages == ["one", b"tw" + b"o" * 600, "three"][: len(session.messages)], where
    if session.ws.connected:
        assert session.statuses == []
        if full_of_news is OPERATIONS[name][0]:
            assert len(session.messages) == 3, f"{where}: a message was lost without a close"
            assert opcodes.count(wire.PONG) == 1, f"{where}: {frames}"
        if name == "send a fragment":
            if frames[-1] == (wire.CONTINUATION, b"last"):
                session.ws.send("whole")
            else:
                session.ws.send("again", 0)
        before = len(session.messages)
        session.ws.send("still there?")
        session.board.advance(200)
        assert peer.frames()[-1].payload == b"still there?", where
        peer.frame(wire.TEXT, "yes")
        for _ in range(20):
            session.ws.poll(10)
        assert session.messages[before:] == ["yes"], where
        session.ws.close()
        peer.on_data = None
        peer.close_frame()
        peer.fin()
        for _ in range(200):
            session.ws.poll(10)
        assert session.statuses == [0], where
    else:
        assert len(session.statuses) <= 1, where
        if session.server.peers:
            assert len(session.statuses) == 1, f"{where}: no close was told"
    assert not session.board.open_sockets(), where
    session.board.listen(HOST, PORT, upgrade=True)
    session.events.clear()
    session.ws.connect(URL)
    session.board.poll_until(session.ws, lambda: session.ws.connected)


def faults(firmware, name, error, is_moment):
    """Interrupt an operation at each of its moments; return what went wrong as (moment, error)."""
    prepare, operate = OPERATIONS[name]
    turn = 0
    found = []
    while True:
        with Session(firmware, QUICK) as session:
            prepare(session)
            with Interruption(error, is_moment, turn) as interruption:
                operate(session)
            if not interruption.happened:
                break
            try:
                check(session, name, turn)
            except Exception as fault:
                found.append((turn, repr(fault)[:300]))
        turn += 1
    assert turn > 2, "the moments were not found"
    return found


@pytest.mark.parametrize("name", OPERATIONS)
@each()
def test_interrupt_at_any_jump_leaves_the_client_whole(firmware, name):
    assert not faults(firmware, name, KeyboardInterrupt, jumps)


@pytest.mark.parametrize("name", OPERATIONS)
@each()
def test_memory_error_at_any_allocation_leaves_the_client_whole(firmware, name):
    assert not faults(firmware, name, MemoryError, allocates)
