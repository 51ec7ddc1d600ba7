"""What one connection leaves is never found by the next: frames that wait, messages half sent or half read, errors."""

import pytest

from fakes import Tls
from servers import wire
from support.client_session import FIRMWARE, HOST, PORT, URL, Session, each
from support.tls_session import AXTLS, MBEDTLS, TlsSession

OPTIONS = {"ping_interval_ms": 0, "close_timeout_ms": 500, "send_timeout_ms": 500}


def empty_ping(session, peer):
    peer.frame(wire.PING, b"")


def ping(session, peer):
    peer.frame(wire.PING, b"payload")


def empty_close(session, peer):
    peer.frame(wire.CLOSE, b"")


def close(session, peer):
    peer.close_frame(1000, "bye")


def user_close(session, peer):
    session.ws.close(1001, "bye")


def broken_rule(session, peer):
    peer.send(b"\xff\xff")


def all_of_them(session, peer):
    ping(session, peer)
    session.poll(50)
    empty_ping(session, peer)
    session.poll(50)
    empty_close(session, peer)


WAITING = [empty_ping, ping, empty_close, close, user_close, broken_rule, all_of_them]


def checked(session):
    """See to it that the connection which is open now is fresh, and works in both directions."""
    peer = session.server.peers[-1]
    session.idle(200)
    assert session.frames(peer) == []
    session.ws.send("a message")
    session.ws.send(b"part", fin=False)
    session.ws.send(b"end", 0)
    peer.frame(wire.TEXT, "answer")
    peer.frame(wire.PING, b"new")
    session.idle(200)
    assert session.messages[-1] == "answer"
    assert session.frames(peer) == [
        (wire.TEXT, b"a message"), (wire.BINARY, b"part"), (wire.CONTINUATION, b"end"), (wire.PONG, b"new"),
    ]  # fmt: skip
    assert session.ws.connected


@each(FIRMWARE)
@pytest.mark.parametrize("reconnect", [False, True], ids=["connect", "reconnect"])
@pytest.mark.parametrize("waits", WAITING, ids=lambda one: one.__name__)
def test_control_frame_that_found_no_room_never_reaches_the_next_connection(firmware, waits, reconnect):
    with Session(firmware, OPTIONS | {"reconnect": reconnect}) as session:
        peer = session.open()
        session.fill()
        waits(session, peer)
        session.idle(50)
        peer.reset()
        session.until(lambda: session.statuses)
        if not reconnect or waits is user_close:
            session.ws.connect(URL)
        session.until(lambda: session.ws.connected)
        checked(session)


def half_sent(session, peer):
    peer.stop_reading()
    with pytest.raises(OSError):
        session.ws.send(bytes(400000))


def half_a_text(session, peer):
    session.ws.send("\u20ac".encode()[:2], 1, fin=False)


def half_read(session, peer):
    peer.send(wire.frame(wire.TEXT, announced=100, payload=b"half"))


def half_a_header(session, peer):
    peer.send(b"\x81")


def half_a_message(session, peer):
    peer.frame(wire.TEXT, "first", fin=False)


HALVES = [half_sent, half_a_text, half_read, half_a_header, half_a_message]


@each(FIRMWARE)
@pytest.mark.parametrize("half", HALVES, ids=lambda one: one.__name__)
@pytest.mark.parametrize("end", ["fin", "reset"])
def test_half_a_message_of_a_lost_connection_is_not_continued_by_the_next(firmware, half, end):
    with Session(firmware, OPTIONS) as session:
        peer = session.open()
        half(session, peer)
        session.idle(50)
        getattr(peer, end)()
        session.until(lambda: session.statuses)
        session.ws.connect(URL)
        session.until(lambda: session.ws.connected)
        checked(session)


@each([*AXTLS, *MBEDTLS])
@pytest.mark.parametrize("waits", [empty_ping, empty_close, user_close], ids=lambda one: one.__name__)
def test_control_frame_of_a_tls_connection_never_reaches_the_next(firmware, waits):
    with TlsSession(firmware, OPTIONS, script=Tls()) as session:
        peer = session.open()
        peer.stop_reading()
        with pytest.raises(OSError):
            while True:
                waits(session, peer)
                session.board.advance(50)
                session.ws.send(bytes(1000))
        peer.reset()
        session.until(lambda: session.statuses)
        session.connect()
        session.until(lambda: session.ws.connected)
        checked(session)


