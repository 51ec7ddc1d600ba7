"""The client in the background of a board: what drives it there, and what stays quiet."""

import gc

import pytest

import fakes
from servers import wire
from support.client_session import HOST, PORT, URL, Session, each

ESP8266 = [("esp8266", version) for version in ((1, 22), (1, 24), (1, 27), (1, 28))]
ESP32 = [("esp32", version) for version in ((1, 23), (1, 25), (1, 28), (1, 29))]
BOARDS = [*ESP8266, *ESP32]
LATEST = [("esp8266", (1, 28)), ("esp32", (1, 28)), ("esp32", (1, 29))]
BACKGROUND = {"background": True, "close_timeout_ms": 2000}


def running(session):
    """Return the timers that will fire."""
    return [timer for timer in session.board.timers if timer.running]


def period_ms(session, clients=1):
    """Return the period of the one timer that runs, by how often the client looks while nothing happens."""
    gc.collect()
    assert len(running(session)) == 1
    session.board.run_background(1000)
    polls = session.board.calls["poll"]
    session.board.run_background(3000)
    return 3000 * clients // (session.board.calls["poll"] - polls)


@each(BOARDS)
def test_example_delivers_its_events_without_poll(firmware):
    with Session(firmware, BACKGROUND) as session:
        answered = []

        def echo(peer):
            if b"\r\n\r\n" in peer.received():
                for frame in peer.frames()[len(answered) :]:
                    answered.append(frame)
                    peer.frame(frame.opcode, frame.payload, after_ms=10)

        def talk(peer):
            peer.on_data = echo

        session.server = session.board.listen(HOST, PORT, upgrade=True, on_connect=talk)
        session.on("connection", lambda ws: ws.send("hello!"))
        session.connect()
        session.board.run_background(1000)
        assert session.events == [("connection",), ("receive", "hello!", 1)]
        session.ws.close()
        session.board.run_background(200)
        session.server.peers[0].close(after_ms=100)
        session.board.run_background(1000)
        assert session.events[2:] == [("close", 0)]
        assert not session.board.open_sockets() and not running(session)
        assert not session.board.printed


@each(BOARDS)
@pytest.mark.parametrize("busy", [False, True], ids=["at the prompt", "in a busy program"])
def test_messages_come_by_themselves(firmware, busy):
    with Session(firmware, BACKGROUND) as session:
        session.connect()
        session.board.run_background(1000)
        peer = session.server.accept()
        for count in range(20):
            peer.frame(wire.TEXT, f"message {count}", after_ms=count * 30)
        (session.board.advance if busy else session.board.run_background)(2000)
        assert session.messages == [f"message {count}" for count in range(20)]
        peer.close_frame(4000)
        peer.close(after_ms=500)
        (session.board.advance if busy else session.board.run_background)(2000)
        assert session.statuses == [-6]
        assert session.frames(peer) == [(wire.CLOSE, wire.close_payload(4000))]


@each(BOARDS)
def test_one_read_brings_more_than_one_poll_handles(firmware):
    with Session(firmware, BACKGROUND, spin_limit=100000) as session:
        session.connect()
        session.board.run_background(1000)
        session.server.accept().send(wire.frame(wire.BINARY, b"x") * 1500)
        session.board.run_background(3000)
        assert len(session.messages) == 1500


@each(BOARDS)
def test_background_false_leaves_everything_to_poll(firmware):
    with Session(firmware, {"background": False}) as session:
        session.connect()
        session.board.run_background(1000)
        assert session.events == [] and not session.board.timers
        session.until(lambda: session.ws.connected)
        session.server.accept().frame(wire.TEXT, "x")
        session.board.run_background(1000)
        assert not session.messages
        session.poll(10)
        assert session.messages == ["x"]


@pytest.mark.parametrize("background", [True, False, 20])
def test_unix_port_has_no_background(background):
    with Session(("unix", (1, 28)), {"background": background}) as session:
        session.connect()
        session.board.run_background(1000)
        assert session.events == []
        session.until(lambda: session.ws.connected)


@each(ESP32)
@pytest.mark.parametrize(("background", "period"), [(True, 50), (20, 20), (500, 500)])
def test_esp32_runs_one_timer_of_the_asked_period_while_open(firmware, background, period):
    with Session(firmware, BACKGROUND | {"background": background}) as session:
        assert not running(session)
        session.connect()
        assert period_ms(session) == period
        peer = session.server.accept()
        assert session.ws.connected
        peer.close_frame()
        peer.close(after_ms=50)
        session.board.run_background(2000)
        assert session.statuses == [-6] and not running(session)


