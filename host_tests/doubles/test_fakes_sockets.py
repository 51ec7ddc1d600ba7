"""What the fake sockets give on each port: the tables of docs/ports.md, Connecting to Poll."""

import pytest

import fakes

IN, OUT, ERR, HUP, NVAL = 1, 4, 8, 16, 32

FIRMWARE = [("esp8266", (1, 24)), ("esp8266", (1, 27)), ("esp8266", (1, 28)), ("esp32", (1, 28)), ("unix", (1, 28))]
NEWEST = [one for one in FIRMWARE if one[1] == (1, 28)]

HOST, PORT = "10.0.0.2", 80


def named(firmware):
    return f"{firmware[0]}-{firmware[1][0]}.{firmware[1][1]}"


def each(firmwares=FIRMWARE):
    return pytest.mark.parametrize("firmware", firmwares, ids=named)


def rows(table):
    """Parametrize by a table {firmware: expected}; a port alone stands for its newest firmware."""
    return pytest.mark.parametrize(
        "firmware, expected",
        [
            pytest.param(key, value, id=named(key))
            for key, value in (
                (key if isinstance(key, tuple) else (key, (1, 28)), value) for key, value in table.items()
            )
        ],
    )


def outcome(call, *args):
    """Return what a call returns, or the number of its OSError."""
    try:
        return call(*args)
    except OSError as error:
        return f"error {error.errno}"


def flags(board, sock, mask=IN | OUT, timeout=0):
    poller = board.load("uselect").poll()
    poller.register(sock, mask)
    return sum(found for _, found in poller.ipoll(timeout))


def unconnected(board, host=HOST, port=PORT):
    """Return a non-blocking socket and the address to connect it to."""
    usocket = board.load("usocket")
    sock = usocket.socket()
    sock.setblocking(False)
    return sock, usocket.getaddrinfo(host, port)[0][-1]


def failed(board, host=HOST, port=PORT):
    """Return a socket whose connection attempt is over, without success."""
    sock, address = unconnected(board, host, port)
    assert outcome(sock.connect, address) == f"error {board.load('errno').EINPROGRESS}"
    board.advance(200000)
    return sock


