"""What a client waits for: waits_for() in every state, poll(-1), and a poll() after the background was there."""

import pytest

from fakes import Tls
from servers import wire
from support.client_session import FIRMWARE, HOST, PORT, URL, Session, each
from support.tls_session import AXTLS, MBEDTLS, TlsSession

POLLIN, POLLOUT = 1, 4
OPTIONS = {"ping_interval_ms": 3000, "close_timeout_ms": 700, "connect_timeout_ms": 5000}
BOARDS = [("esp8266", (1, 22)), ("esp8266", (1, 28)), ("esp32", (1, 23)), ("esp32", (1, 28)), ("esp32", (1, 29))]
TIMED = [one for one in BOARDS if one[0] == "esp32"]


def new(session):
    pass


def to_tell(session):
    session.connect("ws:///")


def told(session):
    session.connect("ws:///")
    session.finish()


def begun(session):
    session.connect()


def tcp(session):
    session.board.blackhole(HOST, PORT)
    session.connect()
    session.idle(100)


def asked(session):
    session.ask()
    session.idle(100)


def connected(session):
    session.peer = session.ask()
    session.peer.upgrade()
    session.until(lambda: session.ws.connected)
    session.idle(100)


def message_waits(session):
    connected(session)
    session.peer.frame(wire.TEXT, "x")
    session.board.advance(50)


def pong_waits(session):
    connected(session)
    session.fill()
    session.peer.frame(wire.PING, b"x")
    session.idle(100)


def closing(session):
    connected(session)
    session.ws.close()
    session.idle(100)


def closing_without_room(session):
    connected(session)
    session.fill()
    session.ws.close()
    session.idle(100)


def ending(session):
    connected(session)
    session.peer.close_frame()
    session.idle(100)


def ending_without_room(session):
    connected(session)
    session.fill()
    session.peer.close_frame()
    session.idle(100)


def waiting(session):
    session.board.refuse(HOST, PORT)
    session.ws.config({"reconnect": True, "reconnect_min_ms": 2000, "reconnect_max_ms": 2000})
    session.connect()
    session.until(lambda: session.statuses)


# state -> whether there is something to wait for beside the clock, its flags (None: any), ms (None: any)
STATES = [
    (new, False, 0, -1),
    (to_tell, False, 0, 0),
    (told, False, 0, -1),
    (begun, True, None, 0),
    (tcp, True, None, 4900),
    (asked, True, POLLIN, None),
    (connected, True, POLLIN, 2900),
    (message_waits, True, POLLIN, None),
    (pong_waits, True, POLLIN | POLLOUT, None),
    (closing, True, POLLIN, 600),
    (closing_without_room, True, POLLIN | POLLOUT, 600),
    (ending, True, POLLIN, 600),
    (ending_without_room, True, POLLOUT, 600),
    (waiting, False, 0, 2000),
]
CASES = [pytest.param(*case, id=case[0].__name__) for case in STATES]


@each(FIRMWARE)
@pytest.mark.parametrize(("enter", "pollable", "flags", "ms"), CASES)
def test_waits_for_in_every_state_names_what_to_wait_for(firmware, enter, pollable, flags, ms):
    with Session(firmware, OPTIONS, upgrade=False) as session:
        enter(session)
        before = session.events[:]
        found, mask, left = session.ws.waits_for()
        assert (found is not None) == pollable
        assert mask & (POLLIN | POLLOUT) == flags or flags is None and mask
        assert left == ms or ms is None and 0 <= left <= 5000 or ms is not None and ms > 0 and abs(left - ms) <= 130
        assert session.events == before, "it only tells"
        assert session.ws.waits_for() == (found, mask, left)


def front_end(session, done, timeout_ms=20000):
    """Drive the client by waits_for() and poll(0) alone until done(); return how many turns that took."""
    turns = 0
    deadline = session.board.clock.now + timeout_ms
    uselect = session.board.load("uselect")
    sleep_ms = session.board.load("utime").sleep_ms
    while not done():
        assert session.board.clock.now < deadline, session.events
        turns += 1
        pollable, flags, ms = session.ws.waits_for()
        limit = deadline - session.board.clock.now
        ms = limit if ms < 0 else min(ms, limit)
        if pollable is None:
            sleep_ms(ms)
        else:
            poller = uselect.poll()
            poller.register(pollable, flags)
            poller.poll(ms)
        session.ws.poll(0)
    return turns


def story_messages(session):
    front_end(session, lambda: session.ws.connected)
    peer = session.server.peers[-1]
    for when in range(5):
        peer.frame(wire.TEXT, f"{when}", after_ms=500)
    turns = front_end(session, lambda: len(session.messages) == 5)
    session.ws.close()
    peer.close_frame(after_ms=100)
    peer.close(after_ms=200)
    return turns + front_end(session, lambda: session.statuses)


