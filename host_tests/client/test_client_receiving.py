"""What the server sends, on every port: messages, pieces, control frames, floods, and the end of the connection."""

import tracemalloc

import pytest

from servers import wire
from support.client_session import FIRMWARE, KEEPS_DATA, Session, each

PATTERN = bytes(range(251)) * 280
BYE = wire.frame(wire.CLOSE, wire.close_payload(1001, "bye"))


def pieces(session):
    """Take messages in pieces from now on; return the list of (content, opcode, how often final) that will grow."""
    found = []
    state = {"content": bytearray()}

    def piece(ws, chunk, opcode, final):
        assert isinstance(chunk, memoryview)
        state["content"] += chunk
        if final:
            found.append((bytes(state["content"]), opcode))
            state["content"] = bytearray()

    session.ws.on("data", piece)
    return found


@each(FIRMWARE)
@pytest.mark.parametrize("size", [0, 1, 125, 126, 1460, 5000, 65535, 65536])
def test_message_of_any_size_comes_whole(firmware, size):
    with Session(firmware) as session:
        peer = session.open()
        peer.frame(wire.BINARY, PATTERN[:size])
        peer.frame(wire.TEXT, "a" * size)
        session.until(lambda: len(session.messages) == 2, 60000)
        assert session.messages == [PATTERN[:size], "a" * size]
        assert [type(message) for message in session.messages] == [bytearray, str]
        assert [event[2] for event in session.events[1:]] == [wire.BINARY, wire.TEXT]


@each()
def test_binary_message_is_the_handlers_to_keep(firmware):
    with Session(firmware) as session:
        peer = session.open()
        for content in (b"first", b"other", b"third"):
            peer.frame(wire.BINARY, content)
        session.until(lambda: len(session.messages) == 3)
        first, other, third = session.messages
        first.extend(b" is mine")
        other[:] = b"x" * 1000
        assert third == b"third"
        peer.frame(wire.BINARY, b"fourth")
        session.until(lambda: len(session.messages) == 4)
        assert session.messages == [b"first is mine", b"x" * 1000, b"third", b"fourth"]


@each(FIRMWARE)
def test_session_byte_by_byte_is_the_same(firmware):
    stream = (
        wire.frame(wire.TEXT, "gr\u00fc\u00df".encode()) + wire.frame(wire.BINARY, b"z" * 130)
        + wire.frame(wire.TEXT, b"a", fin=False) + wire.frame(wire.PING, b"p") + wire.frame(wire.CONTINUATION, b"b")
        + wire.frame(wire.PONG) + BYE
    )  # fmt: skip
    with Session(firmware, latency_ms=0) as session:
        peer = session.open()
        for place in range(len(stream)):
            peer.send(stream[place : place + 1], after_ms=place * 3)
        session.until(lambda: peer.frames() and peer.frames()[-1].opcode == wire.CLOSE)
        peer.close()
        assert session.finish() == -6
        assert session.events[1:] == [
            ("receive", "gr\u00fc\u00df", 1), ("receive", b"z" * 130, 2), ("receive", "ab", 1), ("pong", b""),
            ("close", -6),
        ]  # fmt: skip
        assert session.frames() == [(wire.PONG, b"p"), (wire.CLOSE, wire.close_payload(1001))]


@each(FIRMWARE)
def test_fragments_with_control_frames_between_are_one_message(firmware):
    with Session(firmware) as session:
        peer = session.open()
        euro = "\u20ac".encode()
        peer.frame(wire.TEXT, b"a" + euro[:1], fin=False)
        peer.frame(wire.PING, "1")
        peer.frame(wire.CONTINUATION, euro[1:2], fin=False)
        peer.frame(wire.PONG, "2")
        peer.frame(wire.CONTINUATION, b"", fin=False)
        peer.frame(wire.PING, "3")
        peer.frame(wire.CONTINUATION, euro[2:] + b"z")
        session.until(lambda: session.messages)
        assert session.events[1:] == [("pong", b"2"), ("receive", "a\u20acz", 1)]
        assert session.frames() == [(wire.PONG, b"1"), (wire.PONG, b"3")]


@each(FIRMWARE)
@pytest.mark.parametrize("payload", [b"", b"x" * 125], ids=["empty", "125 bytes"])
def test_ping_is_answered_in_one_write(firmware, payload):
    with Session(firmware) as session:
        peer = session.open()
        writes = session.board.calls["write"]
        peer.frame(wire.PING, payload)
        session.idle(100)
        assert session.board.calls["write"] == writes + 1
        assert session.frames() == [(wire.PONG, payload)]
        assert session.events == [("connection",)]


