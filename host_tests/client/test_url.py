"""parse_url() of _wsurl: URLs good and bad, on every interpreter."""

import base64
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from _wsurl import parse_url
from common import rigs
from support.programs import CHIP, told
from upy.handshake_cases import KEY, URLS
from upy.handshake_player import parsed, requested
from upy.plain import plain

_STATUSES = (-1, -2, -3, -4)


@pytest.mark.parametrize("interpreter", [*rigs.INTERPRETERS, CHIP])
@pytest.mark.parametrize(("name", "expected"), [pytest.param(case[0], case[2], id=case[0]) for case in URLS])
def test_url_of_the_table_is_taken_apart_or_refused(interpreter, name, expected):
    assert told(interpreter, "handshake_program.py", "urls")[name] == plain(expected)


def test_url_table_has_each_name_once():
    names = [case[0] for case in URLS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("status", _STATUSES)
def test_url_table_has_the_status(status):
    assert any(case[2] == status for case in URLS)


_PARTS = st.text(max_size=20) | st.sampled_from(
    ["@", ":", "/", "?", "#", "%", "%41", "[", "]", "::1", "\r\nX: 1", " ", "\\", "<", ">", '"', "^`{|}"]
)
_URLS = st.text(max_size=60) | st.lists(_PARTS, max_size=8).map(lambda parts: "ws://" + "".join(parts))


@settings(max_examples=600, deadline=None)
@given(url=_URLS)
@example(url="ws://h/\ud800")
@example(url="ws://h:80\u0661")
@example(url="ws://\u212a/")
def test_url_of_any_text_is_taken_apart_or_refused(url):
    target = parse_url(url)
    if isinstance(target, int):
        assert target in _STATUSES
        return
    tls, host, port, start, authorization = target
    assert url.encode()[start : start + 1] in (b"", b"/", b"?", b"#")
    path = parsed(url)[3]
    assert tls in (False, True)
    assert 0 < len(host) <= 256 and re.fullmatch(rb"[!-~]+", host) and not set(host) & set(b"/?#@\\")
    assert 1 <= port <= 65535
    assert re.fullmatch(rb"/[!-~]*", path)
    assert authorization is None or base64.b64decode(authorization.removeprefix(b"Basic "), validate=True)


@settings(max_examples=600, deadline=None)
@given(url=_URLS)
@example(url="ws://u:%0d%0aX:1@h/%0d%0a?%0a")
def test_url_of_any_text_adds_no_line_to_the_request(url):
    made = requested(url, {}, (), KEY)
    if isinstance(made, int):
        return
    lines = made[0].split(b"\r\n")
    authorized = parse_url(url)[4] is not None
    assert len(lines) == 7 + authorized + 2 and lines[-2:] == [b"", b""]
    assert re.fullmatch(rb"GET /[!-~]* HTTP/1.1", lines[0])
    assert all(re.fullmatch(rb"[A-Za-z-]+: [ -~]+", line) for line in lines[1:-2])


@settings(max_examples=200, deadline=None)
@given(
    host=st.from_regex(r"[a-zA-Z0-9._-]{1,60}", fullmatch=True),
    port=st.none() | st.integers(1, 65535),
    path=st.from_regex(r"(/[a-zA-Z0-9/._~!$&'()*+,;=:@-]{0,20})?(\?[a-z=&/?]{0,10})?", fullmatch=True),
    tls=st.booleans(),
)
def test_url_of_good_parts_gives_the_parts_back(host, port, path, tls):
    url = f"{'wss' if tls else 'ws'}://{host}{'' if port is None else f':{port}'}{path}"
    expected = path if path.startswith("/") else "/" + path
    assert parsed(url) == (tls, host.encode(), port or (443 if tls else 80), expected.encode(), None)
