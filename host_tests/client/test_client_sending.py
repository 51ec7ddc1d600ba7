"""send() on every port: what reaches the wire, in which writes, and what comes of a wire that takes nothing."""

import array

import pytest

import fakes
from servers import wire
from support.client_session import FIRMWARE, Session, each

LWIP = [one for one in FIRMWARE if one[0] == "esp8266"]
PATTERN = bytes(range(251)) * 280
SIZES = [0, 1, 125, 126, 127, 240, 256, 257, 1460, 2920, 4000, 65535, 65536]


def caught(call, *args, **more):
    """Return what a call raises: an OSError's number, else the type; None where it raises nothing."""
    try:
        call(*args, **more)
    except OSError as error:
        return error.errno
    except Exception as error:
        return type(error)


@each(FIRMWARE)
@pytest.mark.parametrize("size", SIZES)
def test_send_of_any_size_arrives_whole(firmware, size):
    with Session(firmware) as session:
        session.open()
        message = bytearray(PATTERN[:size])
        assert session.ws.send(message) is None
        assert session.frames() == [(wire.BINARY, PATTERN[:size])]
        assert message == PATTERN[:size], "a message is never changed"


@each(FIRMWARE)
@pytest.mark.parametrize("size", [0, 1, 125, 126, 200, 256])
def test_send_of_a_small_frame_is_one_write_and_one_segment(firmware, size):
    with Session(firmware) as session:
        peer = session.open()
        session.board.advance(1000)
        writes, segments = session.board.calls["write"], len(peer.segments)
        session.ws.send(b"x" * size)
        assert session.board.calls["write"] == writes + 1
        session.board.advance(1000)
        assert len(peer.segments) == segments + 1


@each([one for one in FIRMWARE if one != ("esp8266", (1, 22)) and one != ("esp32", (1, 23))])
@pytest.mark.parametrize("size", [1, 125, 500, 2000, 4000])
def test_echoes_do_not_wait_for_delayed_acknowledgements(firmware, size):
    with Session(firmware) as session:
        peer = session.open()

        def echo(peer):
            if len(peer.frames()) > sum(event[0] == "receive" for event in session.events):
                peer.frame(wire.BINARY, peer.frames()[-1].payload)

        peer.on_data = echo
        began = session.board.clock.now
        for count in range(10):
            session.ws.send(PATTERN[:size])
            session.until(lambda count=count: len(session.messages) > count)
        # A round takes 10 ms, 20 where the send buffer is full. Without TCP_NODELAY a frame that needs a
        # second segment waits for one acknowledgement, which the peer delays.
        delayed = 40 if not session.board.open_sockets()[0].connection.nodelay and size > 1452 else 0
        assert session.board.clock.now - began < 10 * (35 + delayed)


@each()
@pytest.mark.parametrize(("message", "opcode", "payload"), [
    ("text \u20ac", wire.TEXT, "text \u20ac".encode()),
    ("", wire.TEXT, b""),
    (b"\0\xff", wire.BINARY, b"\0\xff"),
    (bytearray(b"ab"), wire.BINARY, b"ab"),
    (memoryview(b"abcdef")[2:4], wire.BINARY, b"cd"),
    (array.array("H", [1, 2, 3]), wire.BINARY, array.array("H", [1, 2, 3]).tobytes()),
], ids=["str", "empty", "bytes", "bytearray", "memoryview", "array"])  # fmt: skip
def test_send_picks_the_opcode_by_the_type(firmware, message, opcode, payload):
    with Session(firmware) as session:
        session.open()
        session.ws.send(message)
        session.ws.send(message, 2)
        session.ws.send(b"as text", 1)
        assert session.frames() == [(opcode, payload), (wire.BINARY, payload), (wire.TEXT, b"as text")]


