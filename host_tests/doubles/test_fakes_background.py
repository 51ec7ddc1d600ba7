"""Timers, scheduled callbacks and socket callbacks of the fake boards.

The facts are in docs/ports.md, Socket callbacks; docs/ports.md, Timers, scheduling, resets.
"""

import pytest

import fakes


@pytest.mark.parametrize("port, depth", [("esp8266", 4), ("esp32", 8), ("unix", 4)])
def test_schedule_beyond_the_queue_raises(port, depth):
    with fakes.board(port) as board:
        micropython = board.load("micropython")
        ran = []

        def fill(_):
            for number in range(20):
                micropython.schedule(ran.append, number)

        micropython.schedule(fill, None)
        board.advance(1)
        assert ran == list(range(depth))
        assert [type(error) for error in board.printed] == [RuntimeError]


@pytest.mark.parametrize("port", fakes.PORTS)
def test_scheduled_callback_runs_at_the_next_call_of_the_firmware(port):
    with fakes.board(port) as board:
        ran = []
        board.load("micropython").schedule(ran.append, 1)
        assert ran == []
        board.load("utime").ticks_ms()
        assert ran == [1]


def test_scheduled_callback_does_not_preempt_another():
    with fakes.board("esp32") as board:
        micropython, utime = board.load("micropython"), board.load("utime")
        order = []

        def outer(_):
            micropython.schedule(order.append, "inner")
            utime.sleep_ms(10)
            order.append("outer")

        micropython.schedule(outer, None)
        board.advance(20)
        assert order == ["outer", "inner"]


def test_scheduled_callback_that_raises_is_printed_and_the_next_runs():
    with fakes.board("esp8266") as board:
        ran = []

        def interrupted(_):
            raise KeyboardInterrupt

        for callback in (lambda _: 1 / 0, interrupted, ran.append):
            board.load("micropython").schedule(callback, None)
        board.advance(1)
        assert [type(error) for error in board.printed] == [ZeroDivisionError, KeyboardInterrupt]
        assert ran == [None]


@pytest.mark.parametrize(
    "version, argument, expected",
    [
        ((1, 23), 6, 2),
        ((1, 23), -1, 3),
        ((1, 26), 3, 3),
        ((1, 26), 4, ValueError),
        ((1, 26), -1, ValueError),
        ((1, 29), -1, "virtual"),
        ((1, 29), 4, ValueError),
    ],
    ids=repr,
)
def test_timer_id_on_the_esp32_depends_on_the_firmware(version, argument, expected):
    with fakes.board("esp32", version) as board:
        timer_class = board.load("machine").Timer
        if expected is ValueError:
            with pytest.raises(ValueError):
                timer_class(argument)
        elif expected == "virtual":
            assert timer_class(argument) is not timer_class(argument)
        else:
            assert timer_class(argument) is timer_class(expected)


@pytest.mark.parametrize("version, error", [((1, 26), TypeError), ((1, 29), ValueError)], ids=repr)
def test_timer_on_the_esp32_cannot_be_hard(version, error):
    with fakes.board("esp32", version) as board, pytest.raises(error):
        board.load("machine").Timer(0).init(hard=True, period=10, callback=print)


def test_timer_on_the_esp8266_takes_exactly_one_argument_whatever_it_is():
    with fakes.board("esp8266") as board:
        timer_class = board.load("machine").Timer
        assert timer_class(-1) is not timer_class(-1)
        for args, settings in (((), {}), ((1, 2), {}), ((1,), {"period": 5})):
            with pytest.raises(TypeError):
                timer_class(*args, **settings)


def test_timer_on_unix_is_absent():
    with fakes.board("unix") as board:
        assert not hasattr(board.load("machine"), "Timer")


@pytest.mark.parametrize("port", ["esp8266", "esp32"])
def test_timer_fires_in_poll_sleep_and_at_the_prompt_until_it_is_stopped(port):
    with fakes.board(port) as board:
        utime, uselect, machine = board.load("utime"), board.load("uselect"), board.load("machine")
        ran = []
        timer = machine.Timer(0)
        timer.init(mode=machine.Timer.PERIODIC, period=50, callback=lambda timer: ran.append(board.clock.now))
        uselect.poll().poll(100)
        utime.sleep_ms(100)
        board.run_background(100)
        timer.deinit()
        board.advance(500)
        assert ran == [50, 100, 150, 200, 250, 300]
        timer.init(mode=machine.Timer.ONE_SHOT, period=50, callback=lambda timer: ran.append(timer))
        board.advance(500)
        assert ran[6:] == [timer]


def test_timer_on_the_esp32_stops_at_a_soft_reset():
    with fakes.board("esp32") as board:
        ran = []
        timer = board.load("machine").Timer(0, period=50, callback=ran.append)
        board.soft_reset()
        board.advance(100)
        assert (ran, timer.running) == ([], False)