# What waits behind a full buffer when the connection ends -> the status
TLS_ENDS = {
    "pongs": (lambda session, peer: None, (-99, -109)),
    "the user's close": (lambda session, peer: session.ws.close(1000, "x" * 100), (0,)),
    "the server's close": (lambda session, peer: peer.close_frame(1000, "x" * 100), (-6,)),
}


@each([*AXTLS, *MBEDTLS])
@pytest.mark.parametrize("end", ["fin", "reset"])
@pytest.mark.parametrize("what", TLS_ENDS)
def test_end_of_a_tls_connection_with_a_full_buffer_is_told_once_and_leaves_nothing(firmware, what, end):
    then, statuses = TLS_ENDS[what]
    with TlsSession(firmware, OPTIONS) as session:
        peer = session.open()
        session.board.advance(1000)
        peer.stop_reading()
        connection = session.board.open_sockets()[0].connection
        while connection.free > 200:
            session.ws.send(bytes(min(connection.free - 150, 900)))
        for _ in range(4):
            peer.frame(wire.PING, b"x" * 100)
            session.idle(20)
        then(session, peer)
        session.idle(50)
        getattr(peer, end)()
        assert session.finish() in statuses
        session.connect()
        session.until(lambda: session.ws.connected)
        checked(session)


@each()
@pytest.mark.parametrize("first", ["refused", "404", "unknown name", "reset", "close frame"])
def test_attributes_of_a_failed_attempt_are_not_those_of_a_good_one(firmware, first):
    with Session(firmware, OPTIONS, upgrade=False) as session:
        url = URL
        if first == "refused":
            url = "ws://10.0.0.2:81/"
        elif first == "unknown name":
            url = "ws://nowhere.example/"
        session.connect(url)
        if url == URL:
            session.until(lambda: session.server.peers and b"\r\n\r\n" in session.server.peers[-1].received())
            peer = session.server.peers[-1]
            if first == "404":
                peer.send(b"HTTP/1.1 404 Not Found\r\n\r\n")
            else:
                peer.upgrade()
                session.until(lambda: session.ws.connected)
                peer.reset() if first == "reset" else (peer.close_frame(4000, "why"), peer.close(20))
        session.finish()
        ws = session.ws
        told = (ws.errno, ws.error, ws.http_status, ws.close_reason, ws.close_code)
        assert told != (None, None, None, "", 1006)
        session.server = session.board.listen(HOST, PORT, upgrade=True)
        session.open()
        assert (ws.errno, ws.error, ws.http_status, ws.close_reason, ws.close_code) == (None, None, None, "", 1006)
        ws.close()
        session.peer.fin(after_ms=100)
        session.finish()
        assert (ws.errno, ws.error, ws.http_status) == (None, None, None)


# "data" and the message that is under way


@each(FIRMWARE)
@pytest.mark.parametrize("cut", ["after the header", "within the header", "after a piece", "between fragments"])
@pytest.mark.parametrize("then", [None, "replaced"], ids=["unregistered", "replaced"])
def test_data_changed_within_a_message_loses_nothing_of_it(firmware, cut, then):
    message = bytes(range(200))
    with Session(firmware, OPTIONS) as session:
        peer = session.open()
        session.on("data")
        session.ws.on("data", lambda ws, chunk, opcode, final: session.events.append(("old", bytes(chunk), final)))
        frame = wire.frame(wire.BINARY, message)
        if cut == "between fragments":
            frame = wire.frame(wire.BINARY, message[:100], fin=False) + wire.frame(wire.CONTINUATION, message[100:])
        header = len(wire.frame(wire.BINARY, message)) - len(message)
        at = {"within the header": 1, "after the header": header, "after a piece": header + 50}.get(cut, 102)
        peer.send(frame[:at])
        session.idle(100)
        if then:
            session.ws.on("data", lambda ws, chunk, opcode, final: session.events.append(("new", bytes(chunk), final)))
        else:
            session.ws.on("data", None)
        peer.send(frame[at:])
        session.idle(200)
        told = [event for event in session.events if event[0] != "connection"]
        whole = b"".join(bytes(event[1]) for event in told)
        assert whole == message, told
        assert sum(event[0] == "receive" or event[2] is True for event in told) == 1
        assert len({event[0] for event in told}) == 1, "one handler gets all of a message"
        peer.frame(wire.BINARY, b"next")
        session.idle(100)
        assert session.events[-1] == (("new", b"next", True) if then else ("receive", b"next", wire.BINARY))
