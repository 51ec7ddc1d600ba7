"""Examples as the main.py of a virtual board, where deploy puts it with --wifi, --example and --url."""

import contextlib
import hashlib
import json
import re
import time

import pytest
import serial
from websockets.sync.client import connect

import deploy
from common import echo_server, payload, remote_board, virtual_board

RIGS = (virtual_board.CHIP, "micropython32")
_LONGEST_S = 60
_UPLOADED = f"the server has: 10000 {hashlib.sha256(b'0123456789' * 1000).hexdigest()}"

# Those that host_tests/repository/test_examples.py runs on the chip, without a deploy for each; and ota.py, which
# verifies a server, as the chip cannot.
_ELSEWHERE = ("assemble", "home_assistant", "many", "ota", "redirect", "sensor_asyncio", "sensor_callbacks")

# What each prints, after the line of boot.py; some go on then, the others end.
PRINTED = {
    "download": [r"100000 bytes in download\.bin", "closed: 0"],
    "echo": ["text: hello!", r"binary: b'\\x01\\x02\\x03'", "closed: 0"],
    "fragments": ["101 lines, the last: 99,21.98", "closed: 0"],
    "headers": ["protocol: superchat", "closed: 0"],
    "pin": ["the pin is 0"],
    "ping": [*[r"round trip: \d+ us"] * 5, "closed: 0"],
    "upload": [_UPLOADED, "closed: 0"],
    "background": ["received: hello!"],
    "reconnect": ["received: hello!"],
}


@pytest.fixture(scope="module")
def url():
    with echo_server.running() as root:
        yield root


@pytest.fixture(scope="module", params=RIGS)
def board(request, tmp_path_factory):
    with virtual_board.running(flash=tmp_path_factory.mktemp("board") / "flash", rig=request.param) as one:
        yield one


@pytest.fixture(scope="module")
def wifi(tmp_path_factory):
    path = tmp_path_factory.mktemp("wifi") / "wifi.json"
    path.write_text(json.dumps({"ssid": "virtual", "password": "secret"}))
    return path


def said_until(line, last):
    """Return what the board says until a line that fits `last`."""
    said = ""
    deadline = time.monotonic() + _LONGEST_S
    while not re.search(last, said) and time.monotonic() < deadline:
        said += line.read(4096).decode(errors="replace").replace("\r\n", "\n")
    return said


def said_after_reset(board, last):
    """Press the reset button; return what the board says until a line that fits `last`."""
    with serial.Serial(board.port, remote_board.BAUD, timeout=0.1) as line:
        board.reset()
        return said_until(line, last)


def put(name, board, wifi, url):
    """Deploy an example as main.py; return what the tool does."""
    extras = [word for extra in payload.needs(name) for word in ("--with", extra)]
    return deploy.main(["--port", board.port, "--wifi", str(wifi), "--example", name, "--url", url, *extras])


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_example_as_main_does_what_it_says(name, board, wifi, url, capsys):
    assert put(name, board, wifi, url) == 0, capsys.readouterr()
    with contextlib.suppress(remote_board.RemoteError):
        remote_board.RemoteBoard(board.port).exec("import os\nos.remove('/download.bin')")
    wanted = r"wifi: connected to virtual as [\d.]+\n(?:.*\n)*?(?:>>> )?" + "".join(
        f"{line}\n" for line in PRINTED[name]
    )
    said = said_after_reset(board, wanted)
    assert re.search(wanted, said), said
    assert "Traceback" not in said


def test_dashboard_goes_on_when_wifi_comes_back(board, wifi, url, capsys):
    assert put("dashboard", board, wifi, url) == 0, capsys.readouterr()
    with connect(url + "page") as page, serial.Serial(board.port, remote_board.BAUD, timeout=0.1) as line:
        board.reset()
        said = said_until(line, "connected\n")
        first = json.loads(page.recv(_LONGEST_S))
        board.wifi(False)
        said += said_until(line, r"closed: -\d+\n")
        board.wifi(True)
        said += said_until(line, "connected\n")
        while json.loads(page.recv(_LONGEST_S))["up, s"] <= first["up, s"]:
            pass
    assert re.search(r"connected to virtual as [\d.]+\n(?:.*\n)*?connected\n(?:closed: -\d+\n)+connected\n$", said), (
        said
    )


def test_examples_that_are_run_are_all():
    assert sorted(["dashboard", *PRINTED, *_ELSEWHERE]) == payload.example_names()
