"""The background's timer, Wi-Fi and memory on a board: taken away, no longer wanted, never touched, not to be had."""

import gc

import pytest

from mp_runtime import PortError
from servers import wire
from support.client_session import HOST, PORT, URL, Session, each

ESP8266 = [("esp8266", version) for version in ((1, 22), (1, 24), (1, 27), (1, 28))]
ESP32 = [("esp32", version) for version in ((1, 23), (1, 25), (1, 28), (1, 29))]
HARDWARE = ESP32[:-1]  # timers that a program can have too, by their number
BOARDS = [*ESP8266, *ESP32]
QUIET = {"ping_interval_ms": 0, "close_timeout_ms": 500}
NUMBER = 3  # of the timer that the background takes where there are four


def running(session):
    """Return the timers that will fire."""
    gc.collect()
    return [timer for timer in session.board.timers if timer.running]


def looks(session, milliseconds=4000):
    """Return how often the timer's tick came in that time, while nothing happens."""
    before = session.board.calls["schedule"]
    session.board.run_background(milliseconds)
    return session.board.calls["schedule"] - before


# A program that takes the timer for itself


def a_message(session):
    session.server.peers[0].frame(wire.TEXT, "x")
    session.board.run_background(300)


def another_client(session):
    session.client({"background": True}).connect(URL)


def own_close(session):
    session.ws.close()
    session.server.peers[0].close(after_ms=20)
    session.board.run_background(2000)


@each(HARDWARE)
@pytest.mark.parametrize("taken", ["stopped", "used once"])
@pytest.mark.parametrize("then", [a_message, another_client], ids=lambda one: one.__name__)
def test_timer_that_the_program_took_away_is_started_again(firmware, taken, then):
    with Session(firmware, QUIET | {"background": True}) as session:
        session.connect()
        session.board.run_background(1000)
        timer = session.board.load("machine").Timer(NUMBER)
        assert running(session) == [timer]
        timer.deinit()
        if taken == "used once":
            timer.init(mode=timer.ONE_SHOT, period=100, callback=lambda timer: session.events.append("the program's"))
        session.board.run_background(2000)
        assert not running(session)
        then(session)
        session.board.run_background(300)
        assert running(session) == [timer]
        session.ws.config({"ping_interval_ms": 1000})
        assert looks(session) > 50


@each(HARDWARE)
def test_timer_that_the_program_took_away_is_had_again_by_the_next_connect(firmware):
    with Session(firmware, QUIET | {"background": True}) as session:
        session.connect()
        session.board.run_background(1000)
        session.board.load("machine").Timer(NUMBER).deinit()
        session.server.peers[0].reset()
        session.board.run_background(2000)
        session.until(lambda: session.statuses)
        session.connect()
        session.board.run_background(1000)
        assert session.ws.connected and len(running(session)) == 1


@each(HARDWARE)
def test_timer_that_fires_is_not_started_again(firmware):
    with Session(firmware, QUIET | {"background": True}) as session:
        session.connect()
        session.board.run_background(1000)
        before = session.board.calls["timer"]
        for _ in range(10):
            session.server.peers[0].frame(wire.TEXT, "x")
            session.board.run_background(1000)
        assert session.board.calls["timer"] == before


# Clients that leave


def closes(session, ws):
    ws.close()


def connects_elsewhere(session, ws):
    ws.config({"background": False, "reconnect": False})
    ws.connect(URL)


WAITS = {"background": 50, "reconnect": True, "reconnect_min_ms": 20000, "close_timeout_ms": 500}


@each(BOARDS)
@pytest.mark.parametrize("leave", [closes, connects_elsewhere], ids=lambda one: one.__name__)
def test_timer_stops_when_the_last_client_leaves_while_it_waits(firmware, leave):
    with Session(firmware, WAITS) as session:
        session.board.refuse(HOST, PORT)
        session.ws.connect(URL)
        session.board.run_background(1000)
        assert session.statuses == [-111] and len(running(session)) == 1
        leave(session, session.ws)
        session.board.run_background(1000)
        assert not running(session)
        assert looks(session) == 0


