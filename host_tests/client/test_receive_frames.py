"""The receiver of _wsreceive: every rule of RFC 6455 5 to 8, on every interpreter, however the bytes come."""

import itertools
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from _wsreceive import receiver
from common import rigs
from servers import wire
from support import chip_tables
from support.programs import CHIP, MICROPYTHONS, told
from upy import protocol_cases
from upy.plain import plain
from upy.protocol_player import Feed, is_end, play, ways

_PROGRAM = "protocol_program.py"
_RUNS = list(protocol_cases.runs())
_FRAMEWORK_BYTES = 6000  # what playing takes beside the receiver


# ---- the table


@pytest.mark.parametrize(
    ("interpreter", "name", "expected"),
    [
        pytest.param(interpreter, run[0], run[2], id=f"{run[0]}-{interpreter}")
        for run in _RUNS
        for interpreter in (*rigs.INTERPRETERS, CHIP)
        if interpreter != CHIP or chip_tables.fits(*run[1:3])
    ],
)
def test_receiver_stream_however_it_comes_says_the_same(interpreter, name, expected):
    assert told(interpreter, _PROGRAM, "receiver", heap="32m")[name] == plain(expected)


def test_receiver_table_has_each_name_once():
    names = [run[0] for run in _RUNS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("status", [-8, -10, -11, -15, -202, -207])
def test_receiver_table_has_the_status(status):
    assert any(run[2] and run[2][-1] == status for run in _RUNS)


_NO_MEMORY = {
    "whole": [-8],
    "first-fragment": [-10],
    "later-fragment": [-11],
    "text": [-13],
    "afterwards": [[2, "500 bytes 69206a472a1f3842"]],
}


@pytest.mark.parametrize("interpreter", [*MICROPYTHONS, CHIP])
@pytest.mark.parametrize(("name", "expected"), _NO_MEMORY.items(), ids=_NO_MEMORY)
def test_receiver_message_larger_than_the_heap_says_the_status(interpreter, name, expected):
    assert told(interpreter, "protocol_memory_program.py", heap="128k")[name] == expected


# ---- exhaustively


def _expected_of_header(first, second, within):
    """Return what the first two bytes of a frame lead to (RFC 6455 5.2, 5.4, 5.5), None for nothing yet."""
    opcode, fin, size = first & 15, first >> 7, second & 127
    if first & 0x70 or second & 0x80 or opcode not in protocol_cases.OPCODES:
        return -202
    if opcode >= 8:
        return -202 if size > 125 or not fin else None
    return -15 if (opcode == 0) != within else None


@pytest.mark.parametrize("within", [False, True], ids=["between-messages", "within-a-message"])
@pytest.mark.parametrize("data", [False, True], ids=["whole", "in-pieces"])
def test_receiver_first_two_bytes_of_every_value_are_judged_at_once(within, data):
    start = b"\x01\x01a" if within else b""
    wrong = []
    for first, second in itertools.product(range(256), repeat=2):
        expected = _expected_of_header(first, second, within)
        said = play([start + bytes((first, second))], data=data, most=65536)
        if (said[-1] if said and isinstance(said[-1], int) else None) != expected:
            wrong.append((first, second, said))
    assert wrong == []


def test_receiver_close_code_of_every_value_is_judged():
    allowed = {code for code in range(65536) if play([wire.frame(wire.CLOSE, wire.close_payload(code))]) != [-202]}
    assert allowed == {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


# ---- whatever comes

_TEXTS = st.text(st.characters(codec="utf-8"), max_size=300)
_BINARIES = st.binary(max_size=300) | st.integers(0, 1200).map(bytes)
_CONTROLS = st.tuples(st.sampled_from([wire.PING, wire.PONG]), st.binary(max_size=125))
_MESSAGES = st.tuples(st.just(wire.TEXT), _TEXTS) | st.tuples(st.just(wire.BINARY), _BINARIES)


def _split(draw, payload, most):
    """Return the payload in a few parts, empty ones among them."""
    places = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=most)))
    return [payload[start:end] for start, end in zip([0, *places], [*places, len(payload)], strict=True)]


@st.composite
def _conversations(draw):
    """Draw a stream in chunks, and what it holds: [(opcode, content)]."""
    stream = b""
    held = []
    for opcode, content in draw(st.lists(_MESSAGES | _CONTROLS, max_size=6)):
        if opcode in (wire.PING, wire.PONG):
            stream += wire.frame(opcode, content)
        else:
            parts = _split(draw, content.encode() if opcode == wire.TEXT else content, 4)
            for i, part in enumerate(parts):
                if i:
                    for between in draw(st.lists(_CONTROLS, max_size=2)):
                        stream += wire.frame(*between)
                        held.append(between)
                last = i == len(parts) - 1
                stream += wire.frame(wire.CONTINUATION if i else opcode, part, fin=last)
        held.append((opcode, content))
    return _split(draw, stream, 12), held


