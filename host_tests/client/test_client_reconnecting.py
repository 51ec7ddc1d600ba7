"""reconnect: when the client connects again by itself, how long it waits, and what ends it."""

import itertools

import pytest

from servers import wire
from support.client_session import FIRMWARE, HOST, PORT, URL, Session, each

OPTIONS = {"reconnect": True, "reconnect_min_ms": 1000, "reconnect_max_ms": 8000, "close_timeout_ms": 500}
BOARDS = [one for one in FIRMWARE if one[0] == "esp32"]


def attempts(session, number, timeout_ms=600000):
    """Poll until "close" was told so often; return how long it took from each to the next, in ms."""
    session.until(lambda: len(session.statuses) >= number, timeout_ms)
    told = [when for when, event in zip(session.times, session.events, strict=True) if event[0] == "close"]
    return [after - before for before, after in zip(told, told[1:], strict=False)]


@each(FIRMWARE)
def test_lost_connection_is_told_and_comes_back(firmware):
    with Session(firmware, OPTIONS) as session:
        session.open().reset()
        session.until(lambda: session.statuses)
        lost = session.times[-1]
        assert not session.ws.connected and session.poll() is True
        session.until(lambda: session.ws.connected)
        assert session.events == [("connection",), ("close", -109), ("connection",)]
        assert 1000 <= session.times[-1] - lost <= 2100
        session.server.peers[1].frame(wire.TEXT, "again")
        session.until(lambda: session.messages)
        session.ws.send("works")
        assert session.frames(session.server.peers[1]) == [(wire.TEXT, b"works")]


# What the server does to a connection -> the status after which the client comes back
ENDINGS = {
    "Close frame": (lambda peer: (peer.close_frame(), peer.close(after_ms=20)), -6),
    "FIN": (lambda peer: peer.close(), -99),
    "RST": (lambda peer: peer.reset(), -109),
    "broken rule": (lambda peer: (peer.send(b"\xff\xff"), peer.close(after_ms=20)), -202),
    "silence": (lambda peer: peer.vanish(), -19),
}


@each()
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_by_the_server_leads_to_a_new_attempt(firmware, ending):
    end, status = ENDINGS[ending]
    with Session(firmware, OPTIONS | {"ping_interval_ms": 1000}) as session:
        end(session.open())
        session.until(lambda: session.statuses == [status], 20000)
        session.until(lambda: session.ws.connected)


@each()
@pytest.mark.parametrize(
    ("refusal", "status"), [("port", -111), ("404", -17), ("no upgrade", -7), ("dns", -5), ("silent", -18)]
)
def test_every_failed_attempt_leads_to_the_next(firmware, refusal, status):
    with Session(firmware, OPTIONS | {"connect_timeout_ms": 2000}, upgrade=False) as session:
        url = URL
        if refusal == "port":
            session.board.refuse(HOST, PORT)
        elif refusal == "dns":
            url = "ws://nowhere.example/"
        elif refusal != "silent":
            answer = b"HTTP/1.1 404 No\r\n\r\n" if refusal == "404" else b"HTTP/1.1 101 OK\r\n\r\n"

            def refuse(peer):
                if peer.received().endswith(b"\r\n\r\n"):
                    peer.send(answer)

            session.board.listen(HOST, PORT, on_connect=lambda peer: setattr(peer, "on_data", refuse))
        session.connect(url)
        attempts(session, 3)
        assert session.statuses == [status] * 3
        session.board.hosts["nowhere.example"] = HOST
        session.board.listen(HOST, PORT, upgrade=True)
        session.until(lambda: session.ws.connected, 20000)
        assert session.statuses == [status] * 3


@each()
@pytest.mark.parametrize(("url", "status"), [
    ("http://10.0.0.2/", -1), ("ws://" + "a" * 257, -2), ("ws://10.0.0.2:0/", -3), ("ws:///", -4),
])  # fmt: skip
def test_bad_url_is_not_tried_again(firmware, url, status):
    with Session(firmware, OPTIONS) as session:
        session.connect(url)
        assert session.finish() == status