@each(FIRMWARE)
@pytest.mark.parametrize("fragments", [[b""], [b"", b"", b""], [PATTERN[:513]], [PATTERN[:30000], b"x", b""]],
                         ids=["empty", "empty fragments", "one frame", "fragments"])  # fmt: skip
def test_data_hands_over_every_byte_and_final_once(firmware, fragments):
    with Session(firmware) as session:
        peer = session.open()
        found = pieces(session)
        for opcode, content in ((wire.BINARY, fragments), (wire.TEXT, [b"text"])):
            for index, fragment in enumerate(content):
                peer.frame(wire.CONTINUATION if index else opcode, fragment, fin=index == len(content) - 1)
        session.until(lambda: len(found) == 2, 60000)
        assert found == [(b"".join(fragments), wire.BINARY), (b"text", wire.TEXT)]
        assert not session.messages


@each()
def test_data_applies_from_the_next_message_on(firmware):
    with Session(firmware) as session:
        peer = session.open()
        peer.frame(wire.TEXT, "a", fin=False)
        session.idle(50)
        found = pieces(session)
        peer.frame(wire.CONTINUATION, "b")
        peer.frame(wire.TEXT, "c", fin=False)
        session.idle(50)
        session.ws.on("data", None)
        peer.frame(wire.CONTINUATION, "d")
        peer.frame(wire.TEXT, "e")
        session.idle(50)
        assert session.messages == ["ab", "e"]
        assert found == [(b"cd", wire.TEXT)]


@each()
@pytest.mark.parametrize("within", [True, False], ids=["within a message", "between messages"])
def test_data_replaced_gets_whole_messages_only(firmware, within):
    with Session(firmware) as session:
        peer = session.open()
        first, second = pieces(session), []
        peer.frame(wire.TEXT, "a", fin=not within)
        session.idle(50)
        second = pieces(session)
        if within:
            peer.frame(wire.CONTINUATION, "b")
        peer.frame(wire.BINARY, b"c")
        session.idle(50)
        assert first == [(b"ab" if within else b"a", wire.TEXT)]
        assert second == [(b"c", wire.BINARY)]


@each()
def test_data_of_a_lost_connection_is_not_called_by_the_next(firmware):
    with Session(firmware) as session:
        peer = session.open()
        found = pieces(session)
        peer.frame(wire.TEXT, "a", fin=False)
        session.idle(50)
        session.ws.on("data", None)
        peer.reset()
        session.finish()
        again = pieces(session)
        session.open().frame(wire.TEXT, "b")
        session.idle(50)
        assert found == [] and again == [(b"b", wire.TEXT)]


@each()
def test_data_that_is_no_utf8_ends_with_minus_207(firmware):
    with Session(firmware) as session:
        peer = session.open()
        pieces(session)
        peer.frame(wire.TEXT, b"\xe2\x82", fin=False)
        peer.frame(wire.CONTINUATION, b"")
        session.idle(100)
        assert session.sent_close() == 1007
        peer.close()
        assert session.finish() == -207


@each()
@pytest.mark.parametrize("event", ["connection", "receive", "pong", "data", "close"])
def test_event_without_a_handler_is_dropped(firmware, event):
    with Session(firmware) as session:
        session.ws.on(event, None)
        peer = session.open()
        peer.frame(wire.TEXT, "a")
        peer.frame(wire.PONG, "b")
        peer.close_frame()
        peer.fin()
        session.until(lambda: not session.poll())
        expected = [("connection",), ("receive", "a", 1), ("pong", b"b"), ("close", -6)]
        assert session.events == [one for one in expected if one[0] != event]


# Bytes of the server -> (status, Close code that the client sends)
BROKEN = {
    "reserved bit": (wire.frame(wire.TEXT, b"x", rsv=4), -202, 1002),
    "reserved opcode": (wire.frame(3, b"x"), -202, 1002),
    "masked": (wire.frame(wire.TEXT, b"x", key=b"abcd"), -202, 1002),
    "long ping": (wire.frame(wire.PING, b"x" * 126), -202, 1002),
    "close of one byte": (wire.frame(wire.CLOSE, b"x"), -202, 1002),
    "close code 1005": (wire.frame(wire.CLOSE, wire.close_payload(1005)), -202, 1002),
    "long form": (wire.frame(wire.TEXT, b"x", form=8), -202, 1002),
    "continuation": (wire.frame(wire.CONTINUATION, b"x"), -15, 1002),
    "text within a message": (wire.frame(wire.TEXT, b"x", fin=False) + wire.frame(wire.TEXT, b"y"), -15, 1002),
    "text": (wire.frame(wire.TEXT, b"\xff"), -207, 1007),
    "reason": (wire.frame(wire.CLOSE, wire.close_payload(1000, b"\xff")), -207, 1007),
    "too large": (wire.frame(wire.BINARY, b"x" * 1001), -8, 1009),
    "too large, first": (wire.frame(wire.BINARY, b"x" * 1001, fin=False), -10, 1009),
    "too large, later": (
        wire.frame(wire.BINARY, b"x" * 600, fin=False) + wire.frame(wire.CONTINUATION, b"x" * 401), -11, 1009,
    ),
    "announced without end": (wire.frame(wire.BINARY, announced=(1 << 63) - 1, form=8), -8, 1009),
}  # fmt: skip


