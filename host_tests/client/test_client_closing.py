"""close() in every state, the closing handshake and who ends TCP, on every port."""

import pytest

from servers import wire
from support.client_session import FIRMWARE, HOST, PORT, URL, Session, each

TIMEOUT_MS = 2000
QUICK = {"close_timeout_ms": TIMEOUT_MS}


@each(FIRMWARE)
@pytest.mark.parametrize(("arguments", "payload"), [
    ((), wire.close_payload(1000)),
    ((4321, "enough \u20ac"), wire.close_payload(4321, "enough \u20ac")),
    ((1001, "x" * 123), wire.close_payload(1001, "x" * 123)),
], ids=["default", "code and reason", "longest reason"])  # fmt: skip
def test_close_is_answered_and_then_tcp_is_the_servers_to_end(firmware, arguments, payload):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        session.ws.close(*arguments)
        assert not session.ws.connected and session.events == [("connection",)]
        session.idle(100)
        assert session.frames() == [(wire.CLOSE, payload)]
        assert peer.logged() == ["connected"]


@each(FIRMWARE)
def test_close_handshake_ends_with_the_servers_fin(firmware):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        session.ws.close()
        session.idle(100)
        peer.close_frame(1000, "bye")
        session.idle(500)
        assert not session.statuses and peer.logged() == ["connected"]
        peer.close()
        assert session.finish() == 0
        assert peer.logged() == ["connected", "fin sent", "fin received"]
        assert (session.ws.close_code, session.ws.close_reason) == (1000, "bye")
        assert session.frames() == [(wire.CLOSE, wire.close_payload(1000))]


@each(FIRMWARE)
@pytest.mark.parametrize("answers", [False, True], ids=["deaf", "answers but leaves TCP open"])
@pytest.mark.parametrize("talks", [False, True], ids=["silent", "talking on"])
def test_close_is_over_after_close_timeout(firmware, answers, talks):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        session.ws.close()
        began = session.board.clock.now
        if talks:
            for when in range(100):
                peer.frame(wire.TEXT, "blah", after_ms=when * 50)
        if answers and not talks:
            peer.close_frame(after_ms=1500)
        assert session.finish() == 0
        assert session.ended_ms - began == TIMEOUT_MS, "counted from close(), not from the answer"
        assert not session.messages


@each(FIRMWARE)
def test_close_discards_messages_that_come_later(firmware):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        peer.frame(wire.TEXT, "before close(), unread")
        session.board.advance(20)
        session.ws.close()
        session.board.advance(200)
        peer.frame(wire.TEXT, "after")
        peer.frame(wire.PING, "no answer to this")
        peer.frame(wire.PONG)
        peer.close_frame()
        peer.frame(wire.TEXT, "after the Close")
        peer.close()
        assert session.finish() == 0
        assert session.events == [("connection",), ("close", 0)]
        assert session.frames() == [(wire.CLOSE, wire.close_payload(1000))]
        assert "rst received" not in peer.logged()


@each(FIRMWARE)
@pytest.mark.parametrize("then", ["fin", "reset", "nonsense", "another close code"])
def test_close_is_status_0_whatever_comes_then(firmware, then):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        session.ws.close()
        session.idle(300)
        if then == "fin":
            peer.close()
        elif then == "reset":
            peer.reset()
        elif then == "nonsense":
            peer.send(b"\xff" * 50)
        else:
            peer.close_frame(1011, "oops")
            peer.close()
        assert session.finish() == 0
        assert session.ws.close_code == (1011 if then == "another close code" else 1006)
        assert session.sent_close() == 1000


@each(FIRMWARE)
@pytest.mark.parametrize("code", [None, 1000, 1001, 1014, 3000, 4999])
def test_close_of_the_server_is_echoed_and_told_after_its_fin(firmware, code):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        peer.frame(wire.CLOSE, b"" if code is None else wire.close_payload(code, "why \u20ac"))
        peer.frame(wire.TEXT, "after the Close")
        session.idle(300)
        assert not session.ws.connected and not session.statuses
        assert peer.logged() == ["connected"]
        peer.close()
        assert session.finish() == -6
        assert session.frames() == [(wire.CLOSE, b"" if code is None else wire.close_payload(code))]
        assert peer.logged() == ["connected", "fin sent", "fin received"]
        assert session.events == [("connection",), ("close", -6)]
        heard = (1005, "") if code is None else (code, "why \u20ac")
        assert (session.ws.close_code, session.ws.close_reason) == heard


