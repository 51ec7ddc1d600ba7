"""tools/deploy.py with the real mpremote, to virtual boards."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import types

import pytest

import deploy
from common import compiler, deployment, echo_server, payload, remote_board, rigs, virtual_board

FAKES = rigs.ROOT / "host_tests" / "fakes"
_LONGEST_S = 60
MODULES = len(compiler.sources()) + 1  # and the masker

ECHO = """
import uwebsocket_client as websocket
print(websocket.__file__)
ws = websocket.createClient()
ws.on("connection", lambda ws: ws.send("hello!"))
ws.on("receive", lambda ws, message, opcode: (print(message), ws.close()))
ws.on("close", lambda ws, status: print("closed", status))
ws.connect({!r})
while ws.poll(1000):
    pass
"""


@pytest.fixture
def flash(tmp_path):
    return tmp_path / "flash"


@pytest.fixture
def board(flash):
    with virtual_board.running(flash=flash) as running:
        yield running


def installed(flash):
    """Return {name: SHA-256} of /lib."""
    return {path.name: payload.digest(path) for path in (flash / "lib").iterdir()}


def built():
    return {path.name: payload.digest(path) for path in compiler.build_all([rigs.arch(rigs.nearest_to_a_board())])}


def eventually(condition):
    deadline = time.monotonic() + _LONGEST_S
    while not condition():
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.002)


def run(program, port):
    with remote_board.opened(port) as opened:
        return opened.exec(program).splitlines()


def test_deployed_client_echoes_from_lib(board, flash, capsys):
    assert deploy.main(["--port", board.port]) == 0
    assert installed(flash) == built()
    out = capsys.readouterr().out
    assert out.startswith("virtual board, MicroPython ") and "B left\n" in out
    with echo_server.running() as url:
        assert run(ECHO.format(url), board.port) == ["/lib/uwebsocket_client.mpy", "hello!", "closed 0"]


def test_deployed_example_runs_after_the_reset(board, flash, capsys):
    (flash / "main.py").write_text("while True:\n    pass\n")
    assert deploy.main(["--port", board.port, "--example", "download"]) == 1
    assert "has a main.py of its own" in capsys.readouterr().err
    with echo_server.running() as url:
        assert deploy.main(["--port", board.port, "--example", "download", "--url", url, "--force"]) == 0
        eventually((flash / "download.bin").exists)
    assert (flash / "download.bin").stat().st_size == 100000


@pytest.mark.parametrize(("end", "copied"), [("killed", MODULES // 2), ("unplugged", 1), ("unplugged", MODULES - 1)])
def test_deploy_cut_off_while_copying_leaves_the_old_client_and_the_next_one_repairs(flash, capsys, copied, end):
    with contextlib.ExitStack() as stack:
        board = stack.enter_context(virtual_board.running(flash=flash))
        assert deploy.main(["--port", board.port]) == 0
        for path in flash.glob("lib/*.mpy"):
            path.write_bytes(path.read_bytes() + b"\0")  # which no one reads
        old = installed(flash)
        command = [sys.executable, str(rigs.ROOT / "tools" / "deploy.py"), "--port", board.port]
        port = board.port
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        eventually(lambda: len(list(flash.glob("lib/*.new"))) >= copied)
        if end == "killed":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            stack.close()
        error = process.communicate(timeout=_LONGEST_S)[1]
    if end == "unplugged":
        assert process.returncode == 1
        assert error == f"deploy: the board on {port} is gone (try: its USB cable, then the same again)\n"
    left, new = installed(flash), built()
    assert all(left[name] in (old[name], new[name]) for name in old)
    with virtual_board.running(flash=flash) as board:
        run("import uwebsocket_client", board.port)
        assert deploy.main(["--port", board.port]) == 0
    assert installed(flash) == new


def test_deploy_to_a_flash_that_fills_up_leaves_nothing_behind(flash, monkeypatch, capsys):
    with virtual_board.running(flash=flash, flash_kib=16) as board:
        assert deploy.main(["--port", board.port]) == 1
        errors = capsys.readouterr().err
        assert re.match(r"deploy: the flash is full: \d+ KiB to copy, 16 KiB free \(try: ", errors), errors
        assert list(flash.iterdir()) == []
        monkeypatch.setattr(deployment, "parts", lambda copies, *_: [list(copies)])  # as if there were room
        assert deploy.main(["--port", board.port]) == 1
        assert capsys.readouterr().err.startswith(f"deploy: the flash of the board on {board.port} is full (try: ")
    assert list((flash / "lib").iterdir()) == []


def test_deploy_to_all_boards_at_once_reaches_each(tmp_path, monkeypatch, capsys):
    with (
        virtual_board.running(flash=tmp_path / "one") as one,
        virtual_board.running("ESP32_GENERIC", flash=tmp_path / "two") as two,
    ):
        found = [types.SimpleNamespace(device=board.port) for board in (one, two)]
        monkeypatch.setattr(remote_board, "serial_ports", lambda: found)
        assert deploy.main(["--all"]) == 0
        labels = {line.split(": ")[0] for line in capsys.readouterr().out.splitlines()}
        assert labels == {os.path.basename(board.port) for board in (one, two)}
    assert installed(tmp_path / "one") == installed(tmp_path / "two") == built()


def test_deploy_into_the_romfs_is_imported_from_there(flash, tmp_path, monkeypatch, capsys):
    (tmp_path / "rom.img").write_bytes(b"\xff" * (8 << 12))
    flash.mkdir()
    mount = f"mount_rom(Image(vfs.VfsPosix({str(tmp_path)!r}).open('/rom.img', 'r+b')))\n"
    (flash / "boot.py").write_text((FAKES / "flash_images.py").read_text() + mount)
    monkeypatch.setattr(virtual_board, "SCALE", dict.fromkeys(rigs.INTERPRETERS, 4))  # the image lies in the heap
    with virtual_board.running(flash=flash) as board, echo_server.running() as url:
        assert deploy.main(["--port", board.port, "--romfs"]) == 0
        assert run(ECHO.format(url), board.port) == ["/rom/lib/uwebsocket_client.mpy", "hello!", "closed 0"]
    assert "write the ROMFS, " in capsys.readouterr().out
    assert {path.name for path in flash.iterdir()} == {"lib", "boot.py"} and list((flash / "lib").iterdir()) == []


def test_deploy_of_plain_files_fits_an_esp32_but_no_esp8266(board, flash, tmp_path, capsys):
    assert deploy.main(["--port", board.port]) == 0
    before = installed(flash)
    assert deploy.main(["--port", board.port, "--source"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("deploy: to compile plain .py files takes a heap of ")
    assert told.endswith(" (try: without --source)\n")
    assert installed(flash) == before
    with virtual_board.running("ESP32_GENERIC", flash=tmp_path / "esp32") as roomy:
        assert deploy.main(["--port", roomy.port, "--source"]) == 0


def test_deploy_to_no_port_says_what_to_do(capsys):
    assert deploy.main(["--port", "/dev/ttyNOTHING"]) == 1
    assert capsys.readouterr() == ("", "deploy: no board on /dev/ttyNOTHING (try: make ports)\n")