TIMER_IDS = [
    (("esp32", (1, 29)), None, -1), (("esp32", (1, 29)), 2, 2), (("esp32", (1, 29)), -1, -1),
    (("esp32", (1, 28)), None, 3), (("esp32", (1, 28)), 0, 0), (("esp32", (1, 28)), 2, 2),
    (("esp32", (1, 23)), None, 3), (("esp32", (1, 23)), 1, 1),
]  # fmt: skip


@pytest.mark.parametrize(("firmware", "number", "expected"), TIMER_IDS, ids=str)
def test_esp32_timer_is_the_one_asked_for_else_the_virtual_else_the_highest(firmware, number, expected):
    with Session(firmware, BACKGROUND | {"timer": number}) as session:
        timer_class = session.board.load("machine").Timer
        hardware = {one: timer_class(one) for one in range(4)}
        session.connect()
        if expected >= 0:
            assert running(session) == [hardware[expected]]
        else:
            assert len(running(session)) == 1 and running(session)[0] not in hardware.values()


@each(ESP32)
def test_esp32_timer_of_the_application_is_left_alone_where_another_is_named(firmware):
    with Session(firmware, BACKGROUND | {"timer": 1}) as session:
        ticks = []
        machine = session.board.load("machine")
        machine.Timer(3).init(period=100, mode=machine.Timer.PERIODIC, callback=ticks.append)
        session.connect()
        session.board.run_background(1050)
        session.server.accept().reset()
        session.board.run_background(1000)
        assert session.statuses == [-109]
        assert len(ticks) == 20


@each([one for one in ESP32 if one[1] > (1, 23)])
@pytest.mark.parametrize("number", [4, 99])
def test_timer_that_the_board_lacks_is_a_valueerror(firmware, number):
    with Session(firmware, {"background": True}) as session:
        with pytest.raises(ValueError, match=str(number)):
            session.ws.config({"timer": number})
            session.ws.connect(URL)
        session.board.run_background(200)
        assert not session.board.open_sockets() and not session.ws.connected
        session.ws.config({"timer": 2})
        session.ws.connect(URL)
        session.board.run_background(1000)
        assert session.events[-1] == ("connection",)


@each(ESP8266)
def test_esp8266_has_no_timer_unless_a_period_asks_for_it(firmware):
    with Session(firmware, BACKGROUND) as session:
        session.connect()
        session.board.run_background(1000)
        assert session.ws.connected and not session.board.timers
        session.ws.close()
        session.board.run_background(100)
        session.server.accept().close()
        session.board.run_background(1000)
        assert session.statuses == [0]
        session.ws.config({"background": 100})
        session.connect()
        assert period_ms(session) == 100
        session.board.run_background(1000)
        assert session.ws.connected


@each(ESP8266)
def test_esp8266_with_a_timer_serves_time_outs_by_itself(firmware):
    with Session(firmware, {"background": 50, "ping_interval_ms": 1000}) as session:
        session.connect()
        session.board.run_background(10000)
        assert session.statuses == [-19]
        gc.collect()
        assert not running(session) and not session.board.open_sockets()


@each(ESP32)
def test_esp32_serves_time_outs_and_pings_by_itself(firmware):
    with Session(firmware, {"background": True, "ping_interval_ms": 1000}) as session:
        session.connect()
        session.board.run_background(2950)
        assert session.ws.connected
        session.board.run_background(1000)
        assert session.statuses == [-19] and not running(session)
        session.board.blackhole(HOST, PORT)
        session.ws.config({"connect_timeout_ms": 2000})
        session.connect()
        session.board.run_background(2100)
        assert session.statuses == [-19, -18] and not running(session)


@each([one for one in ESP8266 if one[1] >= (1, 25)])
@pytest.mark.parametrize(
    ("host", "status", "takes_ms"), [("listens", None, 11), ("refuses", -111, 11), ("silent", -18, 3000)]
)
def test_esp8266_connect_waits_for_tcp_and_then_tells_the_outcome_by_itself(firmware, host, status, takes_ms):
    with Session(firmware, BACKGROUND | {"connect_timeout_ms": 3000}) as session:
        if host == "refuses":
            session.board.refuse(HOST, PORT)
        elif host == "silent":
            session.board.blackhole(HOST, PORT)
        session.connect()
        assert session.board.clock.now <= takes_ms
        assert not session.events, "connect() only queues"
        session.board.run_background(1000)
        assert session.events == [("close", status) if status else ("connection",)]