@each(FIRMWARE)
@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("then", ["waits", "floods", "resets", "ends"])
def test_rule_broken_by_the_server_ends_with_a_close_frame(firmware, name, then):
    stream, status, code = BROKEN[name]
    with Session(firmware, {"max_message": 1000, "close_timeout_ms": 2000}) as session:
        peer = session.open()
        peer.frame(wire.TEXT, "good")
        peer.send(stream)
        session.until(lambda: not session.ws.connected)
        session.board.advance(150)
        assert session.messages == ["good"]
        assert peer.frames()[-1].close_code == code
        began = session.board.clock.now
        assert session.poll() is True, "TCP is the server's to end"
        if then == "floods":
            for when in range(40):
                peer.frame(wire.TEXT, "late", after_ms=when * 100)
        elif then == "resets":
            peer.reset()
        elif then == "ends":
            peer.frame(wire.TEXT, "late")
            peer.close()
        assert session.finish() == status
        assert session.messages == ["good"]
        assert session.ended_ms - began <= (2000 if then in ("waits", "floods") else 10)
        assert (session.ws.close_code, session.ws.close_reason) == (1006, "")
        assert session.sent_close() == code
        if then == "ends":
            assert peer.logged() == ["connected", "fin sent", "fin received"]


@each(KEEPS_DATA)
@pytest.mark.parametrize("frames", [200, 3])
def test_reset_after_a_close_frame_loses_nothing(firmware, frames):
    with Session(firmware) as session:
        peer = session.open()
        for _ in range(frames):
            peer.frame(wire.BINARY, b"y" * 13)
        peer.send(BYE)
        session.board.advance(50)
        peer.reset()
        session.board.advance(50)
        assert session.finish() == -6
        assert session.messages == [b"y" * 13] * frames
        assert (session.ws.close_code, session.ws.close_reason) == (1001, "bye")


@each(KEEPS_DATA)
@pytest.mark.parametrize("size", [1, 500, 513, 4000])
def test_reset_with_messages_unread_loses_none(firmware, size):
    with Session(firmware) as session:
        peer = session.open()
        peer.frame(wire.BINARY, PATTERN[:size])
        session.board.advance(50)
        peer.reset()
        session.board.advance(50)
        assert session.finish() == -109
        assert session.messages == [PATTERN[:size]]


@each(KEEPS_DATA)
def test_reset_with_pieces_unread_loses_none(firmware):
    with Session(firmware) as session:
        peer = session.open()
        found = pieces(session)
        peer.frame(wire.BINARY, PATTERN[:4000])
        session.board.advance(50)
        peer.reset()
        session.board.advance(50)
        assert session.finish() == -109
        assert found == [(PATTERN[:4000], wire.BINARY)]


@each(KEEPS_DATA)
@pytest.mark.parametrize("closed", [True, False], ids=["with a Close frame", "without"])
def test_reset_found_by_send_loses_nothing_that_came_before(firmware, closed):
    with Session(firmware) as session:
        peer = session.open()
        peer.frame(wire.TEXT, "last words")
        peer.frame(wire.PING, "and a ping")
        peer.send(BYE if closed else b"")
        session.board.advance(50)
        peer.reset()
        session.board.advance(50)
        with pytest.raises(OSError) as caught:
            session.ws.send("too late")
        assert caught.value.errno == session.number("ENOTCONN")
        assert not session.ws.connected and not session.messages
        assert session.poll() is True
        assert session.finish() == (-6 if closed else -109)
        assert session.messages == ["last words"]
        assert session.ws.close_code == (1001 if closed else 1006)


@each([one for one in FIRMWARE if one not in KEEPS_DATA])
def test_reset_on_firmware_that_drops_what_came_is_minus_109(firmware):
    with Session(firmware) as session:
        peer = session.open()
        peer.frame(wire.TEXT, "dropped by lwIP")
        session.board.advance(50)
        peer.reset()
        session.board.advance(50)
        assert session.finish() == -109
        assert not session.messages


