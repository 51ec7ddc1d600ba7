"""The table of states in docs/design.md: what it has is what happens, no more and no less."""

import pytest

from servers import wire
from support import states
from support.client_session import FIRMWARE, HOST, PORT, Session, each


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
    """Refused, open, lost and back again, broken, closed by the server, lost again and closed."""
    session.ws.config({"reconnect": True, "reconnect_max_ms": 2000})
    session.board.refuse(HOST, PORT)
    session.connect()
    session.until(lambda: session.statuses)
    session.server = session.board.listen(HOST, PORT, upgrade=True)
    session.until(lambda: session.ws.connected)
    session.server.peers[-1].reset()
    session.until(lambda: session.ws.connected and len(session.statuses) == 2)
    session.board.fail("write", "ECONNRESET")
    with pytest.raises(OSError):
        session.ws.send("x")
    session.until(lambda: session.ws.connected and len(session.statuses) == 3)
    session.server.peers[-1].close_frame()
    session.server.peers[-1].close(after_ms=100)
    session.until(lambda: session.ws.connected and len(session.statuses) == 4)
    session.server.peers[-1].reset()
    session.until(lambda: len(session.statuses) == 5)
    session.ws.close()


STORIES = (
    refused, given_up, server_gone, closed_by_client, cut_while_closing, closed_by_server, broken, broken_twice,
    not_taken, nonsense, silent, reconnecting,
)  # fmt: skip


def traced(client, names, reached):
    """Return the class of clients that note each change of their state as (before, after), by name."""

    class Traced(client):
        @property
        def _state(self):
            return self.__dict__["_state"]

        @_state.setter
        def _state(self, state):
            if state != self._state:
                reached.add((names[self._state], names[state]))
            self.__dict__["_state"] = state

    return Traced


@each(FIRMWARE)
def test_stories_reach_every_transition_of_the_table(firmware):
    reached = set()
    for story in STORIES:
        options = {"close_timeout_ms": 500, "send_timeout_ms": 500, "ping_interval_ms": 1000}
        with Session(firmware, options) as session:
            names = states.names(session.board.load("uwebsocket_client"))
            session.ws.__class__ = traced(type(session.ws), names, reached)
            story(session)
            session.until(lambda session=session: not session.poll())
    assert reached == {(state, after) for state, following in states.may_follow().items() for after in following}