def story_silence(session):
    return front_end(session, lambda: session.statuses)


def story_deaf_server(session):
    front_end(session, lambda: session.ws.connected)
    session.peer = session.server.peers[-1]
    session.fill()
    session.peer.frame(wire.PING, b"x")
    session.board.clock.after(1500, session.peer.resume_reading)
    turns = front_end(session, lambda: (wire.PONG, b"x") in [(f.opcode, f.payload) for f in session.peer.frames()])
    session.ws.close()
    return turns + front_end(session, lambda: session.statuses)


def story_deaf_at_the_end(session):
    front_end(session, lambda: session.ws.connected)
    session.peer = session.server.peers[-1]
    session.fill()
    session.peer.frame(wire.TEXT, "unread")
    session.ws.close()
    return front_end(session, lambda: session.statuses)


def story_reconnect(session):
    front_end(session, lambda: session.ws.connected)
    session.server.peers[-1].reset()
    turns = front_end(session, lambda: len(session.server.peers) == 2 and session.ws.connected)
    session.ws.close()
    return turns + front_end(session, lambda: len(session.statuses) == 2)


def story_nobody(session):
    session.ws.close()
    front_end(session, lambda: session.statuses)
    session.board.blackhole(HOST, PORT)
    session.connect()
    return front_end(session, lambda: len(session.statuses) == 2)


STORIES = {
    story_messages: ({}, [0]),
    story_silence: ({"ping_interval_ms": 1000}, [-19]),
    story_deaf_server: ({"ping_interval_ms": 0}, [0]),
    story_deaf_at_the_end: ({"ping_interval_ms": 0}, [0]),
    story_reconnect: ({"reconnect": True, "reconnect_min_ms": 100}, [-109, 0]),
    story_nobody: ({}, [0, -18]),
}


@each(FIRMWARE)
@pytest.mark.parametrize("story", STORIES, ids=lambda one: one.__name__)
def test_front_end_on_waits_for_and_poll_0_alone_neither_sleeps_over_anything_nor_spins(firmware, story):
    config, statuses = STORIES[story]
    with Session(firmware, OPTIONS | config) as session:
        session.connect()
        turns = story(session)
        assert session.statuses == statuses
        assert turns < 150
        assert not session.board.open_sockets()
        assert session.ws.waits_for() == (None, 0, -1)


@each([*AXTLS, *MBEDTLS])
@pytest.mark.parametrize("record", [7, 300, 5000])
def test_front_end_over_tls_sleeps_over_nothing_that_was_decrypted_already(firmware, record):
    with TlsSession(firmware, OPTIONS, script=Tls(record=record)) as session:
        session.connect()
        front_end(session, lambda: session.ws.connected)
        peer = session.server.peers[-1]
        message = bytes(range(200))
        for turn in range(20):
            peer.send(b"".join(wire.frame(wire.BINARY, message) for _ in range(turn % 5 + 1)))
            expected = len(session.messages) + turn % 5 + 1
            began = session.board.clock.now
            front_end(session, lambda expected=expected: len(session.messages) >= expected)
            assert session.board.clock.now - began < 200
            session.ws.send(message)
        assert session.messages == [message] * 60
        session.ws.close()
        peer.fin(after_ms=50)
        front_end(session, lambda: session.statuses)
        assert session.statuses == [0]


@each(FIRMWARE)
def test_front_end_sleeps_over_nothing_that_one_poll_left_to_the_next(firmware):
    with Session(firmware, OPTIONS) as session:
        session.connect()
        front_end(session, lambda: session.ws.connected)
        peer = session.server.peers[-1]
        peer.send(b"".join(wire.frame(wire.BINARY, bytes(1000)) for _ in range(100)))
        began = session.board.clock.now
        front_end(session, lambda: len(session.messages) == 100)
        assert session.board.clock.now - began < 2000


# poll(-1)

HAPPENINGS = {
    "message": (lambda peer: peer.frame(wire.TEXT, "x", after_ms=20000), ("receive", "x", 1)),
    "pong": (lambda peer: peer.frame(wire.PONG, b"x", after_ms=20000), ("pong", b"x")),
    "reset": (lambda peer: peer.reset(after_ms=20000), ("close", -109)),
    "fin": (lambda peer: peer.close(after_ms=20000), ("close", -99)),
}


