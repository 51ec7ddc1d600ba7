"""The fake network: segments, Nagle, windows, how connections end, DNS and Wi-Fi, on each port."""

import pytest

import fakes
from servers import wire

HOST, PORT = "10.0.0.2", 80


def outcome(call, *args):
    try:
        return call(*args)
    except OSError as error:
        return f"error {error.errno}"


def set_nodelay(board, sock):
    sock.setsockopt(*board.profile.nodelay[:2], 1)


@pytest.mark.parametrize("port", fakes.PORTS)
def test_second_small_write_waits_for_the_delayed_ack(port):
    with fakes.board(port) as board:
        sock, peer = board.pair()
        begun = board.clock.now
        sock.write(b"a")
        sock.write(b"b")
        sock.write(b"c")
        board.advance(200)
        assert [(ms - begun, size) for ms, size in peer.segments] == [(5, 1), (5 + 40 + 5 + 5, 2)]


@pytest.mark.parametrize("port", fakes.PORTS)
def test_second_small_write_without_nagle_goes_out_at_once(port):
    with fakes.board(port) as board:
        sock, peer = board.pair()
        set_nodelay(board, sock)
        begun = board.clock.now
        sock.write(b"a")
        sock.write(b"b")
        board.advance(200)
        assert [(ms - begun, size) for ms, size in peer.segments] == [(5, 1), (5, 1)]


@pytest.mark.parametrize("port", fakes.PORTS)
def test_second_small_write_after_an_answer_goes_out_at_once(port):
    with fakes.board(port) as board:
        sock, peer = board.pair()
        peer.on_data = lambda peer: peer.send(b"answer")
        sock.write(b"a")
        board.advance(10)
        begun = board.clock.now
        sock.write(b"b")
        board.advance(10)
        assert [ms - begun for ms, _ in peer.segments] == [-5, 5]


def test_write_beyond_a_segment_with_nagle_waits_with_its_tail():
    with fakes.board("esp8266") as board:
        sock, peer = board.pair()
        begun = board.clock.now
        sock.write(bytes(2000))
        board.advance(200)
        assert [(ms - begun, size) for ms, size in peer.segments] == [(5, 1460), (55, 540)]


def test_write_before_1_23_on_the_esp8266_goes_out_by_a_slow_timer():
    with fakes.board("esp8266", (1, 22)) as board:
        assert not hasattr(board.load("usocket"), "TCP_NODELAY")
        sock, peer = board.pair()
        begun = board.clock.now
        sock.write(b"a")
        sock.write(b"b")
        board.advance(200)
        assert [(ms - begun, size) for ms, size in peer.segments] == [(130, 2)]


@pytest.mark.parametrize("port, expected", [("esp8266", (6, 0x40)), ("esp32", (6, 1)), ("unix", None)])
def test_nodelay_has_a_name_on_the_boards_only(port, expected):
    with fakes.board(port) as board:
        usocket = board.load("usocket")
        found = getattr(usocket, "IPPROTO_TCP", None), getattr(usocket, "TCP_NODELAY", None)
        assert found == (expected or (None, None))


def test_ninth_small_write_in_flight_on_the_esp8266_blocks_until_an_ack():
    with fakes.board("esp8266") as board:
        sock, peer = board.pair()
        set_nodelay(board, sock)
        begun = board.clock.now
        assert [sock.write(b"x") for _ in range(9)] == [1] * 9
        assert board.clock.now - begun == 50
        board.advance(200)
        assert peer.received() == b"x" * 9


def test_write_without_memory_on_the_esp8266_blocks_10_s_and_loses_the_data():
    with fakes.board("esp8266") as board:
        sock, peer = board.pair()
        board.memory_short(20000)
        begun = board.clock.now
        assert sock.write(b"lost") == 4
        assert board.clock.now - begun == 10000
        board.advance(20000)
        assert sock.write(b"sent") == 4
        board.advance(200)
        assert peer.received() == b"sent"


@pytest.mark.parametrize("port", ["esp32", "unix"])
def test_write_without_memory_elsewhere_is_none(port):
    with fakes.board(port) as board:
        sock, _ = board.pair()
        board.memory_short(1000)
        assert sock.write(b"x") is None
        board.advance(1001)
        assert sock.write(b"x") == 1


@pytest.mark.parametrize("port, window", [("esp8266", 5840), ("esp32", 5744)])
def test_data_beyond_the_window_comes_when_the_program_reads(port, window):
    with fakes.board(port) as board:
        sock, peer = board.pair()
        data = bytes(range(256)) * 64
        peer.send(data)
        board.advance(1000)
        found = bytearray(sock.read(20000))
        assert window - board.profile.mss < len(found) <= window
        for _ in range(20):
            found += sock.read(20000) or b""
            board.advance(100)
        assert found == data