@each(FIRMWARE)
def test_pauses_grow_to_the_maximum_with_jitter(firmware):
    paused = set()
    for seed in range(3):
        with Session(firmware, OPTIONS, seed=seed) as session:
            session.board.refuse(HOST, PORT)
            session.connect()
            pauses = attempts(session, 12)
            assert all(1000 <= pause <= min(2000 << turn, 8000) + 50 for turn, pause in enumerate(pauses)), pauses
            assert max(pauses[3:]) > 4000
            paused.add(tuple(pauses))
    assert len(paused) == 3, "without jitter all clients of a server come back at once"


@each(FIRMWARE)
def test_connection_that_stood_for_the_maximum_begins_anew(firmware):
    with Session(firmware, OPTIONS | {"ping_interval_ms": 0}) as session:
        session.board.refuse(HOST, PORT)
        session.connect()
        attempts(session, 10)
        session.server = session.board.listen(HOST, PORT, upgrade=True)
        session.until(lambda: session.ws.connected, 20000)
        session.idle(8100)
        session.server.peers[-1].reset()
        session.until(lambda: session.statuses[-1] == -109)
        lost = session.times[-1]
        session.until(lambda: session.ws.connected)
        assert session.times[-1] - lost <= 2100


@each(FIRMWARE)
def test_connection_that_broke_soon_does_not_begin_anew(firmware):
    with Session(firmware, OPTIONS | {"reconnect_max_ms": 60000}) as session:
        pauses = []
        session.connect()
        for turn in range(8):
            session.until(lambda: session.ws.connected, 100000)
            session.server.peers[-1].reset()
            session.until(lambda turn=turn: len(session.statuses) == turn + 1)
            pauses.append(session.times[-1] - session.times[-2])
        gaps = [after - before for before, after in zip(session.times[1::2], session.times[2::2], strict=False)]
        assert max(gaps[4:]) > 5000, "a server that throws everybody out is not hammered"


@each(FIRMWARE)
@pytest.mark.parametrize("state", ["waiting", "opening again", "open again", "not told yet"])
def test_close_ends_reconnecting(firmware, state):
    with Session(firmware, OPTIONS) as session:
        peer = session.open()
        peer.reset()
        if state == "not told yet":
            session.board.advance(100)
            with pytest.raises(OSError):
                session.ws.send("x")
        else:
            session.until(lambda: session.statuses)
        if state == "opening again":
            session.until(lambda: len(session.board.open_sockets()))
        elif state == "open again":
            session.until(lambda: session.ws.connected)
        session.ws.close()
        session.until(lambda: not session.poll())
        expected = {"waiting": [-109], "not told yet": [0]}.get(state, [-109, 0])
        assert session.statuses == expected
        session.idle(60000)
        assert session.statuses == expected and not session.board.open_sockets()


@each(FIRMWARE)
def test_connect_takes_the_place_of_a_waiting_attempt(firmware):
    with Session(firmware, OPTIONS) as session:
        other = session.board.listen("10.0.0.9", 81, upgrade=True)
        session.open().reset()
        session.until(lambda: session.statuses)
        session.connect("ws://10.0.0.9:81/other")
        session.until(lambda: session.ws.connected)
        assert other.accept().request().target == "/other"
        session.idle(30000)
        assert len(session.server.peers) == 1 and session.statuses == [-109]


@each(FIRMWARE)
def test_close_in_the_close_handler_ends_reconnecting(firmware):
    with Session(firmware, OPTIONS) as session:
        session.on("close", lambda ws, status: ws.close())
        session.open().reset()
        session.until(lambda: not session.poll())
        session.idle(60000)
        assert session.events == [("connection",), ("close", -109)]


@each(FIRMWARE)
def test_name_is_looked_up_again_only_after_its_address_failed(firmware):
    with Session(firmware, OPTIONS) as session:
        session.board.hosts["server.example"] = HOST
        session.open("ws://server.example/").reset()
        session.until(lambda: session.statuses)
        session.until(lambda: session.ws.connected)
        assert session.board.calls["getaddrinfo"] == 1
        session.board.refuse(HOST, PORT)
        session.board.hosts["server.example"] = "10.0.0.9"
        session.board.listen("10.0.0.9", PORT, upgrade=True)
        session.server.peers[-1].reset()
        session.until(lambda: len(session.statuses) == 3)
        session.until(lambda: session.ws.connected)
        assert session.statuses == [-109, -109, -111]


