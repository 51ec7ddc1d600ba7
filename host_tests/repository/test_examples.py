"""The programs of micropython/examples/: each does what it says, on real MicroPython or on a scripted board."""

import hashlib
import socket

import pytest

import fakes
from common import echo_server, rigs
from servers import wire
from support import samples
from support.programs import chip_session

FOLDER = rigs.DEVICE / "examples"
PAYLOAD = bytes(range(256)) * 300

_PAUSE = "PAUSE_MS = 3000"

on_micropython = pytest.mark.parametrize("interpreter", rigs.HEAPS)


@pytest.fixture(scope="module")
def url():
    with echo_server.running() as root:
        yield root


@pytest.fixture
def run(interpreter, tmp_path, url):
    """Run an example against the server; return the lines that it printed."""

    def run(name, **replaced):
        return samples.run(interpreter, _source(name), tmp_path, replaced or {samples.URL: url})

    return run


def _source(name):
    return (FOLDER / f"{name}.py").read_text()


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        pytest.param("echo", ["text: hello!", "binary: b'\\x01\\x02\\x03'", "closed: 0"], id="virtual-esp8266-echo"),
        pytest.param("fragments", ["101 lines, the last: 99,21.98", "closed: 0"], id="virtual-esp8266-fragments"),
        pytest.param("download", ["100000 bytes in download.bin", "closed: 0"], id="virtual-esp8266-download"),
        pytest.param("headers", ["protocol: superchat", "closed: 0"], id="virtual-esp8266-headers"),
        pytest.param("sensor_callbacks", None, id="virtual-esp8266-sensor_callbacks"),
    ],
)
def test_example_on_the_chip_prints_what_it_prints_elsewhere(url, name, lines):
    session = chip_session()
    session.fresh()
    assert session.exec(_source(name).replace(samples.URL, url)).splitlines() == (lines or _SENSOR)


@on_micropython
def test_echo_run_prints_text_and_binary(run):
    assert run("echo") == ["text: hello!", "binary: b'\\x01\\x02\\x03'", "closed: 0"]


@on_micropython
def test_fragments_run_arrive_as_one_message(run):
    assert run("fragments") == ["101 lines, the last: 99,21.98", "closed: 0"]


@on_micropython
def test_download_run_leaves_the_whole_file(run, tmp_path):
    assert run("download") == ["100000 bytes in download.bin", "closed: 0"]
    assert (tmp_path / "download.bin").read_bytes() == b"0123456789abcdef" * 6250
    assert not (tmp_path / "download.bin.part").exists()


@on_micropython
def test_upload_run_sends_the_whole_file(run, tmp_path):
    (tmp_path / "upload.bin").write_bytes(PAYLOAD)
    digest = hashlib.sha256(PAYLOAD).hexdigest()
    assert run("upload") == [f"the server has: {len(PAYLOAD)} {digest}", "closed: 0"]


@on_micropython
def test_upload_without_the_file_makes_one(run):
    digest = hashlib.sha256(b"0123456789" * 1000).hexdigest()
    assert run("upload") == [f"the server has: 10000 {digest}", "closed: 0"]


@on_micropython
def test_upload_of_an_empty_file_sends_an_empty_message(run, tmp_path):
    (tmp_path / "upload.bin").write_bytes(b"")
    assert run("upload") == [f"the server has: 0 {hashlib.sha256().hexdigest()}", "closed: 0"]


@on_micropython
def test_ping_run_prints_five_times(run):
    *times, closed = run("ping")
    assert [line.rsplit(None, 2)[0] + line[-3:] for line in times] == ["round trip: us"] * 5
    assert closed == "closed: 0"


@on_micropython
def test_headers_run_agrees_on_the_first_protocol_offered(run):
    assert run("headers") == ["protocol: superchat", "closed: 0"]


@on_micropython
def test_reconnect_run_goes_to_the_next_server(interpreter, tmp_path, url):
    source = _source("reconnect")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refusing = "ws://{}:{}/".format(*taken.getsockname())
        replaced = {samples.URL: refusing, samples.URL.replace("10:", "11:"): url + "close", _PAUSE: "PAUSE_MS = 10"}
        lines = samples.run(interpreter, source, tmp_path, replaced, enough=20)
    assert lines == ["closed: -111", "closed: -6"] * 10


_SENSOR = [*(f"the server says: {20 + i} degrees" for i in range(5)), "closed: 0 1000"]


@on_micropython
def test_sensor_callbacks_run_prints_the_answers(run):
    assert run("sensor_callbacks") == _SENSOR


@on_micropython
def test_sensor_asyncio_run_prints_the_same(run):
    assert run("sensor_asyncio") == _SENSOR


@pytest.mark.parametrize("port", ["esp8266", "esp32"])
def test_background_on_a_board_serves_and_reconnects_while_the_prompt_is_free(port, capsys):
    with fakes.board(port) as board:
        server = board.listen("192.168.1.10", 8080, upgrade=True)
        program = board.execute(_source("background"))
        board.run_background(1000)
        peer = server.accept()
        assert [frame.payload for frame in peer.frames()] == [b"hello!"]
        peer.frame(wire.TEXT, "good morning")
        board.run_background(1000)
        peer.close_frame(1001)
        board.run_background(1000)
        peer.fin()
        board.run_background(3000)
        if port == "esp8266":
            program["ws"].poll()
            board.run_background(100)
        assert len(server.peers) == 2
        assert capsys.readouterr().out.splitlines() == ["received: good morning", "closed: -6"]
        assert board.printed == []


def test_examples_in_the_folder_are_all_run_here():
    names = {path.stem for path in FOLDER.glob("*.py")}
    tests = " ".join(name for name in globals() if name.startswith("test_"))
    assert {name for name in names if f"test_{name}_" not in tests} == set()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_example_read_as_text_names_itself_and_one_server(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith(f"# {path.name}: ") and lines[0].endswith(" MIT licence, see LICENSE.")
    assert lines[1].startswith('"""')
    assert samples.URL in path.read_text()
