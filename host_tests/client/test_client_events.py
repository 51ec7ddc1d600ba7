"""Handlers: what they may call, what happens when they raise, and how often each is called."""

import pytest

from servers import wire
from support.client_session import FIRMWARE, HOST, PORT, URL, Session, each

QUICK = {"close_timeout_ms": 500}
EVENTS = ("connection", "receive", "data", "pong", "close")


class Whoops(Exception):
    """What a handler raises."""


ERRORS = [Whoops, KeyboardInterrupt, MemoryError, OSError, EOFError, StopIteration, ValueError]


def converse(session, peer):
    """Let the server say something that calls each handler of an open connection."""
    peer.frame(wire.TEXT, "one")
    peer.frame(wire.PONG, "two")
    peer.frame(wire.TEXT, "three")
    session.idle(100)


def leave(peer):
    """Let the server close as it should."""
    peer.close_frame()
    peer.close(after_ms=200)


def expected_events(session):
    """Return the events of converse() and leave() of a client that sends nothing but echoes."""
    return [("connection",), ("receive", "one", 1), ("pong", b"two"), ("receive", "three", 1), ("close", -6)]


@each()
def test_events_of_a_conversation_come_in_order(firmware):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        converse(session, peer)
        leave(peer)
        session.finish()
        assert session.events == expected_events(session)


@each(FIRMWARE)
@pytest.mark.parametrize("event", ["connection", "receive", "pong", "data"])
def test_send_in_a_handler_goes_out(firmware, event):
    with Session(firmware, QUICK) as session:
        session.on(event, lambda ws, *content: ws.send(f"from {event}"))
        peer = session.open()
        converse(session, peer)
        times = {"connection": 1, "receive": 2, "pong": 1, "data": 2}[event]
        assert session.frames() == [(wire.TEXT, f"from {event}".encode())] * times
        session.ws.send("and still works")
        leave(peer)
        assert session.finish() == -6


@each()
def test_send_in_the_close_handler_is_enotconn(firmware):
    with Session(firmware, QUICK) as session:
        session.on("close", lambda ws, status: ws.send("too late"))
        peer = session.open()
        leave(peer)
        with pytest.raises(OSError) as caught:
            session.idle(1000)
        assert caught.value.errno == session.number("ENOTCONN")
        assert session.poll() is False and session.statuses == [-6]


@each(FIRMWARE)
@pytest.mark.parametrize("event", ["connection", "receive", "pong", "data"])
def test_close_in_a_handler_ends_events_and_connection(firmware, event):
    with Session(firmware, QUICK) as session:
        session.on(event, lambda ws, *content: ws.close(4000, event))
        session.connect()
        session.until(lambda: session.server.peers)
        peer = session.server.peers[0]
        session.board.advance(50)
        peer.frame(wire.TEXT, "one")
        peer.frame(wire.PONG, "two")
        peer.frame(wire.TEXT, "three")
        session.until(lambda: any(frame.opcode == wire.CLOSE for frame in peer.received() and peer.frames()))
        leave(peer)
        assert session.finish() == 0
        assert session.frames(peer) == [(wire.CLOSE, wire.close_payload(4000, event))]
        after = session.events[[one[0] for one in session.events].index(event) + 1 :]
        assert after == [("close", 0)]


@each(FIRMWARE)
def test_close_in_the_close_handler_does_nothing(firmware):
    with Session(firmware, QUICK) as session:
        session.on("close", lambda ws, status: ws.close())
        leave(session.open())
        assert session.finish() == -6


@each()
@pytest.mark.parametrize("event", ["connection", "receive", "pong", "data"])
def test_connect_in_a_handler_of_an_open_connection_is_ealready(firmware, event):
    with Session(firmware, QUICK) as session:
        errors = []

        def connect(ws, *content):
            with pytest.raises(OSError) as caught:
                ws.connect(URL)
            errors.append(caught.value.errno)

        session.on(event, connect)
        peer = session.open()
        converse(session, peer)
        assert set(errors) == {session.number("EALREADY")}
        leave(peer)
        assert session.finish() == -6


