"""tools/demo.py with a port: the demo on a virtual board, and what it says when it cannot run."""

import pytest

import demo
from common import board_tester, remote_board, rigs, virtual_board

MICROPYTHONS = [name for name in rigs.available() if name != "cpython"]
EVENTS = [
    '"connection"',
    "\"receive\" 'hello!', text",
    '"data", the last piece: 1048576 B',
    '"close" -6, 4001',
    '"close" -111',
]


@pytest.fixture(params=MICROPYTHONS)
def virtual(request, tmp_path):
    with virtual_board.running("ESP8266_GENERIC", tmp_path / "flash", rig=request.param) as running:
        yield running


def test_demo_on_a_board_without_the_client_deploys_and_shows_every_event(virtual, capsys):
    assert demo.main(["--port", virtual.port]) == 0
    output = capsys.readouterr().out
    places = [output.find(event) for event in EVENTS]
    assert -1 not in places and places == sorted(places), output
    assert output.rstrip().endswith("everything happened as it should")
    with remote_board.opened(virtual.port) as there:
        assert "demo_program.mpy" not in there.files("/lib")


def test_demo_without_a_server_says_what_did_not_come(virtual, capsys):
    assert demo.main(["ws://127.0.0.1:1/", "--port", virtual.port]) == 1
    output, errors = capsys.readouterr()
    assert 'FAILED: no "connection" came, "close" told -111' in output
    assert errors.splitlines()[-1].startswith("demo: -111: refused: nothing listens at that port")


def test_demo_without_wifi_says_so(virtual, capsys):
    virtual.wifi(False)
    assert demo.main(["--port", virtual.port]) == 1
    assert "the board's Wi-Fi is down (try: " in capsys.readouterr().err


def test_demo_on_a_board_that_stops_says_what_it_said_last(virtual, capsys, monkeypatch):
    monkeypatch.setattr(demo, "_RUN", "print('so far'); raise MemoryError('no more') # {program} {urls}")
    assert demo.main(["--port", virtual.port]) == 1
    assert "demo: the board stopped: MemoryError: no more (try: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--port", "/dev/nowhere"], "no board on /dev/nowhere (try: make ports)"),
        (["--port", "virtual", "--board", "ESP9"], "no board is called 'ESP9'"),
    ],
    ids=["no port", "no such board"],
)
def test_demo_without_a_board_says_what_to_do(arguments, text, capsys):
    assert demo.main(arguments) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("demo: ") and text in errors and errors.count("\n") == 1


def test_program_that_is_longer_than_allowed_is_ended(virtual, capsys, monkeypatch):
    monkeypatch.setattr(demo, "_RUN", "while True: pass # {program} {urls}")
    monkeypatch.setattr(demo, "_BOARD_TIMEOUT_S", 2)
    with remote_board.opened(virtual.port) as there:
        assert board_tester.import_client(board_tester.Tester(there, None))
        with pytest.raises(demo.DemoError, match="the board stopped"):
            demo._play(there, [])
    assert demo.PROGRAM.exists()
