"""The well-behaved server of tools/common/echo_server.py."""

import hashlib
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from common import certificates, echo_server

_TOOL = Path(echo_server.__file__)


@pytest.fixture(scope="module")
def url():
    with echo_server.running() as root:
        yield root


def _connect(url, path="", **options):
    return connect(url + path, compression=None, max_size=echo_server.MAX_MESSAGE, **options)


@pytest.mark.parametrize(
    "message",
    ["", "gr\u00fc\u00df dich", b"", b"\0\xff", b"x" * (1 << 20)],
    ids=lambda part: f"{type(part).__name__}-{len(part)}",
)
def test_echo_of_message_is_the_same(url, message):
    with _connect(url) as client:
        client.send(message)
        assert client.recv(5) == message


def test_echo_of_unknown_path_is_an_echo_too(url):
    with _connect(url, "some/where?x=1") as client:
        client.send("x")
        assert client.recv(5) == "x"


def test_fragments_of_message_have_the_size_asked_for(url):
    with _connect(url, "fragments?size=4") as client:
        client.send(b"0123456789")
        assert [part for part in client.recv_streaming() if part] == [b"0123", b"4567", b"89"]


def test_close_after_message_has_code_and_reason(url):
    with _connect(url, "close?code=4001&reason=see%20you") as client:
        client.send("x")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(5)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "see you")


def test_hello_sends_first_then_echoes(url):
    with _connect(url, "hello?count=2&size=20&text=1") as client:
        assert [client.recv(5), client.recv(5)] == ["0123456789abcdef0123"] * 2
        client.send("x")
        assert client.recv(5) == "x"


def test_count_of_fragmented_message_tells_length_and_digest(url):
    with _connect(url, "count") as client:
        client.send([b"ab", b"cd"])
        assert client.recv(5) == f"4 {hashlib.sha256(b'abcd').hexdigest()}"


def test_ping_answered_is_told(url):
    with _connect(url, "ping") as client:
        assert client.recv(5) == "pong"


def test_tls_after_a_client_that_resets_at_once_serves_the_next(tmp_path):
    issued = certificates.issue(tmp_path)
    trust = ssl.create_default_context(cafile=issued.ca)
    with echo_server.running(tls=issued.server_context()) as url:
        assert url.startswith("wss://")
        address = ("127.0.0.1", int(url.rstrip("/").rpartition(":")[2]))
        for _ in range(20):
            with socket.create_connection(address) as early:
                early.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with _connect(url, ssl=trust, server_hostname=certificates.NAME) as client:
            client.send("x")
            assert client.recv(5) == "x"


def _slow(connection):
    """Echo, and take a while to notice the end."""
    try:
        for message in connection:
            connection.send(message)
    finally:
        time.sleep(0.3)


@pytest.mark.parametrize("path", ["", "slow"], ids=["noted at once", "noted late"])
def test_told_after_a_close_has_its_code_and_reason(monkeypatch, url, path):
    monkeypatch.setitem(echo_server._PATHS, "/slow", _slow)
    with _connect(url, path) as client:
        client.close(4001, "bye")
    with _connect(url, "told") as client:
        assert client.recv(5) == "4001 bye"


def test_told_after_two_closes_has_the_later_one(monkeypatch, url):
    monkeypatch.setitem(echo_server._PATHS, "/slow", _slow)
    with _connect(url, "slow") as first, _connect(url) as second:
        first.close(4001, "first")
        second.close(4002, "second")
    with _connect(url, "told") as client:
        assert client.recv(5) == "4002 second"


@pytest.mark.parametrize(("offered", "chosen"), [(None, None), (["superchat"], "superchat"), (["x", "chat"], "chat")])
def test_subprotocol_of_offer_is_chosen(url, offered, chosen):
    with _connect(url, subprotocols=offered) as client:
        assert client.subprotocol == chosen


@pytest.mark.usefixtures("ctrl_c_reaches_children")
def test_tool_serves_until_ctrl_c():
    tool = subprocess.Popen([sys.executable, str(_TOOL), "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        said, url = tool.stdout.readline().split()
        with _connect(url) as client:
            client.send("x")
            assert (said, client.recv(5)) == ("serving", "x")
        tool.send_signal(signal.SIGINT)
        assert tool.wait(10) == 0
    finally:
        tool.kill()
        tool.wait()
        tool.stdout.close()


def test_tool_on_a_taken_port_says_what_to_do(url, capsys):
    port = url.rstrip("/").rpartition(":")[2]
    assert echo_server.main(["--port", port]) == 1
    assert "(try: --port 0)" in capsys.readouterr().err
