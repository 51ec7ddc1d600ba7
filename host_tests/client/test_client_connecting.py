"""connect() on every port: what comes of it, when, and what the attributes say then."""

import pytest

from servers import wire
from support.client_session import FIRMWARE, HOST, NEWEST, PORT, URL, Session, each

OTHER = "10.0.0.3"
# An OS error's name -> the status that it leads to once the server has been heard (docs/statuses.md)
ERRNO_STATUSES = {
    "ENOMEM": -101, "ENOBUFS": -101, "ETIMEDOUT": -103, "EHOSTUNREACH": -104, "ECONNABORTED": -108,
    "ECONNRESET": -109, "ECONNREFUSED": -111, "ENFILE": -199, "EIO": -199, "ENOTCONN": -199,
}  # fmt: skip
KERNEL_STATUSES = {"ENETUNREACH": -104, "EPIPE": -109}  # which lwIP never raises
ERRORS = [
    pytest.param(firmware, name, status, id=f"{firmware[0]}-{name}")
    for firmware in NEWEST
    for name, status in (ERRNO_STATUSES | (KERNEL_STATUSES if firmware[0] == "unix" else {})).items()
]


def attributes(ws):
    return ws.connected, ws.protocol, ws.close_code, ws.close_reason, ws.http_status, ws.errno


UNTOLD = (False, None, 1006, "", None, None)


@each(FIRMWARE)
@pytest.mark.parametrize("latency_ms", [0, 5, 300])
def test_connect_to_a_good_server_tells_connection(firmware, latency_ms):
    with Session(firmware, {"protocols": ["chat", "mqtt"]}, upgrade=False, latency_ms=latency_ms) as session:
        assert attributes(session.ws) == UNTOLD
        session.connect(f"ws://user:p%40ss@{HOST}/path?q=1#part")
        session.until(lambda: session.server.peers and b"\r\n\r\n" in session.server.peers[0].received())
        peer = session.server.accept()
        assert not session.events and not session.ws.connected
        request = peer.upgrade([("Sec-WebSocket-Protocol", "mqtt")])
        session.until(lambda: session.ws.connected)
        assert (request.method, request.target) == ("GET", "/path?q=1")
        assert request.header("Authorization") == "Basic dXNlcjpwQHNz"
        assert session.events == [("connection",)]
        assert attributes(session.ws) == (True, "mqtt", 1006, "", None, None)
        assert session.poll() is True


@each(FIRMWARE)
def test_request_goes_out_in_one_segment(firmware):
    with Session(firmware) as session:
        peer = session.open()
        assert [size for _, size in peer.segments] == [len(peer.received())]


@each(FIRMWARE)
@pytest.mark.parametrize("connecting", ["to no listener", "reset after the request"])
def test_connect_refused_is_minus_111(firmware, connecting):
    with Session(firmware, upgrade=False) as session:
        if connecting == "to no listener":
            session.board.refuse(HOST, PORT)
        if connecting == "reset after the request":
            session.ask().reset()
        else:
            session.connect()
        assert session.finish() == -111
        refused = "ECONNREFUSED" if firmware[0] == "unix" and connecting == "to no listener" else "ECONNRESET"
        assert attributes(session.ws) == (False, None, 1006, "", None, session.number(refused))


@each(FIRMWARE)
def test_reset_after_the_first_byte_is_minus_109(firmware):
    with Session(firmware, upgrade=False) as session:
        peer = session.ask()
        peer.send(b"HTTP/1.1 101 Swi")
        peer.reset(after_ms=100)
        assert session.finish() == -109
        assert attributes(session.ws) == (False, None, 1006, "", None, session.number("ECONNRESET"))


@each(FIRMWARE)
@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 101 Switching Protocols\r\nUpg"], ids=["none", "half"])
def test_fin_before_the_end_of_the_reply_is_minus_99(firmware, reply):
    with Session(firmware, upgrade=False) as session:
        peer = session.ask()
        peer.send(reply)
        peer.fin(after_ms=20)
        assert session.finish() == -99
        assert attributes(session.ws) == UNTOLD


