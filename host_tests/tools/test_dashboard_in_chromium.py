"""The page that draws what a board sends: in a browser, with the example on MicroPython and a server that restarts."""

import pytest
from websockets.sync.client import connect

from common import echo_server, loopback, rigs
from support import browser, samples

_SOURCE = (rigs.DEVICE / "examples" / "dashboard.py").read_text()
_LONGEST_S = 60
_POINTS = "document.querySelector('polyline').points.length"
_STATE = "document.getElementById('state').textContent"
_PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def port():
    return loopback.free_port()


@pytest.fixture
def running_board(port, tmp_path):
    """The example on MicroPython, with fifty readings a second."""
    replaced = {samples.URL: f"ws://127.0.0.1:{port}/", "PERIOD_MS = 1000": "PERIOD_MS = 20"}
    with samples.started("micropython32", _SOURCE, tmp_path, replaced) as process:
        yield process


def page_of(port):
    return browser.page(f"http://127.0.0.1:{port}/dashboard")


def said(page, selector):
    return page.evaluate(f"[...document.querySelectorAll('{selector}')].map(one => one.textContent)")


def test_page_draws_what_the_board_sends_and_goes_on_after_a_restart_of_the_server(port, running_board):
    server = echo_server.running(port=port)
    server.__enter__()
    try:
        with page_of(port) as page:
            page.wait_for(f"document.querySelector('polyline') && {_POINTS} > 20")
            assert page.evaluate(_STATE) == "live"
            assert sorted(said(page, "figcaption span")) == ["free heap, KiB", "up, s"]
            assert all(float(text) > 0 for text in said(page, "output"))
            assert page.evaluate("performance.getEntriesByType('resource').length") == 0
            server.__exit__(None, None, None)
            server = None
            page.wait_for(f"{_STATE} == 'no server'")
            points = page.evaluate(_POINTS)
            server = echo_server.running(port=port)
            server.__enter__()
            page.wait_for(f"{_STATE} == 'live' && {_POINTS} > {points}")
            assert page.screenshot().startswith(_PNG)
    finally:
        if server:
            server.__exit__(None, None, None)
    assert [running_board.stdout.readline() for _ in range(2)] == ["connected\n", "closed: -6\n"]


def test_buttons_of_the_page_reach_the_boards_and_their_answer_the_page(port):
    with echo_server.running(port=port) as url, connect(url + "board") as board, page_of(port) as page:
        page.wait_for(f"{_STATE} == 'no board'")
        for name, level in (("on", 1), ("off", 0)):
            page.evaluate(f"document.querySelector('button[value={name}]').click()")
            assert board.recv(_LONGEST_S) == name
            board.send(f'{{"pin 2": {level}}}')
            page.wait_for(f"document.querySelector('output')?.textContent == '{level}'")
        assert page.evaluate(_STATE) == "live"


def test_page_takes_only_numbers_by_name_and_no_markup(port):
    with echo_server.running(port=port) as url, connect(url + "board") as board, page_of(port) as page:
        page.wait_for(f"{_STATE} == 'no board'")
        for message in ("no JSON", "null", "[1]", '{"text": "1"}', '{"<b>bold</b>": 1}', '{"last": 2}'):
            board.send(message)
        page.wait_for("document.querySelectorAll('figure').length == 3")
        assert said(page, "figcaption span") == ["0", "<b>bold</b>", "last"]