@pytest.mark.parametrize("port", fakes.PORTS)
def test_bulk_in_both_directions_arrives_whole(port):
    with fakes.board(port) as board:
        sock, peer = board.pair()
        peer.on_data = lambda peer: peer.send(peer.received()[-peer.segments[-1][1] :])
        data = bytes(range(251)) * 200
        sent, found = 0, bytearray()
        for _ in range(2000):
            sent += sock.write(data, sent, len(data) - sent) or 0
            found += sock.read(5000) or b""
            board.advance(1)
            if len(found) == len(data):
                break
        assert found == data


@pytest.mark.parametrize("port", fakes.PORTS)
def test_close_after_everything_was_read_sends_the_data_and_then_fin(port):
    with fakes.board(port) as board:
        sock, peer = board.pair()
        sock.write(b"bye")
        sock.close()
        board.advance(100)
        assert peer.received() == b"bye"
        assert peer.logged() == ["connected", "fin received"]


@pytest.mark.parametrize("port", fakes.PORTS)
def test_close_with_unread_data_sends_a_reset_after_what_is_on_its_way(port):
    with fakes.board(port) as board:
        sock, peer = board.pair()
        peer.send(b"unread")
        board.advance(100)
        sock.write(b"on its way")
        sock.write(b"held back by Nagle")
        sock.close()
        board.advance(100)
        assert peer.received() == b"on its way"
        assert peer.logged() == ["connected", "rst received"]


@pytest.mark.parametrize("port", fakes.PORTS)
def test_data_that_comes_after_close_is_answered_by_a_reset(port):
    with fakes.board(port) as board:
        sock, peer = board.pair()
        sock.close()
        peer.send(b"late", after_ms=50)
        board.advance(100)
        assert peer.logged() == ["connected", "fin received", "rst received"]


@pytest.mark.parametrize("port", fakes.PORTS)
def test_close_while_connecting_leaves_no_connection(port):
    with fakes.board(port) as board:
        server = board.listen(HOST, PORT)
        usocket = board.load("usocket")
        sock = usocket.socket()
        sock.setblocking(False)
        outcome(sock.connect, usocket.getaddrinfo(HOST, PORT)[0][-1])
        sock.close()
        board.advance(100)
        assert server.accept().logged() == ["connected", "rst received"]


def test_close_that_the_peer_does_not_take_is_aborted_on_the_esp8266():
    with fakes.board("esp8266") as board:
        sock, peer = board.pair()
        peer.stop_reading()
        sock.write(b"stuck")
        sock.close()
        board.advance(4900)
        assert peer.logged() == ["connected"]
        board.advance(200)
        assert peer.logged() == ["connected", "rst received"]


@pytest.mark.parametrize("port", fakes.PORTS)
def test_peer_that_closes_first_is_logged_first(port):
    with fakes.board(port) as board:
        sock, peer = board.pair()
        peer.close()
        board.advance(10)
        sock.close()
        board.advance(10)
        assert peer.logged() == ["connected", "fin sent", "fin received"]


@pytest.mark.parametrize(
    "port, name, error, lasts",
    [
        ("esp8266", "unknown", -2, 20),
        ("esp8266", "silent", -2, 9000),
        ("esp32", "unknown", -202, 20),
        ("esp32", "silent", -202, 7000),
        ("esp32", "unknown.local", -202, 12000),
        ("unix", "unknown", "[addrinfo error -2]", 20),
        ("unix", "silent", "[addrinfo error -2]", 10000),
    ],
)
def test_getaddrinfo_that_fails_raises_as_the_port_does(port, name, error, lasts):
    with fakes.board(port) as board:
        board.hosts["silent"] = None
        assert outcome(board.load("usocket").getaddrinfo, name, 80) == f"error {error}"
        assert board.clock.now == lasts


def test_getaddrinfo_without_a_link_on_the_esp32_takes_7_s():
    with fakes.board("esp32") as board:
        board.hosts["example.org"] = HOST
        board.wifi_lost()
        assert outcome(board.load("usocket").getaddrinfo, "example.org", 80) == "error -202"
        assert board.clock.now == 7000


@pytest.mark.parametrize("port, canonical", [("esp8266", ""), ("esp32", "example.org")])
def test_getaddrinfo_on_the_boards_gives_an_address_to_read(port, canonical):
    with fakes.board(port) as board:
        board.hosts["example.org"] = HOST
        found = board.load("usocket").getaddrinfo("example.org", 80, 0, 1)
        assert found == [(2, 1, 0, canonical, (HOST, 80))]


def test_getaddrinfo_on_unix_gives_an_opaque_address_for_each_type():
    with fakes.board("unix") as board:
        board.hosts["example.org"] = (HOST, "::1")
        found = board.load("usocket").getaddrinfo("example.org", 80)
        assert [(family, kind) for family, kind, *_ in found] == [(2, 1), (2, 2), (10, 1), (10, 2)]
        assert all(isinstance(one[-1], bytearray) for one in found)


