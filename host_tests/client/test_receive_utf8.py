"""utf8() of _wsreceive against CPython's strict decoder, on every interpreter, across every cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _wsreceive import utf8
from common import rigs
from support.programs import CHIP, told
from upy import protocol_cases
from upy.plain import digest

_BETWEEN, _INSIDE, _WRONG = 0, 1, 2
_RESTS = [first + b"\x80" * more for first in (b"\x80", b"\xbf") for more in range(3)]  # one fits whatever is missing


def _decodes(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _kind(data):
    """Return what CPython's decoder says of `data`: between two characters, inside one, or wrong.

    Its incremental decoder would not do: it waits for a third byte after the first two of a surrogate.
    """
    if _decodes(data):
        return _BETWEEN
    return _INSIDE if any(_decodes(data + rest) for rest in _RESTS) else _WRONG


def _kind_of_state(state):
    return _WRONG if state < 0 else _INSIDE if state else _BETWEEN


def _tree(alphabet, depth, before=b""):
    """Return the kinds of all beginnings of a character, in the order of tree() in upy/protocol_program.py."""
    kinds = bytearray()
    for byte in alphabet:
        data = before + bytes((byte,))
        kinds.append(_kind(data))
        if len(data) < depth and kinds[-1] == _INSIDE:
            kinds += _tree(alphabet, depth, data)
    return kinds


@pytest.fixture(scope="module")
def trees():
    """What CPython's decoder says of the beginnings that the program plays."""
    return {
        "every-byte-up-to-3": digest(_tree(bytes(range(256)), 3)),
        "edges-up-to-5": digest(_tree(protocol_cases.EDGES, 5)),
    }


def _told(interpreter):
    return told(interpreter, "protocol_program.py", "utf8", heap="32m")


@pytest.mark.parametrize("name", ["every-byte-up-to-3", "edges-up-to-5"])
@pytest.mark.parametrize("interpreter", [*rigs.INTERPRETERS, CHIP])
def test_utf8_of_all_beginnings_byte_by_byte_judges_as_a_strict_decoder(trees, interpreter, name):
    assert _told(interpreter)[name] == trees[name]


@pytest.mark.parametrize(
    ("name", "data"), [pytest.param(*case, id=case[0]) for case in protocol_cases.BAD_TEXTS + protocol_cases.GOOD_BYTES]
)
@pytest.mark.parametrize("interpreter", [*rigs.INTERPRETERS, CHIP])
def test_utf8_of_text_across_every_cut_judges_as_a_strict_decoder(interpreter, name, data):
    assert _told(interpreter)[name] == [_kind(data)] * (len(data) + 1)


def test_utf8_of_every_character_is_good():
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)])).encode()
    assert utf8(everything, 0, len(everything), 0) == 0


def test_utf8_of_every_surrogate_is_wrong():
    surrogates = [chr(code).encode("utf-8", "surrogatepass") for code in range(0xD800, 0xE000)]
    assert {utf8(data, 0, 3, 0) for data in surrogates} == {-1}


def test_utf8_of_a_part_looks_at_nothing_else():
    text = "a\u00e9\u20ac\U0001f600".encode()
    assert utf8(b"\xff" + text + b"\xff", 1, 1 + len(text), 0) == 0


@pytest.mark.parametrize("state", [0, utf8(b"\xf0\x9f", 0, 2, 0)], ids=["between", "inside"])
def test_utf8_of_nothing_leaves_the_state(state):
    assert utf8(b"\xff", 0, 0, state) == utf8(b"\xff", 1, 1, state) == state


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_utf8_of_any_buffer_is_checked(kind):
    assert utf8(kind("\u20ac".encode()), 0, 3, 0) == 0


_PARTS = st.text(max_size=6).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=4)


@settings(max_examples=500, deadline=None)
@given(parts=st.lists(_PARTS, max_size=6))
def test_utf8_of_any_parts_judges_as_a_strict_decoder(parts):
    state = 0
    for part in parts:
        if state >= 0:
            state = utf8(part, 0, len(part), state)
    assert _kind_of_state(state) == _kind(b"".join(parts))