def test_timer_on_the_esp8266_that_runs_on_after_a_soft_reset_crashes_the_board():
    with pytest.raises(fakes.BoardCrash), fakes.board("esp8266") as board:
        timer = board.load("machine").Timer(0)
        timer.init(period=50, callback=print)
        board.soft_reset()
        board.advance(100)


def test_timer_on_the_esp8266_that_nothing_refers_to_crashes_the_board():
    with pytest.raises(fakes.BoardCrash), fakes.board("esp8266") as board:
        board.load("machine").Timer(0).init(period=50, callback=print)
        board.advance(100)


def test_timer_on_the_esp32_lives_without_a_reference():
    with fakes.board("esp32") as board:
        ran = []
        board.load("machine").Timer(0).init(mode=0, period=50, callback=ran.append)
        board.advance(100)
        assert len(ran) == 1


def test_dns_on_the_esp32_runs_no_callbacks_and_loses_those_beyond_the_queue():
    with fakes.board("esp32") as board:
        ran = []
        board.hosts["silent"] = None
        board.load("machine").Timer(0, period=50, callback=lambda timer: ran.append(board.clock.now))
        with pytest.raises(OSError):
            board.load("usocket").getaddrinfo("silent", 80)
        assert (ran, board.lost_callbacks) == ([], 7000 // 50 - 8)
        board.advance(1)
        assert ran == [7000] * 8


def test_dns_on_the_esp8266_runs_callbacks():
    with fakes.board("esp8266") as board:
        ran = []
        board.hosts["silent"] = None
        timer = board.load("machine").Timer(0)
        timer.init(period=1000, callback=lambda timer: ran.append(board.clock.now))
        with pytest.raises(OSError):
            board.load("usocket").getaddrinfo("silent", 80)
        assert ran == list(range(1000, 9001, 1000))


def test_socket_callback_on_the_esp8266_comes_for_each_segment_and_fin():
    with fakes.board("esp8266") as board:
        sock, peer = board.pair()
        ran = []
        sock.setsockopt(1, 20, lambda sock: ran.append(sock))
        peer.send(bytes(2000))
        peer.fin()
        board.advance(100)
        assert ran == [sock] * 3
        sock.setsockopt(1, 20, None)
        peer.reset()
        board.advance(100)
        assert len(ran) == 3


@pytest.mark.parametrize("event", ["connect", "reset", "vanish"])
def test_socket_callback_on_the_esp8266_tells_no_connect_reset_or_error(event):
    with fakes.board("esp8266") as board:
        server = board.listen("10.0.0.2", 80)
        sock = board.load("usocket").socket()
        ran = []
        sock.setsockopt(1, 20, ran.append)
        sock.connect(("10.0.0.2", 80))
        if event != "connect":
            getattr(server.accept(), event)()
        board.run_background(1000000)
        assert ran == []


def test_socket_callback_on_the_esp8266_is_lost_when_the_queue_is_full():
    with fakes.board("esp8266") as board:
        sock, peer = board.pair()
        ran = []
        sock.setsockopt(1, 20, ran.append)
        for _ in range(6):
            peer.send(b"x")
        board.wait(100, callbacks=False)
        board.advance(1)
        assert (len(ran), board.lost_callbacks) == (4, 2)
        assert sock.read(10) == b"x" * 6


@pytest.mark.parametrize("ending", ["send", "fin", "reset"])
def test_socket_callback_on_the_esp32_comes_again_and_again_while_idle(ending):
    with fakes.board("esp32") as board:
        sock, peer = board.pair()
        ran = []
        sock.setsockopt(1, 20, ran.append)
        getattr(peer, ending)(*([b"x"] if ending == "send" else []))
        board.advance(1000)
        board.load("uselect").poll().poll(1000)
        assert ran == []
        board.run_background(1000)
        assert 11 <= len(ran) <= 13
        board.load("utime").sleep_ms(1000)
        assert 22 <= len(ran) <= 26
        sock.close()
        board.run_background(1000)
        assert len(ran) <= 26


def test_socket_callback_on_the_esp32_stops_when_everything_is_read():
    with fakes.board("esp32") as board:
        sock, peer = board.pair()
        ran = []
        sock.setsockopt(1, 20, lambda sock: ran.append(sock.read(10)))
        peer.send(b"abc")
        board.run_background(1000)
        assert ran == [b"abc"]


def test_soft_reset_closes_all_sockets_and_forgets_callbacks():
    with fakes.board("esp32") as board:
        sock, peer = board.pair()
        ran = []
        sock.setsockopt(1, 20, ran.append)
        board.soft_reset()
        board.run_background(100)
        assert (ran, board.open_sockets()) == ([], [])
        assert peer.logged() == ["connected", "fin received"]
