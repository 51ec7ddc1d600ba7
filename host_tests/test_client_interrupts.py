"""Ctrl-C at every moment at which MicroPython looks for it: no byte is sent twice, and the client goes on or ends.

MicroPython raises KeyboardInterrupt where its bytecode jumps, and within calls that wait. The first are found here by
tracing the device code: the same operation runs again and again, interrupted one jump later each time.
"""

import dis
import sys

import pytest

from client_session import HOST, NEWEST, PORT, URL, Session, named
from fakes.board import DEVICE
from servers import wire

JUMPS = {number for name, number in dis.opmap.items() if "JUMP" in name or name == "FOR_ITER"}
QUICK = {"close_timeout_ms": 500, "ping_interval_ms": 1000}
PATTERN = bytes(range(251)) * 20


class Interruption:
    """Raises KeyboardInterrupt at one jump of the device code; a context manager. `happened` tells whether it did."""

    def __init__(self, jump):
        self._left = jump
        self.happened = False

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, kind, *_):
        sys.settrace(self._before)
        return kind is KeyboardInterrupt

    def _trace(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(str(DEVICE)):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_code.co_code[frame.f_lasti] in JUMPS:
            if not self._left:
                sys.settrace(None)
                self.happened = True
                raise KeyboardInterrupt
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


def check(session, name, jump):
    """See to it that the client is whole: that it works, or has ended, once."""
    where = f"interrupted at jump {jump}"
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
    assert session.messages == ["one", b"tw" + b"o" * 600, "three"][:len(session.messages)], where
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


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("firmware", NEWEST, ids=named)
def test_interrupt_at_any_jump_leaves_the_client_whole(firmware, name):
    prepare, operate = OPERATIONS[name]
    jump = 0
    faults = []
    while True:
        with Session(firmware, QUICK) as session:
            prepare(session)
            with Interruption(jump) as interruption:
                operate(session)
            if not interruption.happened:
                break
            try:
                check(session, name, jump)
            except Exception as error:
                faults.append((jump, repr(error)[:300]))
        jump += 1
    assert jump > 5
    assert not faults, "\n".join(map(str, faults))