@settings(max_examples=300, deadline=None)
@given(conversation=_conversations(), data=st.booleans(), nothing=st.sampled_from([None, 0]))
def test_receiver_any_conversation_in_any_chunks_comes_back(conversation, data, nothing):
    chunks, held = conversation
    assert play(chunks, data=data, nothing=nothing) == (protocol_cases.in_pieces(held) if data else held)


@st.composite
def _frames(draw):
    """Draw the bytes of a frame that is often right and sometimes wrong."""
    opcode = draw(st.sampled_from([0, 1, 1, 2, 2, 8, 9, 10]) | st.integers(0, 15))
    payload = draw(st.binary(max_size=130) | _TEXTS.map(str.encode) | st.sampled_from([wire.close_payload(1000), b""]))
    rsv = draw(st.sampled_from([0] * 12 + [4, 2, 1]))
    fin = draw(st.sampled_from([True, True, False]))
    key = draw(st.sampled_from([None] * 12 + [b"\1\2\3\4"]))
    return wire.frame(opcode, payload, fin=fin, rsv=rsv, key=key)


_STREAMS = st.binary(max_size=200) | st.lists(_frames(), max_size=8).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(stream=_STREAMS, most=st.sampled_from([0, 100, 4096]), data=st.booleans())
@example(stream=b"\x01\x01\xff\x89\x00\x80\x00", most=100, data=False)
def test_receiver_any_bytes_say_the_same_however_they_come(stream, most, data):
    first = None
    for _, chunks, nothing in ways(stream):
        said = play(chunks, data=data, most=most, nothing=nothing)
        assert "goes on" not in said and "ended" not in said
        assert not any(is_end(word) for word in said[:-1])
        if first is None:
            first = said
        elif said[-1:] == [-207]:
            # Told as soon as the text cannot become UTF-8: what came between its fragments may be left out.
            both = len(said) - 1
            assert said[:both] == first[:both]
            assert is_end(first[-1]) and all(word[0] > wire.CLOSE for word in first[both:-1])
        else:
            assert said == first


@settings(max_examples=150, deadline=None)
@given(
    stream=_STREAMS,
    announced=st.integers(0, 1 << 63),
    first=st.sampled_from([1, 2, 0x81, 0x82, 0x80]),
    data=st.booleans(),
)
def test_receiver_any_bytes_take_no_more_memory_than_came_or_may(stream, announced, first, data):
    stream += wire.frame(first & 15, b"abc", fin=first > 15, announced=announced, form=8)
    most = 20000
    tracemalloc.start()
    try:
        said = play([stream], data=data, most=most)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    held = sum(len(word[1]) * 4 + 200 for word in said if isinstance(word, tuple))
    assert peak < most + len(stream) * 3 + held + _FRAMEWORK_BYTES


def _kept_after(chunks, data):
    """Return the bytes that the receiver holds once all was read and handed over."""
    feed = Feed(chunks)
    tracemalloc.start()
    try:
        task = receiver(feed.read, {"data": feed} if data else {}, None)
        for event in task:
            if event:
                next(task)
            elif feed.over():
                break
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "stream",
    [
        wire.frame(wire.TEXT, b"a" * 50000),
        wire.frame(wire.BINARY, b"a" * 500, fin=False) + wire.frame(wire.CONTINUATION, b"b" * 50000),
        wire.frame(wire.PING, b"p" * 125) * 20,
    ],
    ids=["text", "fragments", "pings"],
)
def test_receiver_after_messages_keeps_nothing_of_them(stream):
    nothing = _kept_after([], False)
    assert _kept_after([stream] * 3, False) < nothing + 300


def test_receiver_after_pieces_keeps_one_buffer():
    nothing = _kept_after([], True)
    assert _kept_after([wire.frame(wire.BINARY, bytes(50000))], True) < nothing + 900


def test_receiver_ten_thousand_empty_fragments_are_one_message():
    stream = b"\x02\x01a" + b"\x00\x00" * 10000 + b"\x80\x01b"
    assert play([stream]) == [(2, b"ab")]
    assert play([stream], data=True) == [(0x32, b"ab")]


def test_receiver_error_of_read_comes_out():
    def read(buffer, offset, n):
        raise OSError(104)

    with pytest.raises(OSError, match="104"):
        next(receiver(read, {}, None))


def test_receiver_message_once_told_is_the_handlers_alone():
    feed = Feed([wire.frame(wire.BINARY, b"first") + wire.frame(wire.BINARY, b"other")])
    task = receiver(feed.read, {}, None)
    contents = [next(task) for _ in range(4)][1::2]
    assert contents == [bytearray(b"first"), bytearray(b"other")]
    contents[0][:] = b"mine!"
    contents[0].extend(b"more")
    assert contents[1] == b"other"