@each(FIRMWARE)
def test_close_of_the_server_without_a_fin_is_told_after_close_timeout(firmware):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        peer.close_frame()
        began = session.board.clock.now + session.board.latency_ms
        assert session.finish() == -6
        assert session.ended_ms - began == TIMEOUT_MS
        session.board.advance(100)
        assert peer.logged() == ["connected", "fin received"]


@each(FIRMWARE)
@pytest.mark.parametrize("who", ["client", "server"])
def test_close_while_the_peer_does_not_read_is_over_after_close_timeout(firmware, who):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        session.fill()
        if who == "client":
            session.ws.close()
            began = session.board.clock.now
        else:
            peer.close_frame()
            session.until(lambda: not session.ws.connected)
            began = session.board.clock.now
        assert session.finish() == (0 if who == "client" else -6)
        assert session.ended_ms - began == TIMEOUT_MS


@each(FIRMWARE)
def test_close_goes_out_once_the_peer_reads_again(firmware):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        session.fill()
        session.ws.close(1001)
        session.idle(500)
        peer.resume_reading()
        session.idle(500)
        assert session.sent_close() == 1001


def new(session):
    """Nothing has happened yet."""


def opening(session):
    """TCP is coming up."""
    session.connect()


def asked(session):
    """The request is out."""
    session.ask()


def connected(session):
    """The connection is open."""
    asked(session)
    session.server.peers[0].upgrade()
    session.until(lambda: session.ws.connected)


def within_a_message(session):
    """Both sides are within a message."""
    connected(session)
    session.ws.send("half", None, False)
    session.server.peers[0].send(wire.frame(wire.BINARY, announced=100) + b"half")
    session.idle(50)


def closing(session):
    """close() was called already."""
    connected(session)
    session.ws.close(1001)


def answered(session):
    """The server has answered close(), TCP stands."""
    closing(session)
    session.server.peers[0].close_frame()
    session.idle(50)


def closed_by_server(session):
    """The server has sent Close, TCP stands."""
    connected(session)
    session.server.peers[0].close_frame()
    session.idle(50)


def failed(session):
    """The server broke a rule, TCP stands."""
    connected(session)
    session.server.peers[0].send(b"\xff" * 10)
    session.idle(50)


def broken(session):
    """send() has found the connection dead."""
    connected(session)
    session.server.peers[0].reset()
    session.board.advance(50)
    with pytest.raises(OSError):
        session.ws.send("x")


def refused(session):
    """The attempt has failed, "close" is not told yet."""
    session.connect("http://10.0.0.2/")


def gone(session):
    """Closed and told."""
    session.connect("http://10.0.0.2/")
    session.finish()


# What was done before close() -> the statuses told in the end, the Close code that the server sees
STATES = {
    new: ([], None), opening: ([0], None), asked: ([0], None), connected: ([0], 1000),
    within_a_message: ([0], 1000), closing: ([0], 1001), answered: ([0], 1001), closed_by_server: ([0], 1000),
    failed: ([0], 1002), broken: ([0], None), refused: ([-1], None), gone: ([-1], None),
}  # fmt: skip


@each(FIRMWARE)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
@pytest.mark.parametrize("times", [1, 2])
def test_close_in_any_state_does_what_is_left_to_do(firmware, state, times):
    statuses, code = STATES[state]
    with Session(firmware, QUICK, upgrade=False) as session:
        state(session)
        for _ in range(times):
            session.ws.close()
        began = session.board.clock.now
        assert not session.ws.connected
        if session.connects:
            session.finish()
        assert session.statuses == statuses
        assert session.poll() is False
        assert session.board.clock.now - began <= TIMEOUT_MS + 200
        if state not in (opening, refused, new, gone):
            assert session.sent_close(session.server.peers[0]) == code
        session.board.refuse(HOST, PORT)
        session.connect()
        assert session.finish() == -111, "the client can connect again"


@each()
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
@pytest.mark.parametrize("arguments", [(1004,), (1005,), (999,), (5000,), (1000, "x" * 124), (1000, b"x"), ("1000",)])
def test_close_with_wrong_arguments_is_refused_in_any_state(firmware, state, arguments):
    with Session(firmware, QUICK, upgrade=False) as session:
        state(session)
        before = session.ws.connected, list(session.events), session.board.open_sockets()
        with pytest.raises(ValueError):
            session.ws.close(*arguments)
        assert (session.ws.connected, session.events, session.board.open_sockets()) == before


