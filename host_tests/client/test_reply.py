"""reply() of _wsreply: what the server answers, on every interpreter, cut at every byte."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from _wsreply import reply
from common import rigs
from support import chip_tables
from support.programs import CHIP, told
from upy.handshake_cases import ACCEPT, GOOD_LINES, HEADERS, PROTOCOLS, REPLIES, REPLY_MOST, joined
from upy.handshake_player import WAITING, play, play_all_ways
from upy.plain import plain

_GOOD = joined(*GOOD_LINES, b"Sec-WebSocket-Protocol: chat")
_AFTER = b"\x81\x02hi\r\n\r\n"


def _cases(table):
    """Return pairs of an interpreter and a case: the chip takes short replies."""
    return [
        pytest.param(interpreter, case, id=f"{case[0]}-{interpreter}")
        for case in table
        for interpreter in (*rigs.INTERPRETERS, CHIP)
        if interpreter != CHIP or chip_tables.fits(case[1])
    ]


@pytest.mark.parametrize(("interpreter", "case"), _cases(REPLIES))
def test_reply_of_the_table_however_it_comes_opens_or_is_refused(interpreter, case):
    name, _, _, status, http_status = case
    left = _AFTER if isinstance(status, tuple) else None
    result = told(interpreter, "handshake_program.py", "replies", heap="32m")[name]
    assert result[:3] == plain([status, http_status, left])
    assert (result[3] is None) == isinstance(status, tuple)


@pytest.mark.parametrize(("interpreter", "case"), _cases(HEADERS))
def test_headers_of_a_reply_are_told_in_order_however_they_come(interpreter, case):
    name, _, headers = case
    assert told(interpreter, "handshake_program.py", "headers", heap="32m")[name][0] == plain(headers)


@pytest.mark.parametrize("wanted", [False, True], ids=["unwanted", "wanted"])
@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((b"HTTP/1.1 403 Forbidden here",), "HTTP/1.1 403 Forbidden here"),
        ((b"HTTP/1.0 101 Old",), "HTTP/1.1"),
        ((*GOOD_LINES[:1], b"Upgrade: h2c"), "upgrade"),
        ((*GOOD_LINES[:3], b"Sec-WebSocket-Accept: x"), "sec-websocket-accept"),
        ((*GOOD_LINES, b"Sec-WebSocket-Protocol: x"), "sec-websocket-protocol"),
        ((*GOOD_LINES, b"X y: x"), "x y"),
        ((*GOOD_LINES, b"no colon"), "no colon"),
        (GOOD_LINES[:3], "missing header sec-websocket-accept"),
        ((*GOOD_LINES[:2], *GOOD_LINES[3:]), "missing header connection"),
        ((*GOOD_LINES[:1], b"X: " + b"x" * 20000), "16 KiB"),
    ],
    ids=[
        "refusal",
        "old-version",
        "upgrade",
        "accept",
        "protocol",
        "malformed",
        "no-colon",
        "no-accept",
        "no-connection",
        "too-much",
    ],
)
def test_error_of_a_bad_reply_says_what_is_wrong(lines, words, wanted):
    assert words in play([joined(*lines)], ACCEPT, PROTOCOLS, [] if wanted else None)[3]


def test_reply_table_has_each_name_once():
    names = [case[0] for case in REPLIES]
    assert len(set(names)) == len(names)


def test_reply_cut_before_its_end_is_waited_for():
    outcomes = {play([_GOOD[:end]], ACCEPT, PROTOCOLS)[0] for end in range(len(_GOOD))}
    assert outcomes == {WAITING}


@pytest.mark.parametrize("missing", range(1, len(GOOD_LINES)), ids=lambda i: GOOD_LINES[i].partition(b":")[0].decode())
def test_reply_without_a_line_is_refused(missing):
    lines = [line for i, line in enumerate(GOOD_LINES) if i != missing]
    assert play([joined(*lines)], ACCEPT, PROTOCOLS)[0] == -7


def test_reply_reads_no_more_than_its_limit():
    left = play([joined(GOOD_LINES[0], b"X: " + b"x" * 40000)], ACCEPT, PROTOCOLS)[2]
    assert len(left) >= 40000 - REPLY_MOST


_LINES = st.sampled_from([*GOOD_LINES, b"Sec-WebSocket-Protocol: chat", b"X: y", b"", b"HTTP/1.1 404 No"]) | st.binary(
    max_size=40
)


@st.composite
def _broken(draw):
    """Draw a good reply in which a few bytes are others, missing or new."""
    data = bytearray(_GOOD)
    for at, length, new in draw(
        st.lists(st.tuples(st.integers(0, len(_GOOD)), st.integers(0, 3), st.binary(max_size=3)), max_size=3)
    ):
        data[at : at + length] = new
    return bytes(data)


_ANY = _broken() | st.binary(max_size=300) | st.lists(_LINES, max_size=8).map(lambda lines: joined(*lines))


@settings(max_examples=400, deadline=None)
@given(reply=_ANY, after=st.sampled_from([b"", _AFTER]), wanted=st.sampled_from([None, []]))
@example(reply=b"HTTP/1.1 \xb2\xb2\xb2 x\r\n", after=b"", wanted=None)
@example(reply=joined(*GOOD_LINES, b"Sec-WebSocket-Protocol: \xff"), after=b"", wanted=None)
def test_reply_of_any_bytes_opens_or_is_refused_or_waited_for(reply, after, wanted):
    status, http_status, _, error = play_all_ways(reply + after, ACCEPT, PROTOCOLS, wanted)
    assert (error is not None) == (status in (-7, -17))
    assert status in (-7, -17, WAITING) or status in ((None,), ("chat",), ("superchat",))
    assert status == -17 if http_status and wanted is None else http_status or status != -17
    if isinstance(status, tuple):
        assert ACCEPT in reply


@settings(max_examples=100, deadline=None)
@given(after=st.binary(max_size=100))
def test_reply_that_is_good_leaves_what_follows(after):
    assert play_all_ways(_GOOD + after, ACCEPT, PROTOCOLS) == (("chat",), None, after, None)


def test_reply_refused_after_a_subprotocol_leaves_none_chosen():
    class Result:
        protocol = error = None

    lines = iter([line + b"\r\n" for line in (GOOD_LINES[0], b"Sec-WebSocket-Protocol: chat", b"Upgrade: no")])
    result = Result()
    assert list(reply(lambda n: next(lines), ACCEPT, PROTOCOLS, result)) == [-7]
    assert result.protocol is None
