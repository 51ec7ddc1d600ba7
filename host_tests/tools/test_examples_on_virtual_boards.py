"""Every example as the main.py of a virtual board, where deploy puts it with --wifi, --example and --url."""

import contextlib
import hashlib
import json
import re
import time

import pytest
import serial

import deploy
from common import echo_server, payload, remote_board, virtual_board

RIGS = (virtual_board.CHIP, "micropython32")
_LONGEST_S = 60
_UPLOADED = f"the server has: 10000 {hashlib.sha256(b'0123456789' * 1000).hexdigest()}"

# What each prints, after the line of boot.py; the last two go on, the others end.
PRINTED = {
    "download": [r"100000 bytes in download\.bin", "closed: 0"],
    "echo": ["text: hello!", r"binary: b'\\x01\\x02\\x03'", "closed: 0"],
    "fragments": ["101 lines, the last: 99,21.98", "closed: 0"],
    "headers": ["protocol: superchat", "closed: 0"],
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


def said_after_reset(board, last):
    """Press the reset button; return what the board says until a line that fits `last`."""
    said = ""
    with serial.Serial(board.port, remote_board.BAUD, timeout=0.1) as line:
        board.reset()
        deadline = time.monotonic() + _LONGEST_S
        while not re.search(last, said) and time.monotonic() < deadline:
            said += line.read(4096).decode(errors="replace").replace("\r\n", "\n")
    return said


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_example_as_main_does_what_it_says(name, board, wifi, url, capsys):
    arguments = ["--port", board.port, "--wifi", str(wifi), "--example", name, "--url", url]
    assert deploy.main(arguments) == 0, capsys.readouterr()
    with contextlib.suppress(remote_board.RemoteError):
        remote_board.RemoteBoard(board.port).exec("import os\nos.remove('/download.bin')")
    wanted = r"wifi: connected to virtual as [\d.]+\n(?:.*\n)*?(?:>>> )?" + "".join(
        f"{line}\n" for line in PRINTED[name]
    )
    said = said_after_reset(board, wanted)
    assert re.search(wanted, said), said
    assert "Traceback" not in said


def test_examples_that_are_run_are_all():
    # the two sensors are run by host_tests/client/test_asyncio.py and host_tests/repository/test_examples.py
    assert sorted([*PRINTED, "sensor_asyncio", "sensor_callbacks"]) == payload.example_names()