@each(BOARDS)
@pytest.mark.parametrize("leave", [closes, connects_elsewhere], ids=lambda one: one.__name__)
def test_timer_runs_on_for_the_client_that_stays(firmware, leave):
    with Session(firmware, WAITS) as session:
        session.board.refuse(HOST, PORT)
        other = session.client(WAITS)
        for ws in (session.ws, other):
            ws.connect(URL)
        session.board.run_background(1000)
        leave(session, session.ws)
        session.board.run_background(1000)
        assert len(running(session)) == 1
        leave(session, other)
        session.board.run_background(1000)
        assert not running(session)


@each(BOARDS)
@pytest.mark.parametrize("first", [20, 400], ids=["the faster is first", "the slower is first"])
@pytest.mark.parametrize("state", ["open", "waiting"])
@pytest.mark.parametrize("leave", ["closes", "background False", "a longer period"])
def test_period_of_the_timer_grows_again_when_the_client_of_the_shortest_leaves(firmware, first, state, leave):
    with Session(firmware, QUIET) as session:
        options = QUIET | {"reconnect": True, "reconnect_min_ms": 60000}
        if state == "waiting":
            session.board.refuse(HOST, PORT)
        by_period = {}
        for period in (first, 420 - first):
            by_period[period] = ws = session.client(options | {"background": period})
            ws.connect(URL)
        session.board.run_background(1000)
        assert looks(session) >= 150
        fast = by_period[20]
        fast.close()
        for peer in session.server.peers:
            peer.close_frame()
        session.board.run_background(1000)
        if leave != "closes":
            session.board.refuse(HOST, PORT)
            fast.config({"background": False if leave == "background False" else 500})
            fast.connect(URL)
            session.board.run_background(1000)
        assert len(running(session)) == 1
        assert 7 <= looks(session) <= 30


# Wi-Fi


class Untouched:
    """A module `network` of a board with Ethernet: to ask for the station would start the Wi-Fi."""

    STA_IF, AP_IF = 0, 1

    def WLAN(self, *_):
        raise AssertionError("network.WLAN() on an ESP32 starts the Wi-Fi driver")


@each(ESP32)
@pytest.mark.parametrize("linked", [True, False])
def test_esp32_is_never_asked_for_its_wifi(firmware, linked):
    with Session(firmware, WAITS | {"reconnect_min_ms": 200}) as session:
        session.board.modules["network"] = Untouched()
        if not linked:
            session.board.wifi_lost()
            session.board.advance(100)
        session.ws.connect(URL)
        session.board.run_background(1000)
        assert session.ws.connected == linked
        if linked:
            session.board.wifi_lost()
            session.board.run_background(5000)
            assert session.statuses == [-108]
        else:
            assert session.statuses == [-104]
        session.board.wifi_back()
        session.board.run_background(5000)
        assert session.ws.connected
        assert not session.board.printed
        assert [sock.state for sock in session.board.open_sockets()] == ["connected"]


@each(BOARDS)
def test_look_at_the_wifi_comes_twice_a_second_at_most(firmware):
    with Session(firmware, WAITS | {"background": 20, "reconnect_min_ms": 0}) as session:
        session.ws.connect(URL)
        session.board.run_background(1000)
        assert session.ws.connected
        session.board.wifi_lost()
        for sock in session.board.open_sockets():
            sock.connection.fail("reset")
        session.board.run_background(2000)
        assert session.statuses
        call = "sendto" if firmware[0] == "esp32" else "isconnected"
        before = session.board.calls[call]
        session.board.run_background(10000)
        assert 15 <= session.board.calls[call] - before <= 21


# connect() that fails early


def bad_url(session):
    return "http://10.0.0.2/", -1


def unknown_name(session):
    return "ws://nowhere.example/", -5


def no_link(session):
    session.board.wifi_lost()
    session.board.advance(100)
    return URL, -104


def no_socket(session):
    session.board.fail("socket", "ENOBUFS")
    return URL, -101


def socket_error(session):
    session.board.fail("socket", PortError(77))
    return URL, -199


def refused_at_once(session):
    session.board.fail("connect", "ECONNREFUSED")
    return URL, -111


def without(session, name, times=1):
    """Let the module not be loaded for lack of memory, so many times."""
    load = session.board.import_module
    left = [times]

    def import_module(wanted):
        if wanted == name and left[0]:
            left[0] -= 1
            session.board.modules.pop(name, None)
            raise MemoryError("memory allocation failed, allocating 1234 bytes")
        return load(wanted)

    session.board.import_module = import_module


