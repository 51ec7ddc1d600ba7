"""tools/bench.py: that it measures and prints everything; never how fast it is."""

import re
import socket

import pytest
from websockets.frames import Frame, Opcode

import bench
from common import rigs
from servers import wire


@pytest.mark.parametrize("interpreter", bench.INTERPRETERS)
def test_bench_of_one_round_fills_the_table(interpreter, monkeypatch, capsys):
    monkeypatch.setattr(bench, "missed", lambda columns: [])
    assert bench.main(["--on", interpreter, "--rounds", "1"]) == 0
    header, *rows = [line for line in capsys.readouterr().out.splitlines() if line][:-1]
    assert re.split(" {2,}", header) == ["what", "limit", "goal", interpreter, f"{interpreter}, viper"]
    assert [re.split(" {2,}", row)[0] for row in rows] == [row.what for row in bench.ROWS.values()]


def test_bench_on_the_chip_tells_how_long_a_connection_takes(monkeypatch, capsys):
    monkeypatch.setattr(bench, "CONNECT_MS", {"romfs": ("ROMFS", None, 15)})
    assert bench.main(["--on", rigs.CHIP, "--rounds", "2"]) == 0
    header, row, _ = [line for line in capsys.readouterr().out.splitlines() if line]
    assert re.split(" {2,}", header) == ["a connection on an ESP8266, from", "measured", "limit", "goal"]
    assert re.fullmatch(r"ROMFS {2,}[1-9]\d* ms {2,}15 ms", row)


@pytest.mark.parametrize(("measured", "failed"), [(50.0, False), (50.6, True)], ids=["at-most", "above"])
def test_bench_of_connecting_that_misses_its_limit_fails(monkeypatch, capsys, measured, failed):
    rows = [("`.mpy`", measured, 50, 15), ("ROMFS", 99.0, None, 15)]
    monkeypatch.setattr(bench, "connecting", lambda rounds: rows)
    assert bench.main(["--on", rigs.CHIP]) == failed
    assert capsys.readouterr().err.startswith("bench: connecting, `.mpy`: 51 ms, the limit is 50 ms" if failed else "")


@pytest.mark.parametrize(
    ("size", "arguments"),
    [(1, "1/1"), (125, "125/2"), (126, "126/1"), (65536, "65536/2")],
    ids=["1", "125", "126", "65536"],
)
def test_server_of_bench_answers_a_batch_once_it_is_whole(size, arguments):
    sent = Frame(Opcode.BINARY, b"x" * size).serialize(mask=True) * int(arguments.split("/")[1])
    with bench.loopback_server() as address, _upgraded(address, f"sink/{arguments}") as sock:
        sock.sendall(sent[:-1])
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(100)
        sock.sendall(sent[-1:])
        sock.settimeout(5)
        assert sock.recv(100) == b"\x82\x01!"


def test_server_of_bench_echoes_the_first_message_for_every_further_one():
    with bench.loopback_server() as address, _upgraded(address, "echo/3") as sock:
        for _ in range(3):
            sock.sendall(wire.frame(wire.BINARY, b"abc", key=b"1234"))
            assert sock.recv(100) == b"\x82\x03abc"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(b"b", b"\x82\x03aaa"), (b"a", b"\x81\x03aaa"), (b"u", b"\x81\x03\xe2\x82\xac")],
    ids=["binary", "ascii", "wide"],
)
def test_server_of_bench_sends_as_many_messages_as_asked_for(kind, expected):
    with bench.loopback_server() as address, _upgraded(address, "source/3/2") as sock:
        sock.sendall(wire.frame(wire.BINARY, kind, key=b"1234"))
        assert sock.recv(100) == expected * 2


@pytest.mark.parametrize("arguments", [["--on", "basic"], ["--rounds", "0"]], ids=["interpreter", "rounds"])
def test_bench_with_a_wrong_argument_is_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        bench.main(arguments)
    assert stopped.value.code == 2
    assert "micropython32" in capsys.readouterr().err


def test_bench_without_micropython_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(rigs, "missing", lambda: dict.fromkeys((*bench.INTERPRETERS, rigs.CHIP), "broken"))
    assert bench.main([]) == 1
    assert "(try: make setup)" in capsys.readouterr().err


def _columns(**numbers):
    """Return what measure() returns for one column: no figure but these."""
    figures = {name: bench.Figure("nothing") for name in bench.ROWS}
    return {"x": figures | {name: bench.Figure(f"{number:g} of it", number) for name, number in numbers.items()}}


@pytest.mark.parametrize(
    ("row", "number", "line"),
    [
        ("128 B", 5, None),
        ("128 B", 5.1, "x: one 128 B echo: 5.1 of it, the limit is 5 times raw"),
        ("wide", 1, None),
        ("wide", 0.9, "x: the same as text, strictly checked: 3-byte characters: 0.9 of it, the limit is 1 MB/s"),
        ("binary", 0, None),
    ],
    ids=["at-most", "above", "at-least", "below", "no-limit"],
)
def test_bench_that_misses_a_limit_fails_and_tells_figure_and_limit(monkeypatch, capsys, row, number, line):
    monkeypatch.setattr(bench, "measure", lambda *_: _columns(**{row: number}))
    assert bench.main(["--on", "micropython64"]) == bool(line)
    assert capsys.readouterr().err.startswith(f"bench: {line} (try: " if line else "")


@pytest.mark.parametrize("arguments", [[], ["--write"]], ids=["plain", "write"])
def test_bench_writes_its_table_between_the_marks_when_told_to(monkeypatch, tmp_path, capsys, arguments):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n")
    monkeypatch.setattr(bench, "COSTS", readme)
    before = readme.read_text()
    monkeypatch.setattr(bench, "measure", lambda *_: _columns(**{"128 B": 1}))
    assert bench.main(["--on", "micropython64", *arguments]) == 0
    assert "1 of it" in capsys.readouterr().out
    text = readme.read_text()
    if not arguments:
        assert text == before
        return
    assert text.startswith("before\n<!-- bench:begin -->\n| what | limit | goal | x |")
    assert text.endswith("<!-- bench:end -->\nafter\n")
    assert "| one 128 B echo | 5 times raw | 3 times raw | 1 of it |" in text
    assert "old" not in text and "`make bench`" in text


def _upgraded(address, path):
    """Return a socket after the upgrade."""
    sock = socket.create_connection(address, timeout=5)
    sock.sendall(
        f"GET /{path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    reply = b""
    while not reply.endswith(b"\r\n\r\n"):
        reply += sock.recv(1)
    assert wire.accept_value("dGhlIHNhbXBsZSBub25jZQ==").encode() in reply
    return sock
