"""What the examples talk to: tools/common/example_server.py, as a part of the server of `make serve`."""

import contextlib
import hashlib
import json
import re
import socket
from urllib.request import urlopen

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from common import echo_server, example_server

_LONGEST_S = 30
_LARGE = b"x" * (1 << 20)


@pytest.fixture(scope="module")
def url():
    with echo_server.running() as root:
        yield root


def _members(url, *kinds):
    """Return a context manager that gives a connection for each of the kinds."""
    stack = contextlib.ExitStack()
    options = {"compression": None, "max_size": None}
    stack.members = [stack.enter_context(connect(url + kind, **options)) for kind in kinds]
    return stack


def _all_there(boards, pages):
    """Wait until each page has something of each board: the server knows them all then."""
    for board in boards:
        for page in pages:
            while True:
                board.send("there?")
                with contextlib.suppress(TimeoutError):
                    page.recv(0.05)
                    break
    for page in pages:
        with contextlib.suppress(TimeoutError):
            while True:
                page.recv(0.1)


def test_message_of_a_board_goes_to_all_pages_and_of_a_page_to_all_boards(url):
    with _members(url, "board", "board", "page", "page") as stack:
        *boards, first, second = stack.members
        _all_there(boards, (first, second))
        boards[0].send('{"celsius": 21.5}')
        assert [page.recv(_LONGEST_S) for page in (first, second)] == ['{"celsius": 21.5}'] * 2
        second.send("on")
        assert [board.recv(_LONGEST_S) for board in boards] == ["on"] * 2
        for one in (boards[1], first):
            with pytest.raises(TimeoutError):
                one.recv(0.1)


def test_page_that_reads_nothing_holds_nobody_up(url):
    with _members(url, "board", "page") as stack, socket.socket() as deaf:
        board, page = stack.members
        _all_there([board], [page])
        host, port = url.removeprefix("ws://").rstrip("/").split(":")
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((host, int(port)))
        deaf.sendall(
            b"GET /page HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert deaf.recv(12) == b"HTTP/1.1 101"
        for number in range(20):
            board.send(_LARGE + bytes([number]))
            assert page.recv(_LONGEST_S)[-1] == number


def test_dashboard_is_a_page_of_its_own(url):
    with urlopen(url.replace("ws:", "http:") + "dashboard", timeout=_LONGEST_S) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        text = answer.read().decode()
    assert text == example_server.PAGE.read_text()
    assert re.findall(r"\b(?:src|href|import|fetch)\b", text) == []


@pytest.mark.parametrize("spoiled", [False, True], ids=["whole", "spoiled"])
def test_ota_announces_what_it_sends_unless_it_is_spoiled(url, spoiled):
    with connect(url + "ota?size=1000" + "&spoiled=1" * spoiled) as client:
        announced = json.loads(client.recv(_LONGEST_S))
        data = client.recv(_LONGEST_S)
    assert announced["size"] == len(data) == 1000
    assert (announced["sha256"] == hashlib.sha256(data).hexdigest()) is not spoiled


def test_home_assistant_wants_ids_that_grow(url):
    with connect(url + "api/websocket") as client:
        assert json.loads(client.recv(_LONGEST_S))["type"] == "auth_required"
        client.send(json.dumps({"type": "auth", "access_token": example_server.TOKEN}))
        assert json.loads(client.recv(_LONGEST_S))["type"] == "auth_ok"
        found = []
        for number in (5, 5, 6):
            client.send(json.dumps({"id": number, "type": "subscribe_events"}))
            found.append(json.loads(client.recv(_LONGEST_S)))
            if found[-1]["success"]:
                assert [json.loads(client.recv(_LONGEST_S))["id"] for _ in range(3)] == [number] * 3
    assert [(one["id"], one["success"]) for one in found] == [(5, True), (5, False), (6, True)]


def test_busy_refuses_every_other_client(url):
    refused = []
    for _ in range(4):
        try:
            with connect(url + "busy"):
                refused.append(False)
        except InvalidStatus as error:
            assert (error.response.status_code, error.response.headers["Retry-After"]) == (429, "1")
            refused.append(True)
    assert sorted(refused) == [False, False, True, True] and refused[0] != refused[1]


def test_moved_leads_to_another_path(url):
    with connect(url + "moved?to=/hello?size=4") as client:
        assert client.recv(_LONGEST_S) == b"0123"