@each(BOARDS)
@pytest.mark.parametrize("slow", ["url", "request", "connect", "reply"])
def test_connect_calls_no_handler_however_fast_the_server_answers(firmware, slow):
    with Session(firmware, BACKGROUND, latency_ms=0) as session:
        client = session.board.load("uwebsocket_client")
        load = client.load

        def slowly(name, *arguments):
            if name == slow:
                session.board.advance(20)  # to load a module takes a board some time
            return load(name, *arguments)

        client.load = slowly
        session.connect()
        assert not session.events and not session.ws.connected
        session.board.run_background(1000)
        assert session.events == [("connection",)]


@each(ESP32)
def test_esp32_connect_does_not_wait(firmware):
    with Session(firmware, BACKGROUND) as session:
        session.board.blackhole(HOST, PORT)
        session.connect()
        assert session.board.clock.now == 0


@each(BOARDS)
@pytest.mark.parametrize("url", ["ws:///", "http://10.0.0.2/"])
def test_bad_url_is_told_by_itself(firmware, url):
    with Session(firmware, BACKGROUND) as session:
        session.connect(url)
        assert session.events == []
        session.board.run_background(200)
        assert len(session.statuses) == 1 and not running(session)


@each(BOARDS)
def test_full_schedule_queue_only_delays(firmware):
    with Session(firmware, BACKGROUND) as session:
        schedule = session.board.load("micropython").schedule
        session.connect()
        session.board.run_background(1000)
        peer = session.server.accept()

        def fill(_):
            if session.board.clock.now < 3000:
                for _ in range(20):
                    try:
                        schedule(lambda _: None, None)
                    except RuntimeError:
                        break

        for when in range(20):
            session.board.clock.after(when * 100, lambda: session.board.interrupt(fill, None))
            peer.frame(wire.TEXT, f"{when}", after_ms=when * 100)
        session.board.run_background(4000)
        peer.frame(wire.TEXT, "last")
        session.board.run_background(1000)
        assert session.messages == [*map(str, range(20)), "last"]
        assert not session.board.printed


@each(BOARDS)
def test_wake_that_finds_the_queue_full_is_made_up_for_by_the_next(firmware):
    with Session(firmware, BACKGROUND) as session:
        session.connect()
        session.board.run_background(1000)
        scheduler = session.board.scheduler

        def again(_):
            scheduler.schedule(again, None)

        for _ in range(session.board.profile.schedule_depth):
            scheduler.schedule(again, None)
        session.board.load("_wsboard").wake()
        scheduler.clear()
        session.server.accept().frame(wire.TEXT, "later")
        session.board.run_background(1000)
        assert session.messages == ["later"]


@each(BOARDS)
def test_lost_callbacks_only_delay(firmware):
    with Session(firmware, BACKGROUND) as session:
        session.connect()
        session.board.run_background(1000)
        peer = session.server.accept()
        for _ in range(session.board.profile.schedule_depth):
            session.board.interrupt(lambda _: None, None)
        peer.frame(wire.TEXT, "its callback is lost")
        session.board.clock.step(session.board.clock.now + 5)
        session.board.advance(2)
        peer.frame(wire.TEXT, "the next one is not", after_ms=500)
        session.board.run_background(1000)
        assert session.messages == ["its callback is lost", "the next one is not"]


@each(BOARDS)
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, OSError, MemoryError, SystemExit])
def test_exception_in_a_handler_is_printed_and_the_client_goes_on(firmware, error):
    with Session(firmware, BACKGROUND) as session:

        def fail(ws, *content):
            if content in ((), ("fail", 1), (-6,)):
                raise error

        for event in ("connection", "receive", "close"):
            session.on(event, fail)
        session.connect()
        session.board.run_background(1000)
        peer = session.server.accept()
        for message in ("one", "fail", "two"):
            peer.frame(wire.TEXT, message)
        session.board.run_background(1000)
        assert session.messages == ["one", "fail", "two"]
        peer.close_frame()
        peer.close(after_ms=500)
        session.board.run_background(1000)
        assert session.statuses == [-6]
        assert [type(one) for one in session.board.printed] == [error] * 3
        assert not running(session) and not session.board.open_sockets()
        session.connect()
        session.board.run_background(1000)
        assert session.ws.connected