@each(FIRMWARE)
@pytest.mark.parametrize("name", HAPPENINGS)
def test_poll_below_0_waits_until_something_happens(firmware, name):
    happen, event = HAPPENINGS[name]
    with Session(firmware, {"ping_interval_ms": 0}) as session:
        happen(session.open())
        began = session.board.clock.now
        calls = sum(session.board.calls.values())
        while event not in session.events:
            session.ws.poll(-1)
            assert session.events[1:] in ([], [event])
        assert 20000 <= session.board.clock.now - began <= 20100
        assert sum(session.board.calls.values()) - calls < 1000


@each(FIRMWARE)
def test_poll_below_0_sends_pings_and_tells_that_the_server_is_silent(firmware):
    with Session(firmware, {"ping_interval_ms": 1000}) as session:
        session.open()
        for _ in range(10):
            session.ws.poll(-1)
            if session.statuses:
                break
        assert session.statuses == [-19]


@each(FIRMWARE)
@pytest.mark.parametrize("timeout_ms", [-1, -1000])
def test_poll_below_0_of_a_closed_client_returns_at_once(firmware, timeout_ms):
    with Session(firmware) as session:
        assert session.ws.poll(timeout_ms) is False
        assert session.board.clock.now == 0


@each(FIRMWARE)
@pytest.mark.parametrize("timeout_ms", [-1, 1, 100])
def test_poll_that_would_wait_in_a_handler_is_a_runtime_error_for_every_handler(firmware, timeout_ms):
    raised = []

    def wait(ws, *_):
        with pytest.raises(RuntimeError):
            ws.poll(timeout_ms)
        raised.append(ws.poll(0))

    with Session(firmware, {"ping_interval_ms": 0}) as session:
        for event in ("connection", "receive", "pong", "close", "header"):
            session.on(event, wait)
        peer = session.open()
        peer.frame(wire.TEXT, "x")
        peer.frame(wire.PONG, b"y")
        session.idle(100)
        session.on("data", wait)
        peer.frame(wire.TEXT, "x")
        session.idle(100)
        peer.reset()
        assert session.finish() == -109
        assert len(raised) == len(session.events) and {event[0] for event in session.events} == {
            "connection", "receive", "pong", "close", "header", "data",
        }  # fmt: skip


# The background and a program that polls


@each(BOARDS)
@pytest.mark.parametrize("timeout_ms", [1000, -1])
def test_poll_after_the_background_handled_something_returns_at_once(firmware, timeout_ms):
    with Session(firmware, {"background": True, "ping_interval_ms": 0}) as session:
        session.connect()
        session.board.run_background(1000)
        assert session.ws.connected
        session.server.peers[-1].frame(wire.TEXT, "answer")
        session.board.run_background(200)
        assert session.messages == ["answer"], "the background was there"
        began = session.board.clock.now
        assert session.ws.poll(timeout_ms) is True
        assert session.board.clock.now == began
        session.ws.poll(300)
        assert session.board.clock.now - began == 300, "only once"


@each(BOARDS)
def test_program_that_waits_for_an_answer_never_sleeps_over_it(firmware):
    with Session(firmware, {"background": True, "ping_interval_ms": 0}) as session:
        got = []
        session.on("receive", lambda ws, message, opcode: got.append(message))
        session.connect()
        session.board.run_background(1000)
        peer = session.server.peers[-1]
        for turn in range(40):
            session.ws.send("question")
            peer.frame(wire.TEXT, f"{turn}", after_ms=5 + turn)
            session.board.advance(2 * turn)  # the program does something else: the background may be first
            began = session.board.clock.now
            while len(got) <= turn:
                session.ws.poll(1000)
            assert session.board.clock.now - began < 100


@each(BOARDS)
def test_waits_for_after_the_background_handled_something_is_at_once(firmware):
    with Session(firmware, {"background": True, "ping_interval_ms": 0}) as session:
        session.connect()
        session.board.run_background(1000)
        session.server.peers[-1].frame(wire.TEXT, "answer")
        session.board.run_background(200)
        assert session.ws.waits_for()[2] == 0
        session.ws.poll(0)
        assert session.ws.waits_for()[2] > 0


@each(TIMED)
@pytest.mark.parametrize("what", ["reset", "unknown name"])
def test_close_in_the_background_is_news_as_well(firmware, what):
    with Session(firmware, {"background": True, "reconnect": True, "reconnect_min_ms": 5000}) as session:
        session.ws.connect(URL if what == "reset" else "ws://nowhere.example/")
        session.board.run_background(1000)
        if what == "reset":
            session.server.peers[-1].reset()
            session.board.run_background(300)
        assert session.statuses == [-109 if what == "reset" else -5]
        began = session.board.clock.now
        session.ws.poll(1000)
        assert session.board.clock.now == began