EARLY = [bad_url, unknown_name, no_link, no_socket, socket_error, refused_at_once]


@each(BOARDS)
@pytest.mark.parametrize("early", EARLY, ids=lambda one: one.__name__)
@pytest.mark.parametrize("times", [1, 3])
def test_connect_that_fails_early_is_told_by_itself(firmware, early, times):
    with Session(firmware, QUIET | {"background": True}) as session:
        for turn in range(times):
            url, status = early(session)
            session.ws.connect(url)
            assert len(session.statuses) == turn, "no handler runs within connect()"
            session.board.run_background(15000)
            assert session.statuses == [status] * (turn + 1)
        assert not session.board.open_sockets() and not running(session)
        session.board.wifi_back()
        session.ws.connect(URL)
        session.board.run_background(1000)
        assert session.ws.connected


MODULES = ["_wsurl", "_wsconnect", "_wsboard", "_wsrequest", "_wsreply"]


@each(BOARDS)
@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("background", [True, False], ids=["background", "poll"])
def test_connect_without_memory_for_a_module_is_told_with_minus_101(firmware, name, background):
    with Session(firmware, QUIET | {"background": background}) as session:
        session.board.modules.pop(name, None)
        without(session, name)
        session.ws.connect(URL)
        assert not session.statuses
        if background:
            session.board.run_background(2000)
        else:
            session.until(lambda: session.statuses)
        assert session.statuses == [-101]
        assert not session.board.open_sockets() and not running(session) and not session.board.printed
        session.ws.connect(URL)
        if background:
            session.board.run_background(2000)
        else:
            session.until(lambda: session.ws.connected)
        assert session.ws.connected and session.statuses == [-101]


@each(BOARDS)
@pytest.mark.parametrize("background", [True, False, 50], ids=["background", "poll", "period"])
def test_board_loads_only_the_parts_that_it_needs(firmware, background):
    esp32 = firmware[0] == "esp32"
    with Session(firmware, QUIET | {"background": background}) as session:
        for name in ("_wstimer", "_wsnetwork"):
            session.board.modules.pop(name, None)
        session.open()
        assert ("_wstimer" in session.board.modules) == (background == 50 or background and esp32)
        assert ("_wsnetwork" in session.board.modules) == esp32


@each(BOARDS)
def test_connect_without_memory_for_the_timer_is_told_with_minus_101(firmware):
    with Session(firmware, QUIET | {"background": 50}) as session:
        without(session, "_wstimer")
        session.ws.connect(URL)
        assert not session.statuses
        session.board.run_background(2000)
        assert session.statuses == [-101]
        assert not session.board.open_sockets() and not running(session) and not session.board.printed
        session.ws.connect(URL)
        session.board.run_background(2000)
        assert session.ws.connected and session.statuses == [-101] and len(running(session)) == 1


@each(BOARDS)
@pytest.mark.parametrize("name", MODULES)
def test_reconnect_goes_on_when_there_is_memory_again(firmware, name):
    with Session(firmware, WAITS | {"reconnect_min_ms": 300, "reconnect_max_ms": 300}) as session:
        session.board.modules.pop(name, None)
        without(session, name, 3)
        session.ws.connect(URL)
        session.board.run_background(3000)
        if name in ("_wsurl", "_wsboard"):  # the background has not begun, nothing comes by itself
            session.until(lambda: session.ws.connected, 5000)
        assert session.ws.connected and session.statuses == [-101] * 3
        told = [when for when, event in zip(session.times, session.events, strict=True) if event[0] == "close"]
        assert all(after - before >= 300 for before, after in zip(told, told[1:], strict=False))


@each(BOARDS)
def test_queue_of_schedule_that_is_full_only_delays_the_close_of_an_early_failure(firmware):
    with Session(firmware, QUIET | {"background": True}) as session:
        schedule = session.board.load("micropython").schedule
        for _ in range(session.board.profile.schedule_depth):
            schedule(lambda _: None, 0)
        session.ws.connect("ws:///")
        session.board.run_background(2000)
        if firmware[0] == "esp8266":  # which has nothing else that comes by itself
            session.ws.poll(0)
        assert session.statuses == [-4]
