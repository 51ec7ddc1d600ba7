"""tools/common/remote_board.py: which board is meant, and what a board that does not answer at once is told."""

import contextlib
import os
import subprocess

import pytest

from common import remote_board, rigs, virtual_board, virtual_ports

STAND_IN = rigs.nearest_to_a_board()
ESP8266, ESP32 = "ESP8266_GENERIC", "ESP32_GENERIC"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """No board on USB, and virtual boards of this test only."""
    monkeypatch.setattr(virtual_board, "FOLDER", tmp_path)
    monkeypatch.setattr(remote_board, "serial_ports", list)


@pytest.fixture
def run(here):
    """Return a function that runs virtual boards by name, and gives {name: port}."""
    with contextlib.ExitStack() as stack:

        def run(*names):
            return {name: stack.enter_context(virtual_board.running(name, rig=STAND_IN)).port for name in names}

        yield run


MEANT = {
    "virtual": ("virtual", None, [ESP32], ESP32),
    "virtual_by_name": ("virtual", ESP32, [ESP8266, ESP32], ESP32),
    "no_port": (None, None, [ESP32], ESP32),
    "no_port_by_name": (None, ESP8266, [ESP8266, ESP32], ESP8266),
}


@pytest.mark.parametrize(("port", "board", "running", "meant"), MEANT.values(), ids=MEANT)
def test_board_that_runs_is_the_one_that_is_opened(port, board, running, meant, run):
    ports = run(*running)
    with remote_board.opened(port, board) as opened:
        assert opened.port == ports[meant] and opened.virtual


REFUSED = {
    "several": ("virtual", None, [ESP8266, ESP32], f"several virtual boards run: .* .try: BOARD={ESP32}.$"),
    "several_no_port": (None, None, [ESP8266, ESP32], f"several virtual boards run: .* .try: BOARD={ESP32}.$"),
    "another_runs": (None, ESP32, [ESP8266], f"the virtual {ESP8266}, no {ESP32} .try: PORT=virtual BOARD={ESP32}.$"),
    "none_runs": (None, None, [], r"no board is connected \(try: its USB cable, make ports, or PORT=virtual\)$"),
}


@pytest.mark.parametrize(("port", "board", "running", "text"), REFUSED.values(), ids=REFUSED)
def test_board_that_is_not_clear_is_refused(port, board, running, text, run):
    run(*running)
    with pytest.raises(remote_board.RemoteError, match=text), remote_board.opened(port, board):
        pass


def test_board_other_than_the_named_one_is_refused_when_it_says_what_it_is(run):
    port = run(ESP8266)[ESP8266]
    with remote_board.opened(port, ESP32) as opened, pytest.raises(remote_board.RemoteError) as refused:
        opened.facts()
    assert str(refused.value) == f"the board on {port} is an {ESP8266}, no {ESP32} (try: without BOARD)"


def test_terminal_of_somebody_else_is_no_virtual_board():
    master, slave = os.openpty()
    try:
        assert not remote_board.RemoteBoard(os.ttyname(slave)).virtual
    finally:
        os.close(master)
        os.close(slave)


def test_port_of_a_virtual_board_that_has_ended_is_no_virtual_board(run):
    with virtual_board.running(ESP8266, rig=STAND_IN) as board:
        port = board.port
        assert virtual_ports.board_behind(port) == ESP8266
    assert virtual_ports.board_behind(port) is None


def test_heap_of_a_stand_in_is_told_without_what_the_stand_ins_take(run):
    with remote_board.opened(run(ESP8266)[ESP8266]) as opened:
        kib = opened.facts().heap / 1024
    assert 36 * virtual_board.SCALE[STAND_IN] < kib <= 38 * virtual_board.SCALE[STAND_IN]


@pytest.fixture
def scripted(monkeypatch):
    """Return a function that lets mpremote answer with these, one call each: None for too late; gives the calls."""

    def scripted(*answers):
        left, calls = list(answers), []

        def run(command, **options):
            calls.append(options["timeout"])
            code = left.pop(0)
            if code is None:
                raise subprocess.TimeoutExpired(command, options["timeout"])
            return subprocess.CompletedProcess(command, code, b"could not enter raw repl" if code else b"")

        monkeypatch.setattr(subprocess, "run", run)
        return calls

    return scripted


@pytest.mark.parametrize("first", [None, 1], ids=["silent", "refuses"])
def test_board_that_is_still_booting_is_asked_again(first, scripted):
    calls = scripted(first, 0, 0)
    remote_board.RemoteBoard("/dev/null").exec("pass")
    assert len(calls) == 3


def test_board_that_stays_silent_is_not_sent_to_flash(scripted, monkeypatch):
    calls = scripted(None, None)
    master, slave = os.openpty()
    try:
        port = os.ttyname(slave)
        with pytest.raises(remote_board.RemoteError) as failed:
            remote_board.RemoteBoard(port).greet()
    finally:
        os.close(master)
        os.close(slave)
    told = "does not answer (try: its reset button, another cable, then make repl)"
    assert str(failed.value) == f"the board on {port} {told}" and len(calls) == 2


BUSY = """
import micropython, time
end = time.ticks_add(time.ticks_ms(), 1500)
def nothing(_):
    pass
print("busy")
while time.ticks_diff(end, time.ticks_ms()) > 0:
    try:
        for _ in range(20):
            micropython.schedule(nothing, 0)
    except RuntimeError:
        pass
"""


@pytest.mark.parametrize("rig", ["micropython32"])
def test_wifi_that_goes_while_callbacks_wait_is_noticed(rig, tmp_path):
    with virtual_board.running(flash=tmp_path / "flash", rig=rig) as board:
        command = [str(remote_board.MPREMOTE), "connect", board.port, "resume", "exec", BUSY]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "busy\n"
            for number in range(10):
                board.wifi(number % 2)
                assert os.pread(board.link, 2, 0) == b"%d!" % (number % 2)
