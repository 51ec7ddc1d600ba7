"""The client's clocks, to the millisecond: pings, limits and what poll() may take."""

import pytest

from servers import wire
from support.client_session import FIRMWARE, HOST, Session, each

LATENCY_MS = 5
EMPTY_PING = wire.frame(wire.PING, key=b"mask")


def ping_times(session):
    """Return when each ping left, in ms after the connection opened."""
    request, *frames = session.peer.segments
    return [when - LATENCY_MS - session.times[0] for when, size in frames if size == len(EMPTY_PING)]


@each(FIRMWARE)
@pytest.mark.parametrize("wrap", [0, (1 << 30) - 5000], ids=["ticks from 0", "ticks that wrap"])
@pytest.mark.parametrize(("interval_ms", "limit"), [(1000, 1), (1000, 2), (30000, 2), (700, 5)])
def test_silent_server_is_pinged_and_given_up_in_time(firmware, interval_ms, limit, wrap):
    options = {"ping_interval_ms": interval_ms, "ping_limit": limit}
    with Session(firmware, options, ticks_start=wrap, latency_ms=LATENCY_MS) as session:
        peer = session.open()
        opened = session.times[0]
        assert session.finish() == -19
        assert session.ended_ms - opened == (limit + 1) * interval_ms
        if firmware != ("esp8266", (1, 22)):  # which sends 125 ms later
            assert ping_times(session)[:limit] == [interval_ms * (count + 1) for count in range(limit)]
        assert session.frames() == [(wire.PING, b"")] * limit + [(wire.CLOSE, wire.close_payload(1001))]
        assert peer.logged()[-1] in ("fin received", "rst received")


@each(FIRMWARE)
@pytest.mark.parametrize("answer", [wire.PONG, wire.TEXT, wire.PING], ids=["pong", "message", "ping"])
def test_any_byte_of_the_server_ends_the_silence(firmware, answer):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 1}) as session:
        peer = session.open()
        seen = [0]

        def reply(peer):
            pings = sum(frame.opcode == wire.PING for frame in peer.frames())
            if pings > seen[0]:
                seen[0] = pings
                peer.frame(answer, b"", after_ms=900 - 2 * LATENCY_MS - (125 if firmware[1] < (1, 23) else 0))

        peer.on_data = reply
        session.idle(20000)
        assert session.ws.connected
        assert seen[0] in (9, 10, 19), "a ping a second, since nothing is sent: but for the pongs"


@each(FIRMWARE)
def test_part_of_a_frame_ends_the_silence(firmware):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 1}) as session:
        peer = session.open()
        peer.send(wire.frame(wire.BINARY, announced=1000, payload=b""))
        for when in range(10):
            peer.send(b"x", after_ms=900 * (when + 1))
        session.idle(9100)
        assert session.ws.connected


@each(FIRMWARE)
@pytest.mark.parametrize("talks", ["server", "client", "both"])
def test_ping_goes_out_after_silence_in_either_direction(firmware, talks):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 1}) as session:
        peer = session.open()
        peer.on_data = lambda peer: talks == "client" and peer.frame(wire.PONG)
        for _ in range(20):
            if talks != "client":
                peer.frame(wire.TEXT, "x")
            if talks != "server":
                session.ws.send("y")
            session.idle(450)
        assert session.ws.connected
        pings = [opcode for opcode, _ in session.frames()].count(wire.PING)
        assert pings in ((8, 9) if talks == "server" else (0,))


@each(FIRMWARE)
def test_ping_interval_0_never_pings(firmware):
    with Session(firmware, {"ping_interval_ms": 0}) as session:
        session.open()
        session.idle(600000)
        assert session.frames() == [] and session.ws.connected


@each(FIRMWARE)
@pytest.mark.parametrize("busy_ms", [1500, 5000, 100000, 3600000])
@pytest.mark.parametrize("pinged", [0, 2], ids=["before a ping", "after the last ping"])
def test_program_that_was_busy_elsewhere_gets_no_false_minus_19(firmware, busy_ms, pinged):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 2}) as session:
        peer = session.open()
        while sum(frame.opcode == wire.PING for frame in peer.frames()) < pinged:
            session.poll(100)
        peer.frame(wire.PONG, after_ms=100)
        session.board.advance(busy_ms)
        session.poll(0)
        assert session.ws.connected and not session.statuses
        session.idle(900)
        assert session.ws.connected
        assert session.finish() == -19


@each(FIRMWARE)
def test_backlog_that_takes_many_polls_is_no_silence(firmware):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 1}, spin_limit=100000) as session:
        peer = session.open()
        session.board.advance(5000)
        peer.send(wire.frame(wire.TEXT, b"x") * 2000)
        session.board.advance(100000)
        while len(session.messages) < 2000:
            session.poll(0)
            session.board.advance(1)
            assert session.ws.connected


@each(FIRMWARE)
def test_slow_handler_is_no_silence_of_the_server(firmware):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 1}) as session:
        peer = session.open()
        session.on("receive", lambda ws, message, opcode: session.board.advance(10000))
        for _ in range(3):
            peer.frame(wire.TEXT, "work for 10 s")
        session.board.advance(100)
        while len(session.messages) < 3:
            session.ws.poll(0)
        assert session.ws.connected
        session.idle(500)
        assert session.ws.connected


