"""The programs of micropython/examples/: each does what it says, on real MicroPython or on a scripted board."""

import hashlib
import json
import shutil
import socket

import pytest
from websockets.sync.client import connect

import fakes
from common import certificates, echo_server, example_server, loopback, rigs
from servers import wire
from support import samples
from support.programs import chip_session

FOLDER = rigs.DEVICE / "examples"
PAYLOAD = bytes(range(256)) * 300

_PAUSE = "PAUSE_MS = 3000"
_LONGEST_S = 60

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


_ASSEMBLED = [
    *(f"a message of {size} bytes" for size in (100, 2000, 0)),
    "skipped: 100000 bytes",
    "a message of 5 bytes",
    "closed: -6",
]
_REDIRECTED = ["closed: -17 302", "closed: -17 429", "connected", "closed: 0 None"]
_MANY = [f"{name}: 3 answers, closed: 0" for name in ("kitchen", "garage", "garden", "attic")]
_REPLACED = {"home_assistant": {'websocket"': 'websocket?leave=1"', "time.sleep(PAUSE_S)": "break"}}
_HOUSE = ["request 1 succeeded", "light.kitchen is on", "skipped: 50220 bytes", "sensor.garden is 21.5", "closed: -6"]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        pytest.param("echo", ["text: hello!", "binary: b'\\x01\\x02\\x03'", "closed: 0"], id="virtual-esp8266-echo"),
        pytest.param("fragments", ["101 lines, the last: 99,21.98", "closed: 0"], id="virtual-esp8266-fragments"),
        pytest.param("download", ["100000 bytes in download.bin", "closed: 0"], id="virtual-esp8266-download"),
        pytest.param("headers", ["protocol: superchat", "closed: 0"], id="virtual-esp8266-headers"),
        pytest.param("sensor_callbacks", None, id="virtual-esp8266-sensor_callbacks"),
        pytest.param("sensor_asyncio", None, id="virtual-esp8266-sensor_asyncio"),
        pytest.param("assemble", _ASSEMBLED, id="virtual-esp8266-assemble"),
        pytest.param("redirect", _REDIRECTED, id="virtual-esp8266-redirect"),
        pytest.param("home_assistant", _HOUSE, id="virtual-esp8266-home_assistant"),
        pytest.param("many", _MANY, id="virtual-esp8266-many"),
    ],
)
def test_example_on_the_chip_prints_what_it_prints_elsewhere(url, name, lines):
    session = chip_session()
    session.fresh()
    source = _source(name).replace(samples.URL, url)
    for old, new in _REPLACED.get(name, {}).items():
        source = source.replace(old, new)
    assert session.exec(source).splitlines() == (lines or _SENSOR)


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


@on_micropython
def test_assemble_run_skips_what_is_larger_than_the_limit_and_goes_on(run):
    assert run("assemble") == _ASSEMBLED


@on_micropython
def test_many_run_get_their_own_answers(run):
    assert run("many") == _MANY


@on_micropython
def test_redirect_run_goes_on_and_waits_as_it_is_told(run):
    assert run("redirect") == _REDIRECTED


@pytest.mark.parametrize("interpreter", ["micropython32"])
@pytest.mark.parametrize(
    ("root", "location", "lines"),
    [
        ("ws", "{ws}", ["closed: -17 302", "connected", "closed: 0 None"]),
        ("ws", "{http}", ["closed: -17 302", "connected", "closed: 0 None"]),
        ("wss", "{ws}", ["closed: -17 302"]),
        ("wss", "{wss}", ["closed: -17 302", "connected", "closed: 0 None"]),
        ("ws", "/moved?to=/busy", ["closed: -17 302", "closed: -17 302", *_REDIRECTED[1:]]),
    ],
    ids=["absolute", "http", "out-of-tls", "tls", "twice"],
)
def test_redirect_to_another_place_is_followed_where_that_is_right(run, url, tmp_path, root, location, lines):
    with echo_server.running(tls=certificates.issue(tmp_path).server_context()) as tls_url:
        urls = {"ws": url, "wss": tls_url, "http": url.replace("ws:", "http:")}
        start = f"{urls[root]}moved?to={location.format(**urls)}"
        assert run("redirect", **{f"{samples.URL}moved": start}) == lines


@pytest.mark.parametrize("interpreter", ["micropython32"])
def test_redirect_without_end_is_given_up(run, url):
    assert run("redirect", **{samples.URL: url, "ATTEMPTS = 6": "ATTEMPTS = 1"}) == _REDIRECTED[:1]


@pytest.fixture
def update(interpreter, tmp_path):
    """Run the update against a server; return the lines that it printed."""

    def update(path="ota", trusted=True):
        issued = certificates.issue(tmp_path)
        if not trusted:
            (tmp_path / "other").mkdir()
            shutil.copy(certificates.issue(tmp_path / "other").ca, issued.ca)
        with echo_server.running(tls=issued.server_context()) as root:
            root = root.replace("127.0.0.1", certificates.NAME)
            return samples.run(interpreter, _source("ota"), tmp_path, {f"{samples.TLS_URL}ota": root + path})

    return update