@each()
@pytest.mark.parametrize("items", [[-1, -64, 65], [-61], [65, -128]])
def test_signed_items_that_are_no_utf8_are_refused_as_text(firmware, items):
    with Session(firmware) as session:
        session.open()
        with pytest.raises(ValueError, match="UTF-8"):
            session.ws.send(array.array("b", items), 1)
        session.ws.send(array.array("b", [-61, -87]), 1)
        assert session.frames() == [(wire.TEXT, "\u00e9".encode())]


@each()
def test_send_takes_a_fresh_key_for_each_frame(firmware):
    with Session(firmware) as session:
        peer = session.open()
        for _ in range(50):
            session.ws.send("x")
        session.board.advance(1000)
        assert len({frame.key for frame in peer.frames()}) == 50


# Calls of send() while open, each with what it raises (None: nothing), and the frames of those that raise nothing
SEQUENCES = {
    "fragments": [(("a", None, False), None), (("", 0, False), None), (("b", 0), None), (("c",), None)],
    "binary fragments": [((b"\xff", None, False), None), ((b"\xfe", 0), None)],
    "ping and pong between fragments": [
        (("a", None, False), None), ((b"ping", 9), None), (("pong", 10), None), (("b", 0), None),
    ],
    "continuation without a start": [(("a", 0), ValueError), (("a", 0, False), ValueError), (("b",), None)],
    "message within fragments": [
        (("a", None, False), None), (("b",), ValueError), ((b"b", 2, False), ValueError), (("c", 0), None),
    ],
    "unknown opcodes": [((b"x", opcode), ValueError) for opcode in (-1, 3, 7, 8, 11, 15, 16, "1", 1.5)],
    "control frame too long": [((b"x" * 126, 9), ValueError), ((b"x" * 125, 9), None)],
    "control frame in parts": [((b"x", 9, False), ValueError), ((b"x", 10, False), ValueError)],
    "wrong types": [((message,), TypeError) for message in (None, 1, 1.5, [1], {"a": 1})],
    "text that is not utf-8": [((b"\xff", 1), ValueError), ((b"\xc3", 1), ValueError), ((b"\xc3\xbc", 1), None)],
    "text cut within a character": [
        ((b"\xc3", 1, False), None), ((b"\xbc\xe2\x82", 0, False), None), ((b"\xac", 0), None),
    ],
    "text that goes wrong later": [
        ((b"\xc3", 1, False), None), ((b"(", 0, False), ValueError), ((b"", 0), ValueError), ((b"\xbc", 0), None),
    ],
    "str within text given as bytes": [((b"ab", 1, False), None), (("\u20ac", 0), None)],
}  # fmt: skip


@each()
@pytest.mark.parametrize("name", SEQUENCES)
def test_send_takes_what_rfc_6455_allows_and_refuses_the_rest(firmware, name):
    with Session(firmware) as session:
        peer = session.open()
        expected = []
        for arguments, error in SEQUENCES[name]:
            assert caught(session.ws.send, *arguments) is error, arguments
            if error is None:
                message, opcode, fin = (*arguments, None, None)[:3] if len(arguments) < 3 else arguments
                payload = message.encode() if isinstance(message, str) else message
                kind = wire.TEXT if isinstance(message, str) else wire.BINARY
                expected.append((fin is not False, kind if opcode is None else opcode, payload))
        session.board.advance(1000)
        assert [(frame.fin, frame.opcode, frame.payload) for frame in peer.frames()] == expected
        assert session.ws.connected


@each()
def test_send_sequence_begins_anew_with_each_connection(firmware):
    with Session(firmware) as session:
        session.open().reset()
        session.ws.send("first", None, False)
        session.finish()
        peer = session.open()
        session.ws.send("whole")
        assert session.frames(peer) == [(wire.TEXT, b"whole")]


