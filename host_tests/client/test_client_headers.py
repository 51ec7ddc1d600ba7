"""The "header" event, ws.error and ws.waits_for(): what a client tells beside messages, on every port."""

import pytest

from servers import wire
from support.client_session import Session, each

_IN, _HUP = 1, 16


@each()
def test_headers_of_a_refusal_are_told_before_the_close(firmware):
    with Session(firmware, upgrade=False) as session:
        session.on("header")
        peer = session.ask()
        peer.send(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nX-A:b\r\n\r\n")
        assert session.finish() == -17
        assert session.events == [("header", "retry-after", "7"), ("header", "x-a", "b"), ("close", -17)]
        assert session.ws.http_status == 503 and session.ws.error == "HTTP/1.1 503 Busy"


@each()
def test_headers_of_an_upgrade_are_told_before_the_connection(firmware):
    with Session(firmware) as session:
        session.on("header")
        session.open()
        names = [event[1] for event in session.events if event[0] == "header"]
        assert sorted(names)[:2] == ["connection", "sec-websocket-accept"] and "upgrade" in names
        assert session.events[-1] == ("connection",)


@each()
def test_header_handler_that_closes_ends_with_0_and_hears_no_more(firmware):
    with Session(firmware) as session:
        session.on("header", lambda ws, name, value: ws.close())
        session.connect()
        assert session.finish() == 0
        assert [event[0] for event in session.events] == ["header", "close"]


@each()
def test_header_handler_that_raises_leaves_the_client_consistent(firmware):
    with Session(firmware, upgrade=False) as session:

        def fail(ws, name, value):
            raise KeyError(name)

        session.on("header", fail)
        peer = session.ask()
        peer.send(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nX-A: b\r\n\r\n")
        for name in ("retry-after", "x-a"):
            with pytest.raises(KeyError, match=name):
                session.idle(1000)
        assert session.finish() == -17


@each()
def test_error_of_a_refusal_cut_off_after_its_status_line_is_the_line(firmware):
    with Session(firmware, upgrade=False) as session:
        session.on("header")
        peer = session.ask()
        peer.send(b"HTTP/1.1 403 Forbidden\r\nX: y\r\n")
        session.idle(1000)
        peer.fin()
        assert session.finish() == -17
        assert session.ws.error == "HTTP/1.1 403 Forbidden"


@each()
def test_error_of_the_last_connection_is_gone_with_the_next(firmware):
    with Session(firmware, upgrade=False) as session:
        session.ask().send(b"HTTP/1.0 200 OK\r\n\r\n")
        assert session.finish() == -7
        assert "HTTP/1.1" in session.ws.error
        session.connect()
        assert session.ws.error is None
        session.ws.close()
        assert session.finish() == 0


@each()
def test_waits_for_of_a_closed_client_is_nothing_for_ever(firmware):
    with Session(firmware) as session:
        assert session.ws.waits_for() == (None, 0, -1)
        session.open()
        session.ws.close()
        session.finish()
        assert session.ws.waits_for() == (None, 0, -1)


@each()
def test_waits_for_of_an_idle_connection_is_what_comes_and_the_next_ping(firmware):
    with Session(firmware, {"ping_interval_ms": 4000}) as session:
        session.open()
        session.idle(1000)
        pollable, flags, ms = session.ws.waits_for()
        assert pollable is not None and flags == _IN | _HUP
        assert 2900 <= ms <= 3100


@each()
def test_waits_for_of_a_client_that_waits_to_reconnect_is_the_clock_alone(firmware):
    with Session(firmware, {"reconnect": True, "reconnect_min_ms": 5000, "reconnect_max_ms": 5000}) as session:
        session.open().fin()
        session.until(lambda: session.statuses)
        pollable, flags, ms = session.ws.waits_for()
        assert (pollable, flags) == (None, 0) and 4000 < ms <= 5000


@each()
def test_waits_for_of_a_close_that_is_not_told_is_no_time(firmware):
    with Session(firmware) as session:
        session.connect()
        session.ws.close()
        assert session.ws.waits_for()[2] == 0
        assert session.finish() == 0


@each()
def test_poll_of_what_waits_for_names_alone_goes_through_a_whole_session(firmware):
    with Session(firmware) as session:
        session.connect()
        for _ in range(200):
            if session.messages:
                session.ws.close()
            pollable, flags, ms = session.ws.waits_for()
            if ms:
                session.board.advance(min(ms, 100))
            alive = session.ws.poll()
            if session.ws.connected and not session.messages and session.server.peers:
                session.server.peers[-1].send(wire.frame(wire.TEXT, b"hi"))
                session.board.advance(20)
            if not alive:
                break
        assert session.statuses == [0]
