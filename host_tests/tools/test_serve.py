"""tools/serve.py: both servers echo, and its CA is what a client needs to verify the second."""

import re
import signal
import socket
import ssl
import subprocess
import sys

import pytest
from websockets.sync.client import connect

import serve
from common import rigs

_LONGEST_S = 60


@pytest.fixture
def served(ctrl_c_reaches_children):
    """A running `make serve`: its URLs and its CA file."""
    command = [sys.executable, str(rigs.ROOT / "tools" / "serve.py"), "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen([*command, "--tls-port", "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            first, second, third = (process.stdout.readline() for _ in range(3))
            url, tls_url = re.fullmatch(r"serving (ws://\S+) and (wss://\S+); Ctrl-C ends\n", first).groups()
            ca = re.fullmatch(r'its CA for a board: make deploy ARGS="--file (\S+)"\n', second)[1]
            assert third == f"its page for a browser: {url.replace('ws:', 'http:')}dashboard\n"
            yield url, tls_url, rigs.ROOT / ca
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(_LONGEST_S)
    assert code == 0


def test_both_servers_echo_and_the_ca_verifies_the_second(served):
    url, tls_url, ca = served
    trust = ssl.create_default_context(cafile=ca)
    for options in ({"uri": url}, {"uri": tls_url, "ssl": trust}):
        with connect(**options) as client:
            client.send("hello!")
            assert client.recv(timeout=_LONGEST_S) == "hello!"


def test_certificates_stay_for_an_address(tmp_path):
    first = serve.issued("127.0.0.1", tmp_path).ca.read_bytes()
    assert serve.issued("127.0.0.1", tmp_path).ca.read_bytes() == first
    assert serve.issued("192.0.2.7", tmp_path).ca.read_bytes() != first


def test_port_in_use_is_told_with_the_remedy(capsys):
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        assert serve.main(["--port", str(taken.getsockname()[1]), "--tls-port", "0"]) == 1
    assert capsys.readouterr().err == "serve: Address already in use (try: --port 0 --tls-port 0)\n"


def test_host_that_is_no_address_is_told_with_the_remedy(capsys):
    assert serve.main(["--host", "my-computer"]) == 1
    assert capsys.readouterr().err == "serve: 'my-computer' is no address (try: --host 192.168.1.10)\n"


def test_port_out_of_range_is_wrong_usage():
    with pytest.raises(SystemExit, match="2"):
        serve.main(["--port", "70000"])