@each(FIRMWARE)
def test_connect_without_a_link_is_minus_104_at_once(firmware):
    with Session(firmware) as session:
        session.board.wifi_lost()
        session.board.advance(100)
        session.connect("ws://server.example/" if session.board.profile.network else URL)
        assert session.finish() == -104
        assert session.board.clock.now <= 300
        if session.board.profile.network:
            assert not session.board.calls["getaddrinfo"], "the look-up blocks for seconds without a link"


@each([one for one in FIRMWARE if one[0] != "unix"])
def test_connect_while_the_station_has_not_noticed_the_loss_is_minus_104(firmware):
    with Session(firmware) as session:
        session.board.wifi_lost()
        session.board.station_connected = True
        session.connect()
        assert session.finish() == -104
        assert session.ws.errno == session.number("EHOSTUNREACH")


# connect_timeout_ms -> port -> (status, when it is told)
SILENCE = {
    10000: {"esp8266": (-108, 6000), "esp32": (-18, 10000), "unix": (-18, 10000)},
    30000: {"esp8266": (-108, 6000), "esp32": (-108, 18000), "unix": (-18, 30000)},
    200000: {"esp8266": (-108, 6000), "esp32": (-108, 18000), "unix": (-103, 127000)},
}


@each(FIRMWARE)
@pytest.mark.parametrize("timeout_ms", SILENCE)
def test_connect_to_a_silent_host_ends_in_time(firmware, timeout_ms):
    with Session(firmware, {"connect_timeout_ms": timeout_ms}) as session:
        session.board.blackhole(HOST, PORT)
        session.connect()
        assert (session.finish(), session.ended_ms) == SILENCE[timeout_ms][firmware[0]]