@rows(
    {
        "esp8266": [HUP | OUT, HUP, None, "error 107"],
        "esp32": [HUP | OUT, HUP, "error 128", "error 128"],
        "unix": [HUP | OUT, HUP, "error 107", "error 32"],
    }
)
def test_new_socket_shows_hang_up(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, _ = unconnected(board)
        found = [flags(board, sock), flags(board, sock, IN), outcome(sock.read, 1), outcome(sock.write, b"x")]
        assert found == expected


@rows(
    {
        ("esp8266", (1, 24)): [OUT, 1, None],
        ("esp8266", (1, 27)): [0, None, None],
        "esp8266": [0, None, None],
        "esp32": [0, None, None],
        "unix": [0, None, None],
    }
)
def test_connect_in_progress_polls_nothing_but_on_old_lwip(firmware, expected):
    with fakes.board(*firmware) as board:
        server = board.listen(HOST, PORT)
        sock, address = unconnected(board)
        assert outcome(sock.connect, address) == f"error {board.load('errno').EINPROGRESS}"
        assert [flags(board, sock), sock.write(b"x"), sock.read(1)] == expected
        assert flags(board, sock, timeout=1000) == OUT
        board.advance(100)
        assert server.accept().received() == b"x" * (expected[1] or 0)


def test_connect_on_lwip_to_a_near_host_may_succeed_at_once():
    with fakes.board("esp8266", latency_ms=0) as board:
        board.listen(HOST, PORT)
        sock, address = unconnected(board)
        assert sock.connect(address) is None
        assert flags(board, sock) == OUT


@each()
def test_connect_twice_is_refused(firmware):
    with fakes.board(*firmware) as board:
        sock, _ = board.pair()
        _, address = unconnected(board)
        assert outcome(sock.connect, address) == f"error {board.profile.numbers['EISCONN']}"


@rows({"esp8266": 114, "esp32": 120, "unix": 114})
def test_connect_again_while_connecting_is_ealready(firmware, expected):
    with fakes.board(*firmware) as board:
        board.listen(HOST, PORT)
        sock, address = unconnected(board)
        outcome(sock.connect, address)
        assert outcome(sock.connect, address) == f"error {expected}"


@rows(
    {
        "esp8266": (ValueError, ("name", 80)),
        "unix": (TypeError, ("10.0.0.2", 80)),
    }
)
def test_connect_to_a_kind_of_address_that_the_port_lacks_raises(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, _ = unconnected(board)
        with pytest.raises(expected[0]):
            sock.connect(expected[1])


def test_connect_to_a_name_on_the_esp32_resolves_it():
    with fakes.board("esp32") as board:
        board.listen(HOST, PORT)
        board.hosts["example.org"] = HOST
        sock, _ = unconnected(board)
        assert outcome(sock.connect, ("example.org", PORT)) == "error 119"
        assert board.clock.now == board.profile.dns_unknown_ms


@rows(
    {
        ("esp8266", (1, 24)): [HUP | OUT, HUP, "error 104", "error 104", "error 104"],
        ("esp8266", (1, 27)): [HUP | OUT, HUP, "error 104", "error 104", "error 104"],
        "esp8266": [IN | OUT | ERR | HUP, IN | ERR | HUP, "error 104", "error 104", b""],
        "esp32": [IN | OUT, IN, "error 104", "error 104", "error 128"],
        "unix": [IN | OUT | ERR | HUP, IN | ERR | HUP, "error 111", "error 32", b""],
    }
)
def test_connect_refused_is_told_by_poll_and_by_the_first_transfer(firmware, expected):
    with fakes.board(*firmware) as board:
        board.refuse(HOST, PORT)
        sock = failed(board)
        found = [flags(board, sock), flags(board, sock, IN)]
        transfers = (sock.write, b"x"), (sock.read, 1), (sock.read, 1)
        if board.profile.name == "unix":
            transfers = (sock.read, 1), (sock.write, b"x"), (sock.read, 1)
        assert found + [outcome(*transfer) for transfer in transfers] == expected


def test_esp32_poll_of_a_failed_connect_is_21_and_of_a_good_one_4():
    with fakes.board("esp32") as board:
        board.refuse(HOST, 81)
        assert flags(board, failed(board, port=81), IN | OUT | HUP) == 21
        assert flags(board, board.pair()[0], IN | OUT | HUP) == 4


@rows(
    {
        "esp8266": (6000, ERR, 103, "error 9", NVAL),
        "esp32": (18000, IN | OUT, 113, "error 128", IN | OUT),
        "unix": (127000, IN | OUT | ERR | HUP, 110, b"", IN | OUT | HUP),
    }
)
def test_connect_without_an_answer_fails_after_the_syn_timeout(firmware, expected):
    after, polled, error, then, polled_then = expected
    with fakes.board(*firmware) as board:
        board.blackhole(HOST, PORT)
        sock, address = unconnected(board)
        outcome(sock.connect, address)
        begun = board.clock.now
        assert flags(board, sock, timeout=200000) == polled
        assert after - 5 <= board.clock.now - begun <= after
        assert [outcome(sock.read, 1), outcome(sock.read, 1)] == [f"error {error}", then]
        assert flags(board, sock) == polled_then


@rows({"esp8266": "error 9", "esp32": "error 128"})
def test_connect_after_a_failed_attempt_needs_a_new_socket(firmware, expected):
    with fakes.board(*firmware) as board:
        board.refuse(HOST, PORT)
        sock = failed(board)
        assert outcome(sock.connect, unconnected(board)[1]) == expected


@rows(
    {
        "esp8266": ["error 113", HUP | OUT],
        "esp32": ["error 118", 0],
        "unix": ["error 101", HUP | OUT],
    }
)
def test_connect_without_a_link_raises_at_once(firmware, expected):
    with fakes.board(*firmware) as board:
        board.listen(HOST, PORT)
        board.wifi_lost()
        sock, address = unconnected(board)
        assert [outcome(sock.connect, address), flags(board, sock, timeout=1000)] == expected
        if firmware[0] == "esp32":
            assert sock.read(1) is None


@rows({("esp8266", (1, 22)): 115, "esp8266": 110, "esp32": 116, "unix": 110})
def test_connect_with_a_timeout_ends_by_it(firmware, expected):
    with fakes.board(*firmware) as board:
        board.blackhole(HOST, PORT)
        sock, address = unconnected(board)
        sock.settimeout(1)
        assert outcome(sock.connect, address) == f"error {expected}"
        assert 1000 <= board.clock.now <= 1101


@each()
def test_read_of_nothing_is_none_and_recv_is_eagain(firmware):
    with fakes.board(*firmware) as board:
        sock, _ = board.pair()
        assert [sock.read(1), sock.read(), sock.readinto(bytearray(1)), sock.readline()] == [None] * 4
        assert outcome(sock.recv, 1) == "error 11"
        assert flags(board, sock) == OUT


@each()
def test_read_of_more_than_there_is_gives_the_part(firmware):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.send(b"abc\ndef")
        assert flags(board, sock, IN, timeout=1000) == IN
        assert [sock.readline(2), sock.readline(), sock.read(2), sock.readline(), sock.read(5)] == [
            b"ab",
            b"c\n",
            b"de",
            b"f",
            None,
        ]


@rows({"esp8266": [1460, 540], "esp32": [2000], "unix": [2000]})
def test_recv_gives_one_segment_on_lwip_and_all_elsewhere(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.send(bytes(2000))
        board.advance(100)
        assert [len(sock.recv(4000)) for _ in expected] == expected


@rows(
    {
        ("esp8266", (1, 24)): [2920, None, "error 11", 0],
        "esp8266": [2920, None, "error 11", 0],
        "esp32": [5744, None, "error 11", 0],
        "unix": [262144, None, "error 11", 0],
    }
)
def test_write_into_a_full_buffer_is_none(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.stop_reading()
        assert [sock.write(bytes(300000)), sock.write(b"x"), outcome(sock.send, b"x"), flags(board, sock)] == expected
        peer.resume_reading()
        assert flags(board, sock, OUT, timeout=1000) == OUT


def test_write_of_1000_bytes_on_the_esp8266_fits_twice_and_then_in_part():
    with fakes.board("esp8266") as board:
        sock, peer = board.pair()
        peer.stop_reading()
        assert [sock.write(bytes(1000)) for _ in range(4)] == [1000, 1000, 920, None]


@rows({"esp8266": OUT, "esp32": 0})
def test_pollout_with_little_room_shows_on_the_esp8266_only(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.stop_reading()
        sock.write(bytes(board.profile.send_buffer - 1))
        assert flags(board, sock) == expected
        assert sock.write(b"xy") == 1


def test_send_of_nothing_on_the_esp32_raises_eagain():
    with fakes.board("esp32") as board:
        sock, _ = board.pair()
        assert [outcome(sock.send, b""), sock.write(b"")] == ["error 11", 0]


@rows({"esp8266": IN | OUT, "esp32": IN | OUT, "unix": IN | OUT})
def test_end_is_readable_without_hang_up_and_repeats(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.send(b"abc")
        peer.fin()
        board.advance(100)
        assert flags(board, sock, IN | OUT | HUP) == expected
        assert [sock.readinto(bytearray(5)), sock.read(5), sock.read(5), sock.readinto(bytearray(5)), sock.recv(5)] == [
            3,
            b"",
            b"",
            0,
            b"",
        ]
        assert sock.write(b"late") == 4
        board.advance(100)
        assert peer.received() == b"late"


@rows(
    {
        "esp8266": "error 104",
        "esp32": "error 104",
        "unix": b"",
    }
)
def test_write_after_the_peer_has_gone_is_answered_by_a_reset(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.close()
        board.advance(100)
        assert [sock.read(1), sock.write(b"x")] == [b"", 1]
        assert flags(board, sock, HUP, timeout=1000) & HUP
        found = outcome(sock.read, 1)
        assert (found if firmware[0] != "unix" else outcome(sock.read, 1)) == expected


@rows(
    {
        # the data is gone, and the stream methods raise for ever
        ("esp8266", (1, 27)): [HUP | OUT, HUP, "error 104", "error 104", HUP | OUT, "error 104", "error 104"],
        "esp8266": [29, 25, 2, "error 104", HUP | IN, b"", "BoardCrash"],
        "esp32": [IN | OUT, IN, 2, "error 104", IN | OUT, "error 104", "error 128"],
        "unix": [29, 25, 2, "error 104", 21, b"", "error 32"],
    }
)
def test_reset_after_data_keeps_only_what_exact_reads_ask_for(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.send(b"abc")
        peer.reset()
        board.advance(100)
        found = [
            flags(board, sock),
            flags(board, sock, IN),
            outcome(sock.readinto, bytearray(2)),
            outcome(sock.readinto, bytearray(5)),
            flags(board, sock),
            outcome(sock.read, 5),
        ]
        if expected[-1] == "BoardCrash":
            with pytest.raises(fakes.BoardCrash):
                sock.write(b"x")
            board.forgive()
            found.append("BoardCrash")
        else:
            found.append(outcome(sock.write, b"x"))
        assert found == expected


@rows(
    {
        ("esp8266", (1, 27)): ["error 104", "error 9", "error 9", "error 9"],
        "esp8266": [b"abc", "error 104", b"", b""],
        "esp32": [b"abc", "error 104", "error 104", "error 128"],
        "unix": [b"abc", "error 104", b"", b""],
    }
)
def test_reset_then_recv_gives_the_data_first(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.send(b"abc")
        peer.reset()
        board.advance(100)
        assert [outcome(sock.recv, 10) for _ in range(4)] == expected


@rows(
    {
        ("esp8266", (1, 27)): ["error 104", "error 104", "error 104"],
        "esp8266": ["error 104", "error 104", "error 104"],
        "esp32": ["error 104", "error 128", "error 104"],
        "unix": ["error 104", "error 32", b""],
    }
)
def test_reset_then_write_raises(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.reset()
        board.advance(100)
        assert [outcome(sock.write, b"x"), outcome(sock.write, b"x"), outcome(sock.read, 5)] == expected


@each([one for one in FIRMWARE if one[0] == "esp8266"])
def test_reset_then_send_on_lwip_makes_the_socket_bad(firmware):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.reset()
        board.advance(100)
        found = [outcome(sock.send, b"x"), outcome(sock.send, b"x"), flags(board, sock)]
        assert found == ["error 104", "error 9", NVAL]


@pytest.mark.parametrize("call", ["write", "send"])
def test_write_after_the_reset_was_read_crashes_the_esp8266(call):
    with pytest.raises(fakes.BoardCrash), fakes.board("esp8266") as board:
        sock, peer = board.pair()
        peer.reset()
        board.advance(100)
        outcome(sock.read, 1)
        getattr(sock, call)(b"x")


@each([one for one in FIRMWARE if one[0] == "esp8266"])
def test_nodelay_after_a_reset_crashes_the_esp8266(firmware):
    with pytest.raises(fakes.BoardCrash), fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.reset()
        board.advance(100)
        sock.setsockopt(6, board.load("usocket").TCP_NODELAY, 1)


def test_crash_that_a_program_swallows_comes_again_at_the_end():
    with pytest.raises(fakes.BoardCrash), fakes.board("esp8266") as board:
        try:
            board.crash("for a test")
        except BaseException:
            board.advance(1)


@rows({"esp8266": 103, "esp32": 113, "unix": 110})
def test_peer_that_vanishes_with_data_in_flight_is_told_after_many_minutes(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.vanish()
        sock.write(b"x")
        board.advance(12 * 60000)
        assert sock.read(1) is None
        board.advance(5 * 60000)
        assert outcome(sock.read, 1) == f"error {expected}"


@each()
def test_peer_that_vanishes_while_nothing_is_sent_is_never_told(firmware):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        peer.vanish()
        board.advance(3600000)
        assert [sock.read(1), flags(board, sock)] == [None, OUT]


@each()
def test_closed_socket_polls_not_valid(firmware):
    with fakes.board(*firmware) as board:
        sock, _ = board.pair()
        sock.close()
        sock.close()
        assert [flags(board, sock), outcome(sock.read, 1), outcome(sock.write, b"x")] == [NVAL, "error 9", "error 9"]
        assert board.open_sockets() == []


@rows({"esp8266": (250, 110), "esp32": (300, 116), "unix": (250, 110)})
def test_blocking_read_with_a_timeout_loses_the_part_that_came(firmware, expected):
    lasts, number = expected
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        sock.settimeout(0.25)
        peer.send(b"ab")
        board.advance(50)
        begun = board.clock.now
        assert outcome(sock.read, 3) == f"error {number}"
        assert board.clock.now - begun == lasts
        sock.setblocking(False)
        assert sock.read(3) is None


@rows({"esp8266": "error 110", "esp32": "error 116", "unix": "error 11"})
def test_recv_timeout_is_eagain_on_unix_only(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, _ = board.pair()
        sock.settimeout(0.25)
        assert outcome(sock.recv, 3) == expected


def test_read_timeout_below_a_slice_on_the_esp32_blocks_100_ms_and_is_none():
    with fakes.board("esp32") as board:
        sock, _ = board.pair()
        sock.settimeout(0.05)
        begun = board.clock.now
        assert [sock.read(3), board.clock.now - begun] == [None, 100]


@pytest.mark.parametrize("timeout, lasts", [(1, 11000), (0.05, 1000)])
def test_write_timeout_on_the_esp32_lasts_ten_times_as_long(timeout, lasts):
    with fakes.board("esp32") as board:
        sock, peer = board.pair()
        peer.stop_reading()
        sock.write(bytes(9000))
        sock.settimeout(timeout)
        begun = board.clock.now
        assert outcome(sock.write, b"x") == (None if timeout < 0.1 else "error 116")
        assert board.clock.now - begun == lasts


def test_blocking_write_on_lwip_waits_for_16_free_bytes():
    with fakes.board("esp8266") as board:
        sock, peer = board.pair()
        sock.write(bytes(10))
        peer.stop_reading()
        sock.write(bytes(2910))
        sock.settimeout(0.2)
        assert outcome(sock.write, bytes(20)) == "error 110"
        sock.setblocking(False)
        assert sock.write(bytes(20)) == 10


@each()
def test_blocking_read_reads_until_full(firmware):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        sock.setblocking(True)
        peer.send(b"ab", after_ms=100)
        peer.send(b"cd", after_ms=300)
        assert sock.read(3) == b"abc"
        assert board.clock.now >= 300


@each()
def test_blocking_read_that_nothing_ends_is_stuck(firmware):
    with pytest.raises(fakes.Stuck), fakes.board(*firmware) as board:
        sock, _ = board.pair()
        sock.setblocking(True)
        sock.read(1)


def test_sockets_beyond_ten_on_the_esp32_raise_23():
    with fakes.board("esp32") as board:
        usocket = board.load("usocket")
        made = [usocket.socket() for _ in range(10)]
        assert outcome(usocket.socket) == "error 23"
        made[0].close()
        usocket.socket()


@rows({"esp8266": "callback", "esp32": "callback", "unix": "TypeError"})
def test_callback_option_exists_on_the_boards_only(firmware, expected):
    with fakes.board(*firmware) as board:
        sock, _ = board.pair()
        try:
            sock.setsockopt(1, 20, print)
            found = "callback"
        except TypeError:
            found = "TypeError"
        assert found == expected


def test_unknown_option_only_warns():
    with fakes.board("esp8266") as board:
        sock, _ = board.pair()
        sock.setsockopt(6, 1, 1)  # POSIX's number, which lwip does not know
        assert board.warnings == ["setsockopt(6, 1) not implemented"]


@each(NEWEST)
def test_poll_object_waits_no_longer_than_until_an_event(firmware):
    with fakes.board(*firmware) as board:
        sock, peer = board.pair()
        poller = board.load("uselect").poll()
        poller.register(sock, IN)
        peer.send(b"x", after_ms=70)
        begun = board.clock.now
        assert poller.poll(1000) == [(sock, IN)]
        assert board.clock.now - begun == 70 + board.latency_ms
        assert list(poller.ipoll(0, 1)) == [(sock, IN)]
        assert poller.poll(0) == []
        poller.modify(sock, IN)
        assert poller.poll(0) == [(sock, IN)]
        poller.unregister(sock)
        assert poller.poll(30) == []
        assert board.clock.now - begun == 100 + board.latency_ms