@on_micropython
def test_ota_run_puts_the_file_into_its_place(update, tmp_path):
    (tmp_path / "app.py").write_text("old")
    assert update("ota?size=200000") == ["updated: 200000 bytes in app.py", "closed: 0 "]
    assert (tmp_path / "app.py").read_bytes() == example_server.program(200000)
    assert not (tmp_path / "app.py.part").exists()


@pytest.mark.parametrize("interpreter", ["micropython32"])
@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("ota?spoiled=1", ["refused: wrong size or SHA-256", "closed: 0 "]),
        ("ota?size=300000", ["refused: too large", "closed: 0 "]),
        ("hello?size=1000", ["refused: not as announced", "closed: 0 "]),
        ("hello?size=1000&text=1", ["refused: a notice that is too long", "closed: 0 "]),
        ("ota?cut=1", ["closed: -6 "]),
        ("moved", ["closed: -17 HTTP/1.1 302 Found"]),
    ],
    ids=["spoiled", "large", "unannounced", "long-notice", "cut", "moved"],
)
def test_ota_of_a_wrong_file_leaves_the_old_one(update, tmp_path, path, lines):
    (tmp_path / "app.py").write_text("old")
    assert update(path) == lines
    assert (tmp_path / "app.py").read_text() == "old"
    assert not (tmp_path / "app.py.part").exists()


@on_micropython
def test_ota_from_a_server_that_the_ca_has_not_signed_leaves_the_old_file(update, tmp_path):
    (tmp_path / "app.py").write_text("old")
    (line,) = update(trusted=False)
    assert line.startswith("closed: -128 ")
    assert (tmp_path / "app.py").read_text() == "old"


@on_micropython
def test_home_assistant_run_tells_what_changes_and_skips_what_is_large(run, url):
    assert run("home_assistant", **{samples.URL: url}, **_REPLACED["home_assistant"]) == _HOUSE


@on_micropython
def test_home_assistant_with_a_wrong_token_says_so(interpreter, tmp_path, url):
    replaced = {samples.URL: url, example_server.TOKEN: "another"}
    lines = samples.run(interpreter, _source("home_assistant"), tmp_path, replaced, enough=2)
    assert lines == ["refused: Invalid access token or password", "closed: -6"]


@on_micropython
def test_dashboard_run_sends_readings_again_after_a_restart_of_the_server(interpreter, tmp_path):
    port = loopback.free_port()
    replaced = {samples.URL: f"ws://127.0.0.1:{port}/", "PERIOD_MS = 1000": "PERIOD_MS = 20"}

    def readings():
        with echo_server.running(port=port) as root, connect(root + "page") as page:
            return sorted(json.loads(page.recv(_LONGEST_S)))

    with samples.started(interpreter, _source("dashboard"), tmp_path, replaced) as process:
        assert [readings() for _ in range(2)] == [["free heap, KiB", "up, s"]] * 2
        assert "closed: -6\n" in [process.stdout.readline() for _ in range(3)]


@on_micropython
def test_pin_is_switched_and_its_level_told(interpreter, tmp_path, url):
    for name in ("machine.py", "board_signals.py"):  # the PC has no pins
        shutil.copy(rigs.ROOT / "tools" / "programs" / "board" / name, tmp_path)
    with connect(url + "page") as page:
        with samples.started(interpreter, _source("pin"), tmp_path, {samples.URL: url}) as process:
            told = [page.recv(_LONGEST_S)]
            for word in ("on", "off", "up", "on"):
                page.send(word)
                told += [page.recv(_LONGEST_S)] if word != "up" else []
            assert [json.loads(one) for one in told] == [{"pin 2": level} for level in (0, 1, 0, 1)]
            assert [process.stdout.readline() for _ in told] == [f"the pin is {level}\n" for level in (0, 1, 0, 1)]


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
    assert samples.URL in path.read_text() or samples.TLS_URL in path.read_text()


@pytest.mark.parametrize(("page", "way"), [("README.md", ""), ("docs/examples.md", "../")])
def test_table_of_examples_has_each_with_what_its_first_line_says(page, way):
    rows = {}
    for path in FOLDER.glob("*.py"):
        about = path.read_text().splitlines()[0].removeprefix(f"# {path.name}: ").partition(". MIT licence")[0]
        rows[path.stem] = f"| [{path.stem}]({way}micropython/examples/{path.name}) | {about} |"
    lines = (rigs.ROOT / page).read_text().splitlines()
    assert [line for line in lines if line.startswith("| [") and "examples/" in line] == [
        rows[name] for name in sorted(rows)
    ]
