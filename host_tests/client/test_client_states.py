"""The table of states: what it allows is what happens, no more and no less."""

import pytest

from servers import wire
from support.client_session import FIRMWARE, HOST, PORT, Session, each

CLOSED, OPENING, OPEN, CLOSING, BROKEN, ENDING, WAITING = range(7)
ALLOWED = {
    CLOSED: {OPENING, WAITING},
    OPENING: {CLOSED, OPEN},
    OPEN: {CLOSED, CLOSING, BROKEN, ENDING},
    CLOSING: {CLOSED, ENDING},
    BROKEN: {CLOSED},
    ENDING: {CLOSED},
    WAITING: {CLOSED, OPENING},
}


@pytest.mark.parametrize("state", ALLOWED)
def test_table_allows_what_it_should(state):
    with Session(("unix", (1, 28))) as session:
        allowed = set()
        for following in ALLOWED:
            session.ws._state = state
            try:
                session.ws._enter(following)
            except RuntimeError:
                continue
            allowed.add(following)
        assert allowed == ALLOWED[state]


def refused(session):
    """No connection."""
    session.board.refuse(HOST, PORT)
    session.connect()


def given_up(session):
    """close() while opening."""
    session.connect()
    session.ws.close()


def server_gone(session):
    """FIN without a Close frame."""
    session.open().close()


def closed_by_client(session):
    """The whole closing handshake."""
    peer = session.open()
    session.ws.close()
    session.idle(200)
    peer.close_frame()
    peer.close(after_ms=100)


def cut_while_closing(session):
    """No answer to close()."""
    peer = session.open()
    session.ws.close()
    peer.reset()


def closed_by_server(session):
    """The server's Close frame."""
    peer = session.open()
    peer.close_frame()
    peer.close(after_ms=200)


def broken(session):
    """A write that fails, with a Close frame to read."""
    peer = session.open()
    peer.close_frame()
    session.board.fail("write", "ECONNRESET")
    with pytest.raises(OSError):
        session.ws.send("x")
    peer.close(after_ms=200)


def broken_twice(session):
    """A write that fails, with nonsense to read."""
    peer = session.open()
    peer.send(wire.frame(3, b"x") * 3)
    session.board.advance(20)
    session.board.fail("write", "ECONNRESET")
    with pytest.raises(OSError):
        session.ws.send("x")


def not_taken(session):
    """A peer that does not read."""
    session.open()
    session.fill()
    with pytest.raises(OSError):
        session.ws.send(b"x" * 100)


def nonsense(session):
    """A broken rule, during close() too."""
    for closing in (False, True):
        peer = session.open()
        if closing:
            session.ws.close()
        peer.send(b"\xff\xff")
        session.idle(200)
        peer.close()
        session.until(lambda: not session.poll())


def silent(session):
    """Pings without an answer."""
    session.open()
    session.idle(5000)


def reconnecting(session):
    """Lost, back again, lost again and closed."""
    session.ws.config({"reconnect": True})
    session.open().reset()
    session.until(lambda: session.statuses)
    session.until(lambda: session.ws.connected)
    session.server.peers[-1].reset()
    session.until(lambda: len(session.statuses) == 2)
    session.ws.close()


STORIES = (
    refused, given_up, server_gone, closed_by_client, cut_while_closing, closed_by_server, broken, broken_twice,
    not_taken, nonsense, silent, reconnecting,
)  # fmt: skip


@each(FIRMWARE)
def test_stories_reach_every_transition_of_the_table(firmware):
    reached = set()
    for story in STORIES:
        options = {"close_timeout_ms": 500, "send_timeout_ms": 500, "ping_interval_ms": 1000}
        with Session(firmware, options) as session:
            enter = session.ws._enter

            def noted(state, ws=session.ws, enter=enter):
                before = ws._state
                enter(state)
                reached.add((before, state))

            session.ws._enter = noted
            story(session)
            session.until(lambda session=session: not session.poll())
    assert reached == {(state, following) for state, after in ALLOWED.items() for following in after}