def test_getaddrinfo_of_ipv6_on_the_esp32_has_no_address():
    with fakes.board("esp32") as board:
        assert board.load("usocket").getaddrinfo("::1", 80)[0][-1] is None


def test_wifi_lost_on_the_esp32_aborts_every_socket_within_30_ms():
    with fakes.board("esp32") as board:
        wlan = board.load("network").WLAN(board.load("network").STA_IF)
        poller = board.load("uselect").poll()
        pairs = [board.pair(port=port)[0] for port in (80, 81)]
        poller.register(pairs[0], 16)
        board.wifi_lost()
        begun = board.clock.now
        assert poller.poll(1000) == [(pairs[0], 16)]
        assert board.clock.now - begun == 30
        assert wlan.isconnected()
        for sock in pairs:
            assert [outcome(sock.read, 1) for _ in range(3)] == ["error 113", "error 128", "error 128"]
        board.advance(50)
        assert not wlan.isconnected()
        board.wifi_back()
        assert wlan.isconnected()
        assert board.pair()[0].write(b"x") == 1


def test_wifi_lost_on_the_esp8266_leaves_connections_silent():
    with fakes.board("esp8266") as board:
        sock, peer = board.pair()
        board.wifi_lost()
        peer.send(b"x")
        board.advance(60000)
        assert sock.read(1) is None


def test_wifi_lost_while_connecting_on_the_esp8266_ends_in_the_syn_timeout():
    with fakes.board("esp8266") as board:
        board.listen(HOST, PORT)
        sock = board.load("usocket").socket()
        sock.setblocking(False)
        assert outcome(sock.connect, (HOST, PORT)) == "error 115"
        board.wifi_lost()
        board.advance(7000)
        assert outcome(sock.read, 1) == "error 103"


def test_port_of_a_known_host_without_a_server_is_refused_and_an_unknown_host_silent():
    with fakes.board("esp32") as board:
        board.listen(HOST, PORT)
        usocket = board.load("usocket")
        for host, error, lasts in ((HOST, 104, 10), ("10.9.9.9", 113, 60000)):
            sock = usocket.socket()
            begun = board.clock.now
            assert outcome(sock.connect, (host, 81)) == f"error {error}"
            assert board.clock.now - begun == lasts


@pytest.mark.parametrize("port", fakes.PORTS)
def test_peer_upgrade_answers_the_request(port):
    request = (
        b"GET /chat HTTP/1.1\r\nHost: 10.0.0.2\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Text: a: b\r\n\r\n"
    )
    with fakes.board(port) as board:
        sock, peer = board.pair()
        sock.write(request[:50])
        board.advance(50)
        with pytest.raises(AssertionError, match="no complete request"):
            peer.upgrade()
        sock.write(request[50:])
        board.advance(50)
        found = peer.upgrade([("Sec-WebSocket-Protocol", "chat")], wire.frame(wire.TEXT, b"hi"))
        assert (found.method, found.target) == ("GET", "/chat")
        assert [found.header(name) for name in ("host", "X-TEXT", "absent")] == ["10.0.0.2", "a: b", None]
        board.advance(50)
        reply = sock.read(1000)
        assert reply.startswith(b"HTTP/1.1 101 ")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in reply
        assert reply.endswith(b"Sec-WebSocket-Protocol: chat\r\n\r\n\x81\x02hi")


def test_peer_frames_are_decoded_as_they_come_whole():
    with fakes.board("esp8266") as board:
        sock, peer = board.pair()
        sock.write(b"GET / HTTP/1.1\r\n\r\n")
        sent = wire.frame(wire.TEXT, b"one", key=b"abcd") + wire.frame(wire.PING, key=b"efgh")
        for piece in (sent[:4], sent[4:10], sent[10:]):
            sock.write(piece)
            board.advance(100)
        assert [(one.opcode, one.payload, one.key) for one in peer.frames()] == [
            (wire.TEXT, b"one", b"abcd"),
            (wire.PING, b"", b"efgh"),
        ]


def test_peer_sends_in_order_whatever_the_delays():
    with fakes.board("unix") as board:
        sock, peer = board.pair()
        peer.frame(wire.TEXT, "late", after_ms=50)
        peer.close_frame(1001, "gone")
        peer.fin()
        board.advance(40)
        assert sock.read() is None
        board.advance(60)
        assert sock.read() == b"\x81\x04late" + b"\x88\x06\x03\xe9gone"


def test_server_accept_without_a_client_says_so():
    with fakes.board("unix") as board, pytest.raises(AssertionError, match="no client has connected"):
        board.listen(HOST, PORT).accept()


def test_peer_sends_close_together_arrive_each_at_its_time():
    with fakes.board("esp8266") as board:
        sock, peer = board.pair()
        peer.send(b"a", after_ms=1)
        peer.send(b"b", after_ms=4)
        board.advance(7)
        assert sock.read(5) == b"a"
        board.advance(2)
        assert sock.read(5) == b"b"