@each(FIRMWARE)
@pytest.mark.parametrize("cut", [0, 1, 2, 5], ids=["at a boundary", "in the header", "in the length", "in the payload"])
def test_fin_after_messages_delivers_them_and_is_minus_99(firmware, cut):
    with Session(firmware) as session:
        peer = session.open()
        peer.frame(wire.TEXT, "last")
        peer.send(wire.frame(wire.BINARY, b"x" * 300)[:cut])
        peer.fin()
        assert session.finish() == -99
        assert session.messages == ["last"]
        assert session.ws.close_code == 1006 and session.ws.errno is None


@each(FIRMWARE)
def test_fin_never_hangs_a_poll(firmware):
    with Session(firmware, {"ping_interval_ms": 0}) as session:
        session.open().fin(after_ms=500)
        session.poll(60000)
        assert session.statuses == [] or session.ended_ms < 600
        assert session.finish() == -99
        assert session.ended_ms < 700


@each(FIRMWARE)
def test_reset_never_hangs_a_poll(firmware):
    with Session(firmware, {"ping_interval_ms": 0}) as session:
        session.open().reset(after_ms=500)
        session.poll(60000)
        assert session.finish() == -109
        assert session.ended_ms < 700


@each(FIRMWARE)
def test_ping_flood_to_a_peer_that_does_not_read_holds_one_pong(firmware):
    with Session(firmware, {"ping_interval_ms": 0}, spin_limit=100000) as session:
        peer = session.open()
        peer.stop_reading()
        profile = session.board.profile
        flood = profile.send_buffer // 131 + 200
        for count in range(flood):
            peer.frame(wire.PING, b"%0125d" % count)
            session.idle(15)
        tracemalloc.start()
        before = tracemalloc.take_snapshot()
        for count in range(flood, flood + 100):
            peer.frame(wire.PING, b"%0125d" % count)
            session.idle(15)
        grown = tracemalloc.take_snapshot().compare_to(before, "filename")
        tracemalloc.stop()
        assert sum(one.size_diff for one in grown if "/uwebsocket_" in one.traceback[0].filename) < 4096
        last = b"%0125d" % count
        peer.resume_reading()
        session.idle(5000)
        found = session.frames()
        assert found[-1] == (wire.PONG, last), "the latest ping is the one to answer (RFC 6455 5.5.3)"
        assert len(found) <= profile.send_buffer // 131 + 3
        session.ws.send("works")
        assert session.frames()[-1] == (wire.TEXT, b"works")


@each(FIRMWARE)
def test_ten_thousand_empty_fragments_are_one_message_in_bounded_polls(firmware):
    with Session(firmware, spin_limit=100000) as session:
        peer = session.open()
        peer.frame(wire.TEXT, b"", fin=False)
        peer.send(wire.frame(wire.CONTINUATION, b"", fin=False) * 10000)
        peer.frame(wire.CONTINUATION, b"x")
        most = 0
        while not session.messages:
            reads = session.board.calls["read"]
            session.poll(0)
            session.board.advance(1)
            most = max(most, session.board.calls["read"] - reads)
            assert session.board.clock.now < 60000
        assert session.messages == ["x"]
        assert most < 1000


@each(FIRMWARE)
def test_flood_of_messages_is_handled_in_bounded_polls(firmware):
    with Session(firmware, spin_limit=100000) as session:
        peer = session.open()
        for _ in range(5000):
            peer.frame(wire.TEXT, "flood")
        most = 0
        while len(session.messages) < 5000:
            before = len(session.messages)
            session.poll(0)
            session.board.advance(1)
            most = max(most, len(session.messages) - before)
            assert session.board.clock.now < 60000
        assert most < 300
        assert session.messages == ["flood"] * 5000


@each(FIRMWARE)
def test_one_poll_handles_what_one_read_brought(firmware):
    with Session(firmware) as session:
        peer = session.open()
        peer.send(wire.frame(wire.TEXT, b"a") * 20)
        session.board.advance(100)
        session.poll(0)
        assert len(session.messages) == 20
        assert session.poll(0) is True


@each(FIRMWARE)
def test_message_in_a_slow_trickle_is_no_silence(firmware):
    with Session(firmware, {"ping_interval_ms": 1000, "ping_limit": 1}) as session:
        peer = session.open()
        for place, byte in enumerate(wire.frame(wire.BINARY, b"0123456789")):
            peer.send(bytes((byte,)), after_ms=900 * (place + 1))
        session.until(lambda: session.messages, 20000)
        assert session.messages == [b"0123456789"]
        assert {opcode for opcode, _ in session.frames()} == {wire.PING}, "nothing was sent for so long"