@each(BOARDS)
def test_background_during_a_blocked_send_touches_nothing(firmware):
    with Session(firmware, BACKGROUND) as session:
        session.connect()
        session.board.run_background(1000)
        peer = session.peer = session.server.accept()
        peer.stop_reading()
        session.board.clock.after(3000, peer.resume_reading)
        for when in range(10):
            peer.frame(wire.TEXT, f"{when}", after_ms=when * 100)
            peer.frame(wire.PING, f"{when}")
        session.ws.send(b"x" * 20000)
        assert session.board.clock.now >= 3000
        sent = session.board.clock.now
        session.board.run_background(1000)
        assert session.messages == [str(when) for when in range(10)]
        assert min(session.times[1:]) >= sent, "while send() waits, no handler runs"
        frames = session.frames()
        assert frames[0] == (wire.BINARY, b"x" * 20000)
        assert {opcode for opcode, _ in frames[1:]} == {wire.PONG}


@each(BOARDS)
@pytest.mark.parametrize("event", ["connection", "receive"])
def test_background_during_a_handler_runs_no_other(firmware, event):
    with Session(firmware, BACKGROUND) as session:
        depth, deepest = [0], [0]

        def slow(ws, *content):
            depth[0] += 1
            deepest[0] = max(deepest[0], depth[0])
            session.board.load("utime").sleep_ms(500)
            depth[0] -= 1

        session.on("receive", slow)
        session.on(event, slow)
        session.connect()
        session.board.run_background(1000)
        peer = session.server.accept()
        for when in range(10):
            peer.frame(wire.TEXT, f"{when}", after_ms=when * 20)
        session.board.run_background(8000)
        assert len(session.messages) == 10 and deepest == [1]


@each(BOARDS)
def test_program_may_poll_as_well(firmware):
    with Session(firmware, BACKGROUND) as session:
        session.open()
        for when in range(20):
            session.peer.frame(wire.TEXT, f"{when}", after_ms=when * 77)
        for _ in range(20):
            session.ws.poll(100)
        assert session.messages == [str(when) for when in range(20)]
        session.ws.close()
        session.board.advance(50)
        session.peer.close()
        for _ in range(100):
            session.ws.poll(10)
        assert session.statuses == [0]
        session.board.run_background(200)
        assert not running(session)


@each(BOARDS)
def test_several_clients_share_one_timer_until_the_last_is_closed(firmware):
    with Session(firmware, BACKGROUND) as session:
        timed = firmware[0] == "esp32"
        others = [session.client(BACKGROUND) for _ in range(3)]
        for ws in (session.ws, *others):
            ws.connect(URL)
        session.board.run_background(1000)
        assert session.events == [("connection",)] * 4
        assert len(running(session)) == timed
        for count, peer in enumerate(session.server.peers):
            peer.frame(wire.TEXT, f"{count}")
        session.board.run_background(500)
        assert sorted(session.messages) == ["0", "1", "2", "3"]
        for peer in session.server.peers[:3]:
            peer.close_frame()
            peer.close(after_ms=200)
        session.board.run_background(1000)
        assert session.statuses == [-6] * 3 and len(running(session)) == timed
        session.server.peers[3].frame(wire.TEXT, "still here")
        session.board.run_background(500)
        assert session.messages[-1] == "still here"
        session.server.peers[3].close_frame()
        session.server.peers[3].close(after_ms=200)
        session.board.run_background(1000)
        assert len(session.statuses) == 4 and not running(session)


@pytest.mark.parametrize("firmware", LATEST, ids=str)
@pytest.mark.parametrize("periods", [(100, 30), (30, 100)])
def test_clients_of_two_periods_share_the_shorter_one(firmware, periods):
    with Session(firmware, {"background": periods[0]}) as session:
        session.connect()
        second = session.client({"background": periods[1]})
        second.connect(URL)
        assert period_ms(session, 2) == 30
        session.board.run_background(1000)
        assert session.events == [("connection",)] * 2
        for peer in session.server.peers:
            peer.close_frame()
            peer.close(after_ms=200)
        session.board.run_background(1000)
        gc.collect()
        assert session.statuses == [-6, -6] and not running(session)
        session.board.run_background(1000)


@each(BOARDS)
def test_connect_in_the_close_handler_keeps_the_background(firmware):
    with Session(firmware, BACKGROUND) as session:
        session.on("close", lambda ws, status: ws.connect(URL))
        session.connect()
        for count in range(5):
            session.board.run_background(1000)
            assert session.events.count(("connection",)) == count + 1
            session.server.accept().close_frame()
            session.server.peers[-1].close(after_ms=200)
        session.board.run_background(1000)
        assert session.ws.connected


@each(BOARDS)
def test_background_can_be_taken_from_a_client_between_two_connections(firmware):
    with Session(firmware, BACKGROUND) as session:
        session.open().reset()
        while session.ws.poll(100):
            session.board.advance(100)
        session.ws.config({"background": False})
        session.open()
        session.peer.frame(wire.TEXT, "for poll() only")
        session.board.run_background(1000)
        assert not session.messages and not running(session)
        session.poll(0)
        assert session.messages == ["for poll() only"]