@each(FIRMWARE)
def test_connect_in_the_close_handler_never_recurses(firmware):
    with Session(firmware, QUICK) as session:
        session.board.refuse(HOST, PORT)
        depth, deepest = [0], [0]

        def again(ws, status):
            depth[0] += 1
            deepest[0] = max(deepest[0], depth[0])
            if len(session.statuses) < 200:
                session.connect("ws:///" if len(session.statuses) % 2 else URL)
            depth[0] -= 1

        session.on("close", again)
        session.connect()
        session.finish()
        assert deepest == [1]
        assert session.statuses == [-111, -4] * 100


@each()
@pytest.mark.parametrize("event", EVENTS)
def test_poll_in_a_handler_returns_at_once_and_cannot_wait(firmware, event):
    with Session(firmware, QUICK) as session:
        results = []

        def poll(ws, *content):
            before = session.board.clock.now
            for timeout_ms in (1, 5000, -1):
                with pytest.raises(RuntimeError, match="handler"):
                    ws.poll(timeout_ms)
            results.append((ws.poll(0), session.board.clock.now - before))

        session.on(event, poll)
        peer = session.open()
        converse(session, peer)
        leave(peer)
        session.finish()
        assert results and set(results) == {(True, 0)}


@each()
def test_with_block_that_ends_in_a_handler_closes_and_raises(firmware):
    with Session(firmware, QUICK) as session:

        def leave_block(ws):
            with pytest.raises(RuntimeError, match="handler"), ws:
                pass

        session.on("connection", leave_block)
        session.connect()
        assert session.finish() == 0


@each()
@pytest.mark.parametrize("event", EVENTS)
def test_config_and_on_in_a_handler_apply(firmware, event):
    with Session(firmware, QUICK) as session:
        calls = []

        def change(ws, *content):
            ws.config({"protocols": ["next"]})
            ws.on(event, lambda ws, *content: calls.append(event))
            ws.on("close", session.noting("close"))

        session.ws.on(event, change)
        peer = session.open()
        converse(session, peer)
        leave(peer)
        session.until(lambda: not session.poll())
        second = session.open()
        assert second.request().header("Sec-WebSocket-Protocol") == "next"


@each()
@pytest.mark.parametrize("event", EVENTS)
def test_handler_may_unregister_itself(firmware, event):
    with Session(firmware, QUICK) as session:
        session.on(event, lambda ws, *content: ws.on(event, None))
        peer = session.open()
        converse(session, peer)
        leave(peer)
        session.until(lambda: not session.poll())
        assert [one[0] for one in session.events].count(event) == 1
        assert not session.board.open_sockets()


@each(FIRMWARE)
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("event", EVENTS)
def test_exception_in_a_handler_comes_out_of_poll_and_changes_nothing(firmware, event, error):
    with Session(firmware, QUICK) as session:

        def fail(ws, *content):
            raise error

        raised = 0
        session.on(event, fail)
        session.connect()
        for _ in range(300):
            try:
                if not session.ws.poll(10):
                    break
            except error:
                raised += 1
            if session.ws.connected and session.peer is None:
                session.peer = session.server.peers[0]
                session.peer.frame(wire.TEXT, "one")
                session.peer.frame(wire.PONG, "two")
                session.peer.frame(wire.TEXT, "three")
                leave(session.peer)
            session.board.advance(1)
        told = [one for one in session.events if one[0] != "data"]
        assert told == [one for one in expected_events(session) if not (event == "data" and one[0] == "receive")]
        assert raised == [one[0] for one in session.events].count(event)
        assert session.frames() == [(wire.CLOSE, wire.close_payload(1000))]
        assert not session.board.open_sockets()