@each(FIRMWARE)
def test_poll_while_waiting_takes_as_long_as_asked_and_sleeps(firmware):
    with Session(firmware, OPTIONS | {"reconnect_min_ms": 7000}) as session:
        session.open().reset()
        session.until(lambda: session.statuses)
        began = session.board.clock.now
        calls = sum(session.board.calls.values())
        assert session.poll(5000) is True
        assert session.board.clock.now - began == 5000
        assert sum(session.board.calls.values()) - calls < 50


@each(BOARDS)
def test_wifi_lost_costs_no_attempt_until_it_is_back(firmware):
    with Session(firmware, OPTIONS) as session:
        session.open()
        session.board.wifi_lost()
        session.until(lambda: session.statuses)
        session.idle(60000)
        attempts, names = session.board.calls["connect"], session.board.calls["getaddrinfo"]
        session.idle(60000)
        assert (session.board.calls["connect"], session.board.calls["getaddrinfo"]) == (attempts, names)
        session.board.wifi_back()
        session.until(lambda: session.ws.connected)
        assert session.statuses == [-108]


@each(BOARDS)
def test_esp32_comes_back_in_the_background(firmware):
    with Session(firmware, OPTIONS | {"background": True}) as session:
        session.connect()
        for turn in range(4):
            session.board.run_background(9000)
            assert session.ws.connected and len(session.statuses) == turn
            session.server.peers[-1].reset()
        session.board.run_background(9000)
        session.ws.close()
        session.board.run_background(2000)
        assert session.statuses == [-109] * 4 + [0]
        assert not any(timer.running for timer in session.board.timers) and not session.board.open_sockets()


@each(BOARDS)
def test_background_is_idle_while_an_attempt_waits(firmware):
    with Session(firmware, OPTIONS | {"background": 50, "reconnect_min_ms": 8000}) as session:
        session.connect()
        session.board.run_background(1000)
        session.server.peers[-1].reset()
        session.board.run_background(200)
        assert session.statuses == [-109]
        before = session.board.calls["schedule"]
        session.ws.poll(3000)  # the timer's callbacks find the client busy
        session.board.run_background(3000)
        assert session.board.calls["schedule"] - before <= 130


@each()
def test_options_of_the_next_attempt_are_those_that_it_began_with(firmware):
    with Session(firmware, OPTIONS | {"headers": {"X-Token": "for this server"}}) as session:
        session.open().reset()
        session.until(lambda: session.statuses)
        session.ws.config({"headers": {"X-Token": "for another"}})
        session.until(lambda: session.ws.connected)
        assert session.server.peers[1].request().header("X-Token") == "for this server"


@each()
def test_headers_function_that_fails_once_does_not_end_reconnecting(firmware):
    with Session(firmware, OPTIONS) as session:
        answers = iter([{}, None, {"X-Token": "third"}])

        def headers():
            answer = next(answers)
            if answer is None:
                raise ZeroDivisionError
            return answer

        session.ws.config({"headers": headers})
        session.open().reset()
        with pytest.raises(ZeroDivisionError):
            session.idle(5000)
        session.until(lambda: session.ws.connected)
        assert session.server.peers[-1].request().header("X-Token") == "third"
        assert session.statuses == [-109, -199]


@each([firmware for firmware in FIRMWARE if firmware[0] == "unix"])  # the DNS of boards tells one address
@pytest.mark.parametrize("failures", [1, 2, 28, 29, 40])
def test_next_address_is_tried_after_any_number_of_failures(firmware, failures):
    with Session(firmware, OPTIONS | {"reconnect_min_ms": 10, "reconnect_max_ms": 20}, upgrade=False) as session:
        session.board.hosts["two.test"] = ["10.0.0.7", "10.0.0.8"]
        asked = []

        def refuses(address):
            def connected(peer):
                asked.append(address)
                peer.send(b"HTTP/1.1 503 Busy\r\n\r\n", after_ms=5)

            session.board.listen(address, PORT, on_connect=connected)

        for address in session.board.hosts["two.test"]:
            refuses(address)
        session.connect(f"ws://two.test:{PORT}/")
        session.until(lambda: len(session.statuses) > failures, 600000)
        assert len(asked) > failures and set(session.statuses) == {-17}
        assert all(one != other for one, other in itertools.pairwise(asked))