@each(FIRMWARE)
@pytest.mark.parametrize("reply", ["none", "half", "drips", "reply without an end"])
def test_connect_to_a_server_that_does_not_answer_is_minus_18_in_time(firmware, reply):
    with Session(firmware, {"connect_timeout_ms": 4000}, upgrade=False) as session:
        peer = session.ask()
        if reply == "half":
            peer.send(b"HTTP/1.1 101 Sw")
        elif reply == "drips":
            for place in range(1000):
                peer.send(b"HTTP/1.1 101 OK\r\nX: "[place : place + 1] or b"x", after_ms=7 * place)
        elif reply == "reply without an end":
            peer.send(b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        assert (session.finish(), session.ended_ms) == (-18, 4000)
        assert attributes(session.ws) == UNTOLD


@each(FIRMWARE)
def test_refusal_that_does_not_end_keeps_its_words(firmware):
    with Session(firmware, {"connect_timeout_ms": 2000}, upgrade=False) as session:
        session.on("header")
        session.ask().send(b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\n")
        assert (session.finish(), session.ws.http_status, session.ws.error) == (-17, 503, "HTTP/1.1 503 Busy")


@each(FIRMWARE)
def test_reply_byte_by_byte_opens_the_connection(firmware):
    with Session(firmware, upgrade=False, latency_ms=0) as session:
        peer = session.ask()
        accept = wire.accept_value(peer.request().header("Sec-WebSocket-Key"))
        reply = f"HTTP/1.1 101 OK\r\nupgrade: WebSocket\r\nCONNECTION: x, Upgrade\r\nSec-WebSocket-Accept: {accept}"
        for byte in reply.encode() + b"\r\n\r\n" + wire.frame(wire.TEXT, b"early"):
            assert not session.messages
            peer.send(bytes((byte,)))
            session.idle(2)
        assert session.events == [("connection",), ("receive", "early", 1)]


@each(FIRMWARE)
def test_frames_in_the_segment_of_the_reply_are_delivered(firmware):
    with Session(firmware, upgrade=False) as session:
        session.connect()
        session.until(lambda: session.server.peers and session.server.peers[0].received())
        early = wire.frame(wire.TEXT, b"early") + wire.frame(wire.CLOSE, wire.close_payload(1001, "bye"))
        peer = session.server.accept()
        peer.upgrade(extra=early)
        peer.fin()
        assert session.finish() == -6
        assert session.events == [("connection",), ("receive", "early", 1), ("close", -6)]
        assert attributes(session.ws) == (False, None, 1001, "bye", None, None)


@each()
@pytest.mark.parametrize(("reply", "status", "http_status"), [
    ("HTTP/1.1 404 Not Found", -17, 404),
    ("HTTP/1.1 101 OK\r\nUpgrade: nothing", -7, None),
    ("SSH-2.0-OpenSSH", -7, None),
], ids=["404", "no upgrade", "no http"])  # fmt: skip
def test_connect_to_a_server_that_refuses_the_upgrade_tells_its_answer(firmware, reply, status, http_status):
    with Session(firmware, upgrade=False) as session:
        session.ask().send(reply.encode() + b"\r\n\r\n")
        assert session.finish() == status
        assert attributes(session.ws) == (False, None, 1006, "", http_status, None)


@each()
@pytest.mark.parametrize(("host", "most_ms"), [
    ("nowhere.example", 100), ("silent.example", 11000), ("nowhere.local", 13000),
])  # fmt: skip
def test_connect_to_a_name_that_dns_does_not_know_is_minus_5(firmware, host, most_ms):
    with Session(firmware) as session:
        session.board.hosts["silent.example"] = None
        session.connect(f"ws://{host}/")
        assert not session.events
        assert session.finish() == -5
        assert session.ended_ms <= most_ms
        assert not session.board.calls["connect"]
        assert host in session.ws.error


@each(FIRMWARE)
def test_connect_to_a_name_looks_it_up_once(firmware):
    with Session(firmware) as session:
        session.board.hosts["server.example"] = HOST
        peer = session.open("ws://server.example/")
        assert peer.request().header("Host") == "server.example"
        assert session.board.calls["getaddrinfo"] == 1


@each()
def test_connect_to_an_ipv6_address_needs_a_port_that_has_it(firmware):
    with Session(firmware) as session:
        session.server = session.board.listen("::1", 8080, upgrade=True)
        if session.board.profile.ipv6:
            peer = session.open("ws://[::1]:8080/")
            assert peer.request().header("Host") == "[::1]:8080"
        else:
            session.connect("ws://[::1]:8080/")
            assert session.finish() == -5


@pytest.mark.parametrize(("second", "expected"), [("listens", None), ("refuses", -111)])
def test_connect_to_a_host_of_two_addresses_tries_both(second, expected):
    with Session(("unix", (1, 28))) as session:
        session.board.hosts["server.example"] = [OTHER, HOST]
        session.board.refuse(OTHER, PORT)
        if second == "refuses":
            session.board.refuse(HOST, PORT)
        session.connect("ws://server.example/")
        if expected:
            assert session.finish() == expected
        else:
            session.until(lambda: session.ws.connected)
        assert len(session.board.sockets) == 2
        assert len(session.board.open_sockets()) == (0 if expected else 1)


@pytest.mark.parametrize(("firmware", "name", "status"), ERRORS)
@pytest.mark.parametrize("call", ["socket", "connect"])
def test_os_error_before_the_server_was_heard_leads_to_its_status(firmware, call, name, status):
    with Session(firmware) as session:
        session.board.fail(call, name)
        session.connect()
        assert not session.events, "connect() only queues the event"
        assert session.finish() == (-111 if status == -109 else status)
        assert session.ws.errno == session.number(name)


@pytest.mark.parametrize(("firmware", "name", "status"), ERRORS)
@pytest.mark.parametrize("call", ["read", "write"])
def test_os_error_of_an_open_connection_leads_to_its_status(firmware, call, name, status):
    with Session(firmware) as session:
        peer = session.open()
        began = session.board.clock.now
        session.board.fail(call, name)
        if call == "read":
            peer.frame(wire.TEXT, "lost")
        else:
            with pytest.raises(OSError) as caught:
                session.ws.send("lost")
            assert caught.value.errno == session.number("ENOTCONN")
            assert not session.ws.connected
        assert session.finish() == status
        assert session.ended_ms - began < 20
        assert session.ws.errno == session.number(name)
        assert session.ws.close_code == 1006


def test_connect_beyond_the_sockets_of_the_esp32_is_minus_199_and_harms_no_other_client():
    with Session(("esp32", (1, 28))) as session:
        clients = [session.client() for _ in range(10)]
        for ws in clients:
            ws.connect(URL)
            session.board.poll_until(ws, lambda ws=ws: ws.connected)
        session.events.clear()
        session.connect()
        session.until(lambda: session.statuses)
        assert session.statuses == [-199] and session.ws.errno == 23
        assert all(ws.connected and ws.poll() for ws in clients)
        clients[0].close()
        session.board.poll_until(clients[0], lambda: len(session.server.peers[0].frames()))
        session.server.peers[0].close_frame()
        session.server.peers[0].close()
        session.board.poll_until(clients[0], lambda: not clients[0].poll())
        session.open()


@each()
@pytest.mark.parametrize("state", ["opening", "open", "closing"])
def test_connect_again_is_ealready_and_changes_nothing(firmware, state):
    with Session(firmware) as session:
        session.connect()
        if state != "opening":
            session.until(lambda: session.ws.connected)
        if state == "closing":
            session.ws.close()
        with pytest.raises(OSError) as caught:
            session.ws.connect(URL)
        assert caught.value.errno == session.number("EALREADY")
        with pytest.raises(TypeError):
            session.ws.connect(b"ws://10.0.0.2/")
        session.until(lambda: ("connection",) in session.events)
        assert len(session.server.peers) == 1


@each()
@pytest.mark.parametrize(("url", "status"), [
    ("http://10.0.0.2/", -1), ("ws://" + "a" * 257, -2), ("ws://10.0.0.2:0/", -3), ("ws:///", -4),
])  # fmt: skip
def test_connect_with_a_bad_url_only_queues_the_close(firmware, url, status):
    with Session(firmware) as session:
        session.connect(url)
        assert not session.events and not session.ws.connected
        assert session.finish() == status
        assert session.ended_ms == 0 and not session.board.calls["socket"]


@each(FIRMWARE)
def test_attributes_of_the_last_connection_stay_until_the_next_connect(firmware):
    with Session(firmware, {"protocols": ["chat"]}, upgrade=False) as session:
        peer = session.ask()
        peer.upgrade([("Sec-WebSocket-Protocol", "chat")])
        session.until(lambda: session.ws.connected)
        peer.close_frame(4000, "grund: \u00fc")
        peer.close()
        assert session.finish() == -6
        assert attributes(session.ws) == (False, "chat", 4000, "grund: \u00fc", None, None)
        session.connect()
        assert attributes(session.ws) == UNTOLD


@each(FIRMWARE)
def test_wrap_of_the_ticks_while_connecting_changes_nothing(firmware):
    with Session(firmware, {"connect_timeout_ms": 2000}, upgrade=False, ticks_start=(1 << 30) - 1000) as session:
        session.connect()
        assert (session.finish(), session.ended_ms) == (-18, 2000)


@each(FIRMWARE)
def test_nodelay_is_set_where_the_port_has_it_and_survives_it(firmware):
    with Session(firmware) as session:
        session.open()
        connection = session.board.open_sockets()[0].connection
        profile = session.board.profile
        assert connection.nodelay == (profile.nodelay is not None and profile.full_queue != "ENOMEM")
