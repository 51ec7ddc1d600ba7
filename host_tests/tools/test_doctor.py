"""tools/doctor.py: what it says of a board, and what to type against what it finds."""

import pytest

import doctor
from common import remote_board, rigs, virtual_board

NAME = "ESP32_GENERIC"


@pytest.fixture
def board(tmp_path, monkeypatch):
    """A virtual board without the client, and no other."""
    monkeypatch.setattr(virtual_board, "FOLDER", tmp_path)
    monkeypatch.setattr(remote_board, "serial_ports", list)
    monkeypatch.setattr(doctor, "computer", lambda: iter(()))
    with virtual_board.running(NAME, rig=rigs.nearest_to_a_board()) as one:
        yield one


def test_virtual_board_without_the_client_is_told_with_its_port(board, capsys):
    assert doctor.main(["--port", "virtual"]) == 1
    out = capsys.readouterr().out
    assert f"    {board.port}: virtual, " in out
    assert "  ! client: not in /lib  (try: make deploy PORT=virtual)\n" in out
    assert "    Wi-Fi: connected as 127.0.0.1, -50 dBm\n" in out


def test_virtual_board_by_name_is_told_with_it(board, capsys):
    assert doctor.main(["--port", "virtual", "--board", NAME]) == 1
    assert f"(try: make deploy PORT=virtual BOARD={NAME})" in capsys.readouterr().out


def test_lost_wifi_is_told(board, capsys):
    board.wifi(False)
    assert doctor.main(["--port", "virtual"]) == 1
    assert "  ! Wi-Fi: not connected, the station is on  (try: make deploy ARGS=--wifi)\n" in capsys.readouterr().out


def test_asyncio_is_told_with_what_the_client_has_for_it(board, capsys):
    doctor.main(["--port", "virtual"])
    told = "    asyncio: in the firmware: tasks run beside the client, which the background serves; for async with "
    assert told in capsys.readouterr().out
    (board.flash / "lib").mkdir()
    (board.flash / "lib" / "uwebsocket_asyncio.mpy").write_bytes(b"")
    doctor.main(["--port", "virtual"])
    assert "    asyncio: in the firmware, and uwebsocket_asyncio in /lib: async with " in capsys.readouterr().out


def test_firmware_without_asyncio_is_told(board, capsys):
    board.flash.mkdir(exist_ok=True)
    (board.flash / "asyncio.py").write_text("raise ImportError")
    doctor.main(["--port", "virtual"])
    assert "    asyncio: not in the firmware; the client does without it\n" in capsys.readouterr().out


@pytest.mark.parametrize(("system", "said"), [("Linux", "x"), ("Darwin", "x: never tried, see README.md")])
def test_computer_says_whether_its_system_was_ever_tried(system, said, monkeypatch):
    monkeypatch.setattr(doctor.platform, "system", lambda: system)
    monkeypatch.setattr(doctor.platform, "machine", lambda: "x")
    first = next(doctor.computer())
    assert (first.subject, first.text.startswith(f"{system}, {said}"), first.remedy) == ("system", True, "")