@each(FIRMWARE)
def test_data_received_with_a_message_whose_handler_raised_comes_with_the_next_poll(firmware):
    with Session(firmware) as session:
        peer = session.open()

        def fail(ws, message, opcode):
            if len(session.messages) == 2:
                raise Whoops

        session.on("receive", fail)
        peer.send(wire.frame(wire.TEXT, b"x") * 5)
        session.board.advance(100)
        with pytest.raises(Whoops):
            session.poll(0)
        assert len(session.messages) == 2
        session.poll(0)
        assert len(session.messages) == 5


@each(FIRMWARE)
@pytest.mark.parametrize("error", [Whoops, KeyboardInterrupt])
def test_exception_of_the_headers_function_comes_out_and_leaves_a_closed_client(firmware, error):
    with Session(firmware, {"headers": lambda: (_ for _ in ()).throw(error)}) as session:
        try:
            session.connect()
            session.until(lambda: not session.poll())
        except error:
            pass
        session.until(lambda: not session.poll())
        assert not session.ws.connected and not session.board.open_sockets()
        session.ws.config({"headers": {}})
        session.open()


@each()
def test_headers_function_is_asked_at_each_attempt(firmware):
    tokens = iter(range(100))
    with Session(firmware, {"headers": lambda: {"X-Token": str(next(tokens))}} | QUICK) as session:
        for attempt in range(3):
            peer = session.open()
            assert peer.request().header("X-Token") == str(attempt)
            leave(peer)
            session.finish()


@each(FIRMWARE)
def test_client_connects_a_hundred_times(firmware):
    with Session(firmware, QUICK) as session:
        for round_ in range(100):
            peer = session.open()
            session.ws.send(f"round {round_}")
            session.board.advance(200)
            peer.frame(wire.TEXT, peer.frames()[0].payload)
            session.until(lambda count=round_ + 1: len(session.messages) == count)
            if round_ % 3 == 0:
                leave(peer)
            elif round_ % 3 == 1:
                session.ws.close()
                session.idle(200)
                leave(peer)
            else:
                peer.reset()
            session.until(lambda count=round_ + 1: len(session.statuses) == count)
            assert not session.board.open_sockets()
        assert session.statuses == ([-6, 0, -109] * 34)[:100]
        assert session.messages == [f"round {round_}" for round_ in range(100)]
        assert session.finish() == -6


@each(FIRMWARE)
def test_each_of_several_attempts_without_a_poll_is_told(firmware):
    with Session(firmware) as session:
        for url in ("http://10.0.0.2/", "ws:///", "ws://10.0.0.2:0/"):
            session.connect(url)
        session.finish()
        assert session.statuses == [-1, -4, -3]


@each()
def test_clients_do_not_share_anything(firmware):
    with Session(firmware) as session:
        other_server = session.board.listen("10.0.0.9", 81, upgrade=True)
        other = session.client({"ping_interval_ms": 0})
        got = []
        other.on("receive", lambda ws, message, opcode: got.append(message))
        peer = session.open()
        other.connect("ws://10.0.0.9:81/")
        session.board.poll_until(other, lambda: other.connected)
        other_peer = other_server.accept()
        peer.frame(wire.TEXT, "mine")
        other_peer.frame(wire.TEXT, "theirs")
        session.board.advance(100)
        session.poll(0)
        assert session.messages == ["mine"] and not got
        other.poll(0)
        assert got == ["theirs"]
        other.send("half", None, False)
        session.ws.send("whole")
        assert session.frames() == [(wire.TEXT, b"whole")]
        peer.reset()
        session.until(lambda: session.statuses)
        assert session.statuses == [-109] and other.connected


@each()
@pytest.mark.parametrize("event", EVENTS)
def test_handlers_survive_a_close(firmware, event):
    with Session(firmware, QUICK) as session:
        session.on(event)
        for _ in range(2):
            peer = session.open()
            converse(session, peer)
            leave(peer)
            session.until(lambda: not session.poll())
        names = [one[0] for one in session.events]
        assert names.count(event) == 2 * names[: len(names) // 2].count(event) > 0