@each(FIRMWARE)
def test_waiting_message_is_told_before_the_server_is_given_up(firmware):
    with Session(firmware, {"connect_timeout_ms": 3000}, upgrade=False) as session:
        session.ask().upgrade(extra=wire.frame(wire.TEXT, b"early"))
        session.board.advance(60000)
        session.poll(0)
        assert session.events[:1] == [("connection",)], "the answer came in time, the program did not"


@each(FIRMWARE)
def test_pings_of_one_connection_are_not_counted_for_the_next(firmware):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 2}) as session:
        session.open()
        session.idle(2500)
        session.ws.close()
        session.finish()
        session.open()
        opened = session.times[-1]
        session.idle(2900)
        assert session.ws.connected
        assert session.finish() == -19
        assert session.ended_ms - opened == 3000


@each(FIRMWARE)
@pytest.mark.parametrize("event", ["receive", "connection", "pong", "close"])
def test_poll_returns_as_soon_as_something_was_handled(firmware, event):
    with Session(firmware) as session:
        if event == "connection":
            session.connect()
            began = session.board.clock.now
            session.poll(60000)
            while ("connection",) not in session.events:
                session.poll(60000)
            assert session.board.clock.now - began < 500
            return
        peer = session.open()
        if event == "close":
            peer.reset(after_ms=1000)
        else:
            peer.frame(wire.TEXT if event == "receive" else wire.PONG, "x", after_ms=1000)
        began = session.board.clock.now
        alive = session.poll(60000)
        if event == "close" and not session.statuses:
            session.poll(60000)
        assert session.board.clock.now - began == 1000 + LATENCY_MS
        assert session.events[-1][0] == event
        assert alive or event == "close"


@each(FIRMWARE)
@pytest.mark.parametrize("timeout_ms", [0, 1, 7, 1000, 29999, (1 << 29) - 1, 1 << 40])
def test_poll_of_an_idle_connection_takes_as_long_as_asked(firmware, timeout_ms):
    with Session(firmware, {"ping_interval_ms": 0}) as session:
        session.open()
        began = session.board.clock.now
        if timeout_ms < 1 << 20:
            session.poll(timeout_ms)
            assert session.board.clock.now - began == timeout_ms
        else:
            session.peer.frame(wire.TEXT, "wake up", after_ms=3600000)
            session.poll(timeout_ms)
            assert session.board.clock.now - began == 3600000 + LATENCY_MS


@each(FIRMWARE)
@pytest.mark.parametrize("timeout_ms", [0, 1000])
def test_poll_of_a_closed_client_returns_at_once(firmware, timeout_ms):
    with Session(firmware) as session:
        assert session.poll(timeout_ms) is False
        session.connect("ws:///")
        assert session.poll(timeout_ms) in (True, False)
        assert session.poll(timeout_ms) is False
        assert session.board.clock.now == 0


@each(FIRMWARE)
def test_poll_takes_no_longer_than_asked_while_the_peer_trickles(firmware):
    with Session(firmware) as session:
        peer = session.open()
        for place, byte in enumerate(wire.frame(wire.BINARY, b"x" * 100)):
            peer.send(bytes((byte,)), after_ms=place * 10)
        for _ in range(20):
            began = session.board.clock.now
            session.poll(50)
            assert session.board.clock.now - began == 50 or session.messages


@each(FIRMWARE)
def test_poll_sleeps_while_it_waits(firmware):
    """No busy loop: an hour of silence takes few calls."""
    with Session(firmware, {"ping_interval_ms": 0}) as session:
        session.open()
        before = session.board.calls["poll"]
        session.poll(3600000)
        assert session.board.calls["poll"] - before < 3 * 3600


@each(FIRMWARE)
@pytest.mark.parametrize("blocked", ["pong", "ping"])
def test_poll_sleeps_while_a_frame_cannot_go_out(firmware, blocked):
    with Session(firmware, {"ping_interval_ms": 1000 if blocked == "ping" else 0, "ping_limit": 100}) as session:
        peer = session.open()
        session.fill()
        if blocked == "pong":
            peer.frame(wire.PING, b"x" * 100)
        session.idle(2000)
        before = session.board.calls["poll"]
        session.idle(20000)
        assert session.board.calls["poll"] - before < 150
        peer.frame(wire.TEXT, "still reading")
        session.idle(100)
        assert session.messages == ["still reading"]


@each(FIRMWARE)
def test_poll_sleeps_while_a_close_frame_cannot_go_out_and_data_waits(firmware):
    with Session(firmware, {"close_timeout_ms": 20000}) as session:
        peer = session.open()
        session.fill()
        peer.close_frame()
        session.until(lambda: not session.ws.connected)
        peer.frame(wire.TEXT, "nobody is to read this")
        session.idle(1000)
        before = session.board.calls["poll"]
        session.idle(10000)
        assert session.board.calls["poll"] - before < 150


@each(FIRMWARE)
def test_config_applies_from_the_next_connect_on(firmware):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 1}) as session:
        session.open()
        opened = session.times[-1]
        session.ws.config({"ping_interval_ms": 5000})
        assert session.finish() == -19
        assert session.ended_ms - opened == 2000
        session.open()
        opened = session.times[-1]
        assert session.finish() == -19
        assert session.ended_ms - opened == 10000


@each(FIRMWARE)
def test_connect_timeout_counts_the_time_of_the_look_up(firmware):
    with Session(firmware, {"connect_timeout_ms": 3000}, upgrade=False) as session:
        session.board.hosts["server.example"] = HOST
        session.connect("ws://server.example/")
        assert session.board.clock.now > 0
        assert (session.finish(), session.ended_ms) == (-18, 3000)
