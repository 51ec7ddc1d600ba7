"""request() of _wsrequest: the upgrade request, on every interpreter."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common import rigs
from servers import wire
from support.programs import CHIP, told
from upy.handshake_cases import ACCEPT, KEY, REQUESTS, URLS
from upy.handshake_player import requested
from upy.plain import plain


@pytest.mark.parametrize("interpreter", [*rigs.INTERPRETERS, CHIP])
@pytest.mark.parametrize(
    ("name", "lines", "offered"), [pytest.param(case[0], *case[4:], id=case[0]) for case in REQUESTS]
)
def test_request_of_the_table_has_exactly_its_lines(interpreter, name, lines, offered):
    sent, accept, protocols = told(interpreter, "handshake_program.py", "requests")[name]
    assert (sent[0], sent[-2:]) == (lines[0], ["", ""])
    assert sorted(sent[1:-2]) == sorted(plain(lines[1:]))
    assert accept == plain(ACCEPT)
    assert protocols == list(offered)


@pytest.mark.parametrize("url", [pytest.param(case[1], id=case[0]) for case in URLS if isinstance(case[2], int)])
def test_request_of_a_bad_url_is_its_status(url):
    expected = next(case[2] for case in URLS if case[1] == url)
    assert requested(url, {}, (), KEY) == expected


@settings(max_examples=50, deadline=None)
@given(key=st.binary(min_size=16, max_size=16))
def test_request_with_any_key_expects_the_accept_of_the_rfc(key):
    text, accept, _ = requested("ws://h/", {}, (), key)
    sent = next(line for line in text.decode().split("\r\n") if line.startswith("Sec-WebSocket-Key: "))
    assert accept.decode() == wire.accept_value(sent.partition(": ")[2])


def test_request_of_a_long_url_holds_it_in_full_and_in_pieces():
    url = "ws://h/" + "a\u00e9|" * 3000
    path = "/" + "a%C3%A9%7C" * 3000
    assert requested(url, {}, (), KEY)[0].startswith(f"GET {path} HTTP/1.1\r\nHost: h\r\n".encode())


def test_request_leaves_the_headers_and_protocols_alone():
    headers, protocols = {"Host": "a", "Sec-WebSocket-Protocol": "x"}, ["y"]
    requested("ws://h/", headers, protocols, KEY)
    assert (headers, protocols) == ({"Host": "a", "Sec-WebSocket-Protocol": "x"}, ["y"])