@each(ESP32)
def test_soft_reset_ends_everything_on_the_esp32(firmware):
    with Session(firmware, BACKGROUND) as session:
        session.connect()
        session.board.run_background(1000)
        assert session.ws.connected
        session.board.soft_reset()
        assert not running(session) and not session.board.open_sockets()
        session.events.clear()
        session.ws = session.client(BACKGROUND)
        session.ws.connect(URL)
        session.board.run_background(1000)
        assert session.events == [("connection",)]


@each(ESP8266)
def test_soft_reset_is_safe_on_the_esp8266(firmware):
    with Session(firmware, BACKGROUND) as session:
        session.connect()
        session.board.run_background(1000)
        session.board.soft_reset()
        session.board.run_background(10000)
        session.events.clear()
        session.ws = session.client(BACKGROUND)
        session.ws.connect(URL)
        session.board.run_background(1000)
        assert session.events == [("connection",)]


def test_soft_reset_with_a_timer_on_the_esp8266_crashes_which_is_why_it_must_be_asked_for():
    with Session(("esp8266", (1, 28)), BACKGROUND | {"background": 50}) as session:
        session.connect()
        session.board.run_background(1000)
        session.board.soft_reset()
        with pytest.raises(fakes.BoardCrash):
            session.board.run_background(1000)
        session.board.forgive()


@each(ESP32)
def test_wifi_lost_is_told_by_itself(firmware):
    with Session(firmware, BACKGROUND) as session:
        session.connect()
        session.board.run_background(1000)
        session.board.wifi_lost()
        session.board.run_background(500)
        assert session.statuses == [-108]
        session.connect()
        session.board.run_background(500)
        assert session.statuses == [-108, -104] and not running(session)


@each(ESP8266)
def test_esp8266_socket_callback_reads_data_that_waits_since_before(firmware):
    """Data in the segment that follows the reply at once, before anybody looks."""
    with Session(firmware, BACKGROUND, upgrade=False) as session:
        session.connect()
        session.board.run_background(500)
        peer = session.server.accept()
        peer.upgrade(extra=wire.frame(wire.TEXT, b"with the reply"))
        peer.frame(wire.TEXT, "at once after it")
        session.board.run_background(500)
        assert session.messages == ["with the reply", "at once after it"]


@each(BOARDS)
def test_idle_background_costs_no_more_than_a_look(firmware):
    with Session(firmware, {"background": True, "ping_interval_ms": 0}) as session:
        session.connect()
        session.board.run_background(1000)
        reads, polls = session.board.calls["read"], session.board.calls["poll"]
        session.board.run_background(10000)
        assert session.board.calls["read"] == reads
        assert session.board.calls["poll"] - polls <= (200 if firmware[0] == "esp32" else 0)


@each(BOARDS)
def test_handlers_that_move_other_clients_disturb_none(firmware):
    with Session(firmware, BACKGROUND) as session:
        others = [session.client(BACKGROUND) for _ in range(3)]

        def move(ws, status):
            for other in others:
                if not other.connected:
                    other.config({"background": True})
                    other.connect(URL)

        session.on("close", move)
        for ws in (*others, session.ws):
            ws.connect(URL)
        session.board.run_background(1000)
        for peer in session.server.peers:
            peer.close_frame()
            peer.close(after_ms=300)
        session.board.run_background(2000)
        assert session.statuses == [-6] * 4
        assert [ws.connected for ws in (*others, session.ws)] == [True] * 3 + [False]
        for peer in session.server.peers[4:]:
            peer.frame(wire.TEXT, "hello")
        session.board.run_background(500)
        assert session.messages == ["hello"] * 3
        assert not session.board.printed


@each(BOARDS)
def test_background_asks_only_once_while_a_module_is_loaded(firmware):
    """It would else be scheduled again at each jump of the module's code, and Ctrl-C always meet it there."""
    with Session(firmware, BACKGROUND) as session:
        session.connect()
        session.board.run_background(1000)
        assert session.ws.connected
        client = session.board.load("uwebsocket_client")
        client._loading = "_wsconfig"
        before = session.board.calls["schedule"]
        session.peer = session.server.peers[-1]
        session.peer.frame(wire.TEXT, "meanwhile")
        session.board.run_background(500)
        assert session.board.calls["schedule"] - before <= 30
        assert not session.messages
        client._loading = None
        session.board.run_background(500)
        session.poll(0)
        assert session.messages == ["meanwhile"]