@each()
@pytest.mark.parametrize("state", ["new", "opening", "closing", "closed by the server", "closed"])
def test_send_without_an_open_connection_is_enotconn(firmware, state):
    with Session(firmware) as session:
        if state == "opening":
            session.connect()
        elif state != "new":
            peer = session.open()
        if state == "closing":
            session.ws.close()
        elif state.startswith("closed"):
            peer.close_frame()
            session.until(lambda: not session.ws.connected)
        if state == "closed":
            peer.close()
            session.finish()
        assert caught(session.ws.send, "x") == session.number("ENOTCONN")
        assert caught(session.ws.send, "x", 9) == session.number("ENOTCONN")
        assert caught(session.ws.send, 1) is TypeError
        assert caught(session.ws.send, b"x", 3) is ValueError


@each(FIRMWARE)
def test_send_to_a_peer_that_reads_again_waits_and_arrives_whole(firmware):
    with Session(firmware) as session:
        peer = session.open()
        peer.stop_reading()
        session.board.clock.after(3000, peer.resume_reading)
        peer.frame(wire.TEXT, "meanwhile", after_ms=100)
        message = PATTERN * 5 if firmware[0] == "unix" else PATTERN[:20000]
        began = session.board.clock.now
        session.ws.send(message)
        assert 3000 <= session.board.clock.now - began < 4500
        assert not session.messages, "send() does not read"
        assert session.frames() == [(wire.BINARY, message)]
        session.poll(100)
        assert session.messages == ["meanwhile"]


@each(FIRMWARE)
@pytest.mark.parametrize("size", [10, 1000, 60000])
def test_send_to_a_peer_that_stops_reading_is_minus_103_in_time(firmware, size):
    with Session(firmware, {"send_timeout_ms": 2500}) as session:
        session.open()
        session.fill()
        began = session.board.clock.now
        assert caught(session.ws.send, b"x" * size) == session.number("ETIMEDOUT")
        assert session.board.clock.now - began == 2500
        assert not session.ws.connected
        assert caught(session.ws.send, b"x") == session.number("ENOTCONN")
        assert session.board.clock.now - began == 2500
        assert session.finish() == -103


@each(FIRMWARE)
def test_send_timeout_is_counted_from_the_call(firmware):
    with Session(firmware, {"send_timeout_ms": 2500, "ping_interval_ms": 0}) as session:
        session.open()
        session.fill()
        session.board.clock.after(2400, session.peer.resume_reading)
        session.ws.send(b"y" * 100)
        session.board.advance(60000)
        session.fill()
        session.board.clock.after(2400, session.peer.resume_reading)
        session.ws.send(b"z" * 100)
        payloads = [payload for _, payload in session.frames()]
        assert payloads.count(b"y" * 100) == payloads.count(b"z" * 100) == 1


@each(LWIP)
@pytest.mark.parametrize("what", ["message", "pong", "close"])
def test_write_that_lwip_loses_after_10_s_is_minus_101(firmware, what):
    with Session(firmware) as session:
        peer = session.open()
        session.board.memory_short(15000)
        if what == "message":
            assert caught(session.ws.send, "lost") == session.number("ENOTCONN")
            assert not session.ws.connected
        elif what == "pong":
            peer.frame(wire.PING, "are you there?")
            session.board.advance(10)
            session.ws.poll(0)
        else:
            session.ws.close()
        session.until(lambda: session.statuses, 20000)
        assert session.finish() == (0 if what == "close" else -101)
        assert session.frames() == []


@each(LWIP)
def test_write_that_lwip_delays_for_less_is_no_error(firmware):
    with Session(firmware) as session:
        session.open()
        session.board.memory_short(5000)
        session.ws.send("late")
        assert session.frames() == [(wire.TEXT, b"late")]
        assert session.ws.connected