@each(FIRMWARE)
@pytest.mark.parametrize("answers", [True, False], ids=["answered", "unanswered"])
def test_with_block_closes_and_polls_until_closed(firmware, answers):
    with Session(firmware, QUICK) as session:
        with session.ws as ws:
            assert ws is session.ws
            peer = session.open()
            if answers:
                peer.on_data = lambda peer: (peer.close_frame(), peer.close()) if peer.frames() else None
            began = session.board.clock.now
        assert session.board.clock.now - began <= (300 if answers else TIMEOUT_MS)
        assert session.statuses == [0] and session.poll() is False
        assert not session.board.open_sockets()


@each()
@pytest.mark.parametrize("state", [new, opening, asked, refused, gone], ids=lambda state: state.__name__)
def test_with_block_left_in_any_state_leaves_nothing(firmware, state):
    with Session(firmware, QUICK, upgrade=False) as session:
        with session.ws:
            state(session)
        assert len(session.statuses) == session.connects
        assert session.poll() is False and not session.board.open_sockets()


@each()
def test_with_block_lets_the_error_of_its_body_out(firmware):
    with Session(firmware, QUICK) as session:
        with pytest.raises(ZeroDivisionError), session.ws:
            session.open()
            raise ZeroDivisionError
        assert session.statuses == [0]


@each()
def test_with_block_ends_in_time_although_handlers_keep_connecting(firmware):
    with Session(firmware, QUICK) as session:
        session.on("close", lambda ws, status: ws.connect(URL))
        began = session.board.clock.now
        with session.ws:
            session.open()
        assert session.board.clock.now - began < 2 * TIMEOUT_MS


@each()
def test_with_block_ends_in_time_although_the_peer_does_not_read(firmware):
    with Session(firmware, QUICK) as session:
        with session.ws:
            session.open()
            session.fill()
            began = session.board.clock.now
        assert session.board.clock.now - began <= TIMEOUT_MS
        assert session.statuses == [0] and not session.board.open_sockets()


@each([one for one in FIRMWARE if one[0] == "esp8266"])
def test_lwip_is_drained_before_it_closes(firmware):
    """With unread data lwIP answers close() by RST, and the server may miss the Close frame."""
    with Session(firmware, QUICK) as session:
        peer = session.open()
        session.ws.close()
        for _ in range(3):
            peer.frame(wire.BINARY, b"x" * 1000)
        peer.close_frame()
        peer.frame(wire.BINARY, b"x" * 1000)
        peer.close(after_ms=100)
        session.finish()
        assert peer.logged() == ["connected", "fin sent", "fin received"]


@each()
def test_close_with_a_reason_by_a_callback_while_what_receives_is_loaded(firmware):
    """To load it again is refused then, and close() must not need it."""
    with Session(firmware) as session:
        client = session.board.load("uwebsocket_client")
        peer = session.open()
        session.board.modules.pop("_wsreceive")
        client._loading = "_wsreceive"
        session.ws.close(4000, "\u00e9")
        client._loading = None
        session.board.advance(100)
        assert session.sent_close(peer) == 4000


@each()
@pytest.mark.parametrize("reconnect", [False, True], ids=["once", "reconnect"])
@pytest.mark.parametrize("within", ["program", "handler"])
def test_close_after_a_failed_send_is_the_end(firmware, reconnect, within):
    """What the server has sent before, why it has closed too, is not told any more; nothing is tried again."""
    with Session(firmware, QUICK | {"reconnect": reconnect, "reconnect_min_ms": 10, "reconnect_max_ms": 20}) as session:
        peer = session.open()
        peer.frame(wire.TEXT, "one")
        peer.frame(wire.TEXT, "two")
        peer.close_frame(1011)
        peer.reset()
        session.board.advance(100)
        with pytest.raises(OSError):
            while True:
                session.ws.send("x")
                session.board.advance(10)
        if within == "program":
            session.ws.close()
        else:
            session.on("receive", lambda ws, message, opcode: ws.close())
        assert session.finish() == 0
        session.idle(500)
        assert session.statuses == [0] and len(session.server.peers) == 1
        assert len(session.messages) <= (within == "handler")


@each()
def test_close_while_a_send_waits_is_told_though_the_send_times_out(firmware):
    with Session(firmware, {"send_timeout_ms": 1000}) as session:
        session.open().stop_reading()
        session.board.clock.after(300, lambda: session.board.interrupt(lambda _: session.ws.close(), None))
        with pytest.raises(OSError):
            session.ws.send(bytes(600000))
        assert session.finish() == 0
