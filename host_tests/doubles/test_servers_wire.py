"""The bytes of host_tests/servers/wire.py against the frame code of the `websockets` library."""

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader
from websockets.utils import accept_key

from servers import wire

_LENGTHS = (0, 1, 125, 126, 127, 65535, 65536)
_KEY = b"\x01\x80\xff\x00"


@pytest.mark.parametrize("length", _LENGTHS)
@pytest.mark.parametrize("opcode", [wire.TEXT, wire.BINARY, wire.CONTINUATION])
def test_frame_of_every_length_form_is_what_websockets_makes(opcode, length):
    payload = bytes(i & 0xFF for i in range(length))
    assert wire.frame(opcode, payload, fin=False) == Frame(Opcode(opcode), payload, fin=False).serialize(mask=False)


def test_frame_bits_and_length_wrong_on_purpose_go_out_as_told():
    assert wire.frame(3, b"x", rsv=4) == b"\xc3\x01x"
    assert wire.frame(wire.PING, b"x", form=2) == b"\x89\x7e\x00\x01x"
    assert wire.frame(wire.BINARY, announced=1 << 63, form=8) == b"\x82\x7f\x80" + bytes(7)
    assert wire.frame(wire.TEXT, b"abcd", key=b"\x01\x01\x01\x01") == b"\x81\x84\x01\x01\x01\x01`cbe"


@pytest.mark.parametrize("length", _LENGTHS)
def test_parse_of_a_client_frame_gives_it_back_unmasked(length):
    payload = bytes(i * 7 & 0xFF for i in range(length))
    data = Frame(Opcode.BINARY, payload).serialize(mask=True)
    frame, size = wire.parse(data + b"next")
    assert (size, frame.payload, frame.fin, frame.rsv, frame.opcode, frame.shortest) == (
        len(data),
        payload,
        True,
        0,
        2,
        True,
    )
    assert frame.key == data[size - length - 4 : size - length]


@pytest.mark.parametrize("length", _LENGTHS[:5])
def test_parse_cut_at_every_byte_waits_for_the_rest(length):
    data = wire.frame(wire.TEXT, b"x" * length, key=_KEY)
    assert [cut for cut in range(len(data)) if wire.parse(data[:cut])] == []


def test_parse_of_unmasked_and_longer_forms_tells_them():
    frame, _ = wire.parse(wire.frame(wire.TEXT, b"x", form=8))
    assert (frame.key, frame.shortest) == (None, False)


def test_frames_of_wire_are_read_by_websockets():
    reader = StreamReader()
    reader.feed_data(wire.frame(wire.TEXT, b"hello"))
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    assert parsed.value.value == Frame(Opcode.TEXT, b"hello")


def test_accept_value_is_that_of_the_rfc():
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    assert wire.accept_value(key) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" == accept_key(key)


@pytest.mark.parametrize(
    ("payload", "code"), [(b"", 1005), (b"\x03", 1005), (b"\x03\xe8", 1000), (b"\x0f\xa1no", 4001)]
)
def test_close_code_of_payload_is_told(payload, code):
    frame, _ = wire.parse(wire.frame(wire.CLOSE, payload, key=_KEY))
    assert frame.close_code == code