def bare_socket_ms(firmware, nodelay, size, times, latency_ms):
    """Return how long `times` writes of `size` bytes by a blocking socket take to arrive, on the fake clock."""
    with fakes.board(*firmware, latency_ms=latency_ms) as board:
        sock, peer = board.pair()
        if nodelay:
            sock.setsockopt(6, 1, 1)
        sock.setblocking(True)
        board.advance(1000)
        began = board.clock.now
        for _ in range(times):
            data = memoryview(bytes(size))
            while data:
                data = data[sock.write(data) :]
        board.advance(1000)
        assert len(peer.received()) == size * times
        return peer.segments[-1][0] - began


@each([one for one in FIRMWARE if one[0] == "esp32"])
@pytest.mark.parametrize("latency_ms", [1, 2, 5, 20])
@pytest.mark.parametrize(("free", "least"), [(25000, 0.95), (24000, 0.7)], ids=["some memory", "less memory"])
def test_128_kib_in_fragments_take_little_longer_than_by_a_bare_socket(firmware, latency_ms, free, least):
    """The quicker of bare sockets is the measure: with Nagle's algorithm or without."""
    size, times = 4096, 32
    bare_ms = min(bare_socket_ms(firmware, nodelay, size, times, latency_ms) for nodelay in (False, True))
    with Session(firmware, latency_ms=latency_ms) as session:
        session.board.mem_free = free
        peer = session.open()
        session.board.advance(1000)
        began = session.board.clock.now
        for number in range(times):
            session.ws.send(bytes(size), 0 if number else wire.BINARY, number == times - 1)
        session.board.advance(1000)
        assert [len(payload) for _, payload in session.frames()] == [size] * times
        assert bare_ms / (peer.segments[-1][0] - began) >= least


@each(FIRMWARE)
def test_burst_of_small_messages_arrives_whole(firmware):
    with Session(firmware, latency_ms=20) as session:
        session.open()
        for count in range(60):
            session.ws.send(f"message {count}")
        assert session.frames() == [(wire.TEXT, f"message {count}".encode()) for count in range(60)]


@each(FIRMWARE)
def test_send_on_a_connection_that_was_reset_is_enotconn_and_minus_109(firmware):
    with Session(firmware) as session:
        session.open().reset()
        session.board.advance(100)
        assert session.ws.connected, "nobody has looked yet"
        assert caught(session.ws.send, "x") == session.number("ENOTCONN")
        assert not session.ws.connected
        assert caught(session.ws.send, "x") == session.number("ENOTCONN")
        assert session.finish() == -109
        assert session.ws.errno == session.number("ECONNRESET")


@each(FIRMWARE)
def test_send_to_a_peer_that_has_gone_ends_with_the_reset(firmware):
    with Session(firmware) as session:
        peer = session.open()
        peer.close()  # without a Close frame: what is written is answered by RST
        session.board.advance(100)
        session.ws.send("one", None, False)
        session.board.advance(100)
        assert caught(session.ws.send, "two", 0) == session.number("ENOTCONN")
        assert session.finish() in (-99, -109)


@each(FIRMWARE)
def test_send_after_fin_is_still_accepted(firmware):
    with Session(firmware) as session:
        session.open().fin()
        session.board.advance(100)
        session.ws.send("after your FIN")
        assert session.frames() == [(wire.TEXT, b"after your FIN")]
        assert session.finish() == -99


@each([one for one in FIRMWARE if one[0] == "esp32"])
def test_wifi_lost_while_open_is_minus_108(firmware):
    with Session(firmware) as session:
        session.open()
        session.board.wifi_lost()
        assert session.finish() == -108
        assert session.ended_ms < 200
        session.connect()
        assert session.finish() == -104
        session.board.wifi_back()
        session.open()


@each([one for one in FIRMWARE if one[0] != "esp32"])
def test_wifi_lost_without_a_word_of_the_stack_is_minus_19(firmware):
    with Session(firmware, {"ping_interval_ms": 1000}) as session:
        session.open()
        began = session.board.clock.now
        session.board.wifi_lost()
        assert session.finish() == -19
        assert session.ended_ms - began <= 3000


