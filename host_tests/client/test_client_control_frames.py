"""Control frames: their order, their keys, and that none follows the Close."""

import pytest

from servers import wire
from support.client_session import FIRMWARE, Session, each

QUICK = {"ping_interval_ms": 0, "close_timeout_ms": 3000}
LWIP = [one for one in FIRMWARE if one[0] == "esp8266"]


def user_closes(session, peer):
    session.ws.close(4000, "bye")


def server_closes(session, peer):
    peer.close_frame(4000, "bye")


def server_breaks_a_rule(session, peer):
    peer.send(b"\xff\xff")


@each(FIRMWARE)
@pytest.mark.parametrize("payload", [b"waits", b""], ids=["payload", "empty"])
@pytest.mark.parametrize("pings", [1, 2, 3])
@pytest.mark.parametrize("end", [user_closes, server_closes, server_breaks_a_rule], ids=lambda one: one.__name__)
def test_pong_that_waits_leaves_before_the_close(firmware, end, pings, payload):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        session.fill()
        for turn in range(pings, 0, -1):  # the first pong is half out, the next one waits behind it
            peer.frame(wire.PING, payload if turn == 1 else b"earlier")
            session.idle(100)
        end(session, peer)
        session.idle(100)
        peer.resume_reading()
        session.idle(1000)
        frames = session.frames()
        assert [opcode for opcode, _ in frames[-2:]] == [wire.PONG, wire.CLOSE]
        assert frames[-2][1] == payload


@each(FIRMWARE)
@pytest.mark.parametrize("end", [user_closes, server_closes, server_breaks_a_rule], ids=lambda one: one.__name__)
def test_ping_that_comes_after_the_close_went_out_is_not_answered(firmware, end):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        end(session, peer)
        session.idle(200)
        for _ in range(3):
            peer.frame(wire.PING, b"late")
            session.idle(100)
        peer.close(after_ms=50)
        session.finish()
        assert [opcode for opcode, _ in session.frames()] == [wire.CLOSE]


@each(FIRMWARE)
def test_ping_that_comes_while_the_close_has_no_room_yet_is_not_answered_after_it(firmware):
    with Session(firmware, QUICK) as session:
        peer = session.open()
        session.fill()
        session.ws.close()
        session.idle(50)
        peer.frame(wire.PING, b"late")
        session.idle(50)
        peer.resume_reading()
        session.idle(1000)
        peer.close()
        assert session.finish() == 0
        assert session.sent_close() == 1000


@each(FIRMWARE)
@pytest.mark.parametrize("pings", [1, 2, 3])
def test_ping_that_is_due_never_follows_the_close(firmware, pings):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 9, "close_timeout_ms": 5000}) as session:
        peer = session.open()
        session.fill()
        session.idle(pings * 1000 + 100)  # the first is half out, the next one waits behind it
        session.ws.close()
        peer.resume_reading()
        session.idle(4000)
        assert session.sent_close() == 1000


@each(FIRMWARE)
def test_each_control_frame_has_a_fresh_key(firmware):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 20, "close_timeout_ms": 500}) as session:
        peer = session.open()
        for turn in range(10):
            peer.frame(wire.PING, b"%d" % turn)
            session.ws.send(b"ping", 9)
            session.ws.send(b"pong", 10)
            session.idle(1200)
        session.ws.close()
        session.finish()
        session.board.advance(3000)
        frames = peer.frames()
        kinds = [frame.opcode for frame in frames]
        assert kinds.count(wire.PONG) >= 20 and kinds.count(wire.PING) > 15 and kinds[-1] == wire.CLOSE
        keys = [frame.key for frame in frames]
        assert len(set(keys)) == len(keys) and bytes(4) not in keys


@each(FIRMWARE)
def test_room_of_a_server_that_only_reads_does_not_count_as_an_answer_to_pings(firmware):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 3, "send_timeout_ms": 500}) as session:
        peer = session.open()
        began = session.board.clock.now
        while not session.statuses and session.board.clock.now - began < 20000:
            if session.ws.connected:
                session.fill()
            session.idle(1020)  # the ping is due, and has no room
            peer.resume_reading()
            session.idle(50)  # it goes out: the client wakes, and nothing came
        assert session.statuses == [-19]
        assert session.ended_ms - began < 8000


@each(LWIP)
@pytest.mark.parametrize("size", [1, 1000, 20000])
def test_send_to_a_server_that_sent_fin_and_does_not_read_waits_without_spinning(firmware, size):
    with Session(firmware, QUICK | {"send_timeout_ms": 2000}) as session:
        peer = session.open()
        session.fill()
        session.idle(50)
        peer.fin()
        session.board.advance(50)
        calls = sum(session.board.calls.values())
        began = session.board.clock.now
        with pytest.raises(OSError):
            for _ in range(10):
                session.ws.send(bytes(size))
        assert session.board.clock.now - began <= 2010
        assert sum(session.board.calls.values()) - calls < 15 * 2000, "a few calls in each millisecond"
        assert session.finish() in (-103, -99)


@each(FIRMWARE)
@pytest.mark.parametrize("end", [user_closes, server_closes, server_breaks_a_rule], ids=lambda one: one.__name__)
def test_fin_behind_a_close_that_has_no_room_makes_no_poll_spin(firmware, end):
    with Session(firmware, {"ping_interval_ms": 0, "close_timeout_ms": 500}) as session:
        peer = session.open()
        session.fill()
        end(session, peer)
        session.idle(50)
        peer.fin()
        calls = sum(session.board.calls.values())
        session.finish()
        assert sum(session.board.calls.values()) - calls < 15 * 600, "a few calls in each millisecond"


@each(FIRMWARE)
@pytest.mark.parametrize("event", ["receive", "data", "pong"])
def test_server_whose_messages_all_make_a_handler_raise_is_not_silent(firmware, event):
    def fail(*_):
        raise ZeroDivisionError

    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 1}) as session:
        peer = session.open()
        session.on(event, fail)
        for _ in range(40):
            peer.frame(wire.PONG if event == "pong" else wire.TEXT, b"x")
            with pytest.raises(ZeroDivisionError):
                session.idle(300)
            session.idle(50)
        assert session.ws.connected
