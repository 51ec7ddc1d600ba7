"""Frame headers and masking of _wsprotocol, in bytecode and in machine code, on every interpreter."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _wsprotocol import header, mask
from common import compiler, rigs
from servers import wire
from support import chip_tables
from support.programs import CHIP, MICROPYTHONS, told
from upy.plain import plain
from upy.protocol_cases import KEY, SOURCE, mask_runs

_PROGRAM = "protocol_program.py"
_BODY = 16
_PORTABLE = [(interpreter, False) for interpreter in (*rigs.INTERPRETERS, CHIP)]
_MACHINE = [(interpreter, True) for interpreter in (*MICROPYTHONS, CHIP)]


@pytest.fixture(scope="module")
def maskers(tmp_path_factory):
    """{interpreter: a folder with the masker, built for it}."""
    folders = {name: tmp_path_factory.mktemp(name) for name in MICROPYTHONS}
    for name, folder in folders.items():
        compiler.build_folder([rigs.DEVICE / compiler.MASKER], folder, rigs.arch(name))
    return folders


@pytest.fixture(scope="module")
def sent(maskers):
    """A function that returns what the program tells of a topic, by interpreter and kind of masker."""

    def tell(topic, interpreter, machine):
        if machine:
            return told(interpreter, _PROGRAM, topic, heap="32m", before=maskers.get(interpreter))
        return told(interpreter, _PROGRAM, topic, "portable", heap="32m")

    return tell


def _frame(payload):
    return wire.frame(wire.BINARY, bytes(payload), key=KEY)


def _ids(pairs):
    return [f"{interpreter}-{'viper' if machine else 'portable'}" for interpreter, machine in pairs]


@pytest.mark.parametrize(("interpreter", "machine"), _PORTABLE + _MACHINE, ids=_ids(_PORTABLE + _MACHINE))
def test_masker_of_the_run_is_the_one_asked_for(sent, interpreter, machine):
    assert sent("mask", interpreter, machine)["masker"] == ("machine code" if machine else "bytecode")


@pytest.mark.parametrize(("interpreter", "machine"), _PORTABLE + _MACHINE, ids=_ids(_PORTABLE + _MACHINE))
def test_frame_of_every_length_in_every_scratch_buffer_is_as_the_rfc_asks(sent, interpreter, machine):
    results = sent("mask", interpreter, machine)
    wrong = [
        (name, room)
        for name, start, n, room in (chip_tables.mask_runs() if interpreter == CHIP else mask_runs())
        if results[name] != plain(_frame(memoryview(SOURCE)[start : start + n]))
    ]
    assert wrong == []


@pytest.mark.parametrize("interpreter", [*rigs.INTERPRETERS, CHIP])
@pytest.mark.parametrize(("start", "n"), [(0, 1), (0, 5), (3, 5), (1, 64), (64, 128)])
def test_mask_without_memory_for_wide_integers_masks_byte_by_byte(sent, interpreter, start, n):
    expected = wire.mask(SOURCE[start : start + n], KEY)
    assert sent("mask", interpreter, False)[f"no-memory-{start}-of-{n}"] == plain(expected)


_UNALLOCATED = {
    **dict.fromkeys(
        (
            "idle-before-a-message",
            "idle-in-a-header",
            "idle-in-a-length",
            "idle-in-a-text",
            "idle-in-a-binary",
            "idle-in-a-ping",
            "idle-between-fragments",
            "idle-in-a-fragment",
            "idle-between-pieces",
            "utf8-of-1000-bytes",
        ),
        0,
    ),
    "header-of-0": 10,
    "header-of-125": 10,
    "header-of-126": 8,
    "header-of-65535": 8,
    "header-of-65536": 2,
    "header-of-536870912": 2,
    **{f"mask-of-{n}": None for n in range(97, 101)},
}


@pytest.mark.parametrize(("name", "expected"), _UNALLOCATED.items(), ids=_UNALLOCATED)
@pytest.mark.parametrize("interpreter", [*MICROPYTHONS, CHIP])
def test_hot_path_with_the_heap_locked_allocates_nothing(sent, interpreter, name, expected):
    assert sent("locked", interpreter, True)[name] == expected


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, (1 << 32) + 1, (1 << 63) - 1])
@pytest.mark.parametrize("first", [0x81, 0x02, 0x00, 0x80, 0x88, 0x8A])
def test_header_of_any_length_and_opcode_ends_before_the_payload(first, length):
    scratch = bytearray(b"\xee" * 20)
    start = header(scratch, first, length, KEY)
    expected = wire.frame(first & 15, fin=first > 15, announced=length)
    assert scratch[start:_BODY] == expected[:1] + bytes((expected[1] | 0x80,)) + expected[2:] + KEY
    assert scratch[:start] == b"\xee" * start and scratch[_BODY:] == b"\xee" * 4


def _wire_bytes(message, key, room):
    """Return the frame that is put together in a scratch buffer with `room` bytes for the payload."""
    n = len(message)
    scratch = bytearray(_BODY + room)
    start = header(scratch, 0x82, n, key)
    out = scratch[start:_BODY]
    for done in range(0, n, room):
        size = min(n - done, room)
        scratch[_BODY : _BODY + size] = message[done : done + size]
        mask(scratch, size)
        out += scratch[_BODY : _BODY + size]
    assert len(scratch) == _BODY + room
    return out


@settings(max_examples=200, deadline=None)
@given(
    message=st.binary(max_size=700) | st.integers(0, 70000).map(bytes),
    key=st.binary(min_size=4, max_size=4),
    room=st.sampled_from([128, 484, 968, 1452]),
)
def test_frame_of_any_message_is_read_back_by_a_server(message, key, room):
    frame, size = wire.parse(_wire_bytes(message, key, room))
    assert (frame.opcode, frame.key, frame.payload, frame.shortest) == (wire.BINARY, key, message, True)