@each(FIRMWARE)
def test_peer_that_vanishes_is_minus_19_after_the_pings(firmware):
    with Session(firmware, {"ping_interval_ms": 1000}) as session:
        peer = session.open()
        began = session.board.clock.now
        peer.vanish()
        session.ws.send("into the void")
        assert session.finish() == -19
        assert session.ended_ms - began <= 3000


@each(FIRMWARE)
def test_pong_that_waits_goes_out_before_the_next_message(firmware):
    with Session(firmware) as session:
        peer = session.open()
        session.fill()
        before = len(peer.frames())
        peer.frame(wire.PING, "still there?")
        session.idle(500)
        session.board.clock.after(1000, peer.resume_reading)
        session.ws.send("message")
        found = session.frames()[before:]
        assert found[-2:] == [(wire.PONG, b"still there?"), (wire.TEXT, b"message")]


@each(FIRMWARE)
def test_pong_is_not_put_into_a_message_that_is_under_way(firmware):
    with Session(firmware) as session:
        peer = session.open()
        peer.stop_reading()
        session.board.clock.after(2000, peer.resume_reading)
        for wait in range(20):
            peer.frame(wire.PING, b"x" * 125, after_ms=wait * 50)
        message = PATTERN * 5 if firmware[0] == "unix" else PATTERN[:20000]
        session.ws.send(message)
        session.idle(1000)
        found = session.frames()
        assert found[0] == (wire.BINARY, message)
        assert {opcode for opcode, _ in found[1:]} == {wire.PONG}


@each()
def test_ping_is_answered_by_the_event_pong(firmware):
    with Session(firmware) as session:
        peer = session.open()
        session.ws.send(b"how far?", 9)
        session.board.advance(100)
        assert session.frames() == [(wire.PING, b"how far?")]
        peer.frame(wire.PONG, "how far?")
        session.poll(100)
        assert session.events[-1] == ("pong", b"how far?")


@each()
def test_send_without_memory_for_the_scratch_buffer_uses_the_small_one(firmware):
    with Session(firmware) as session:
        session.open()
        client = session.board.load("uwebsocket_client")

        def no_memory(size):
            raise MemoryError

        client.bytearray = no_memory
        session.ws.send(PATTERN)
        del client.bytearray
        assert session.frames() == [(wire.BINARY, PATTERN)]


@each()
@pytest.mark.parametrize("message", ["text", b"bytes", bytearray(600), memoryview(bytearray(600))[7:500]],
                         ids=["str", "bytes", "bytearray", "memoryview"])  # fmt: skip
def test_send_of_bytes_loads_no_module(firmware, message):
    with Session(firmware) as session:
        peer = session.open()
        client = session.board.load("uwebsocket_client")

        def load(name, *arguments):
            raise RuntimeError(f"{name} was loaded")

        client._call = load
        session.ws.send(message)
        content = message.encode() if isinstance(message, str) else bytes(message)
        assert [payload for _, payload in session.frames(peer)] == [content]


@each()
@pytest.mark.parametrize("sent", [0, 1, 5])
def test_memory_error_within_send_ends_with_minus_16_or_minus_199(firmware, sent):
    """Nothing of the frame has gone out: the server is told. A part has: no further byte."""
    with Session(firmware) as session:
        peer = session.open()
        module = session.board.load("_wsprotocol")
        right, left = module.mask, [sent]

        def mask(*arguments):
            if not left[0]:
                module.mask = right
                raise MemoryError
            left[0] -= 1
            right(*arguments)

        module.mask = mask
        with pytest.raises(MemoryError):
            session.ws.send(PATTERN[:60000])
        assert not session.ws.connected
        session.board.advance(1000)
        if sent:
            assert session.statuses == [] and session.finish() == -199
            assert not peer.frames() and len(peer.received()) < 60000
        else:
            assert session.sent_close() == 1011
            peer.close_frame()
            peer.close()
            assert session.finish() == -16
