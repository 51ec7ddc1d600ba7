"""tools/peers.py: every case against every real server on every interpreter, and the tool itself."""

import signal
import socket
import subprocess
import sys

import pytest

import peers
from common import generated, loopback, rigs

SCHEMES = ("ws", "wss")
PLAYED = [
    pytest.param(interpreter, name, scheme, case, id=f"{interpreter}-{name}-{scheme}-{case.replace(' ', '-')}")
    for interpreter in rigs.INTERPRETERS
    for name, peer in peers.PEERS.items()
    for scheme in SCHEMES
    for case in peer.cases()
]


@pytest.fixture(scope="module")
def found():
    """What tools/peers.py finds, all of it."""
    return peers.run(rigs.INTERPRETERS, list(peers.PEERS), progress=lambda line: None)


@pytest.mark.parametrize(("interpreter", "name", "scheme", "case"), PLAYED)
def test_case_with_peer_ends_as_it_must(found, interpreter, name, scheme, case):
    assert found[name, scheme][interpreter][case] == "yes"


def test_cases_that_a_peer_cannot_play_are_known_ones():
    for peer in peers.PEERS.values():
        assert set(peer.cannot) < set(peers.CASES)


def test_play_with_another_kind_of_server_tells_what_went_wrong(monkeypatch):
    monkeypatch.setattr(peers, "PEERS", {"websockets": peers.PEERS["mosquitto"]})
    with peers.running(["tornado"]) as (urls, ca):
        told = peers.play("cpython", "websockets", urls["tornado"]["wss"], ca)
    assert told["binary"] == told["1 MiB"] == "Failed: another CONNACK came"
    assert told["subprotocol"] == "Failed: the subprotocol is None"


def test_play_of_a_case_that_the_program_lacks_tells_its_last_words(monkeypatch):
    monkeypatch.setattr(peers, "PEERS", {"websockets": peers.Peer("mqtt")})
    told = peers.play("cpython", "websockets", "ws://127.0.0.1:9/", None)
    assert all(said.startswith("not played: ") and "mqtt_text" in said for said in told.values())


def test_peers_after_the_run_listen_no_more():
    with peers.running(["tornado"]) as (urls, _):
        ports = [int(url.split(":")[2].partition("/")[0]) for url in urls["tornado"].values()]
        for port in ports:
            socket.create_connection(("127.0.0.1", port), 5).close()
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)


@pytest.mark.parametrize("way", ["telling", "listening"])
def test_server_that_does_not_start_says_why(tmp_path, way):
    command = [sys.executable, "-c", "raise SystemExit('no such option')"]
    started = (
        peers._telling("it", command, tmp_path)
        if way == "telling"
        else peers._listening("it", command, tmp_path, loopback.free_port())
    )
    with pytest.raises(peers.PeersError, match=r"it does not listen, it said: no such option \(try: "), started:
        pass


def test_server_that_cannot_be_asked_to_end_is_ended():
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    process.stdout.readline()
    loopback.end(process)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL


def test_listens_of_a_silent_process_gives_up():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert not loopback.listens(process, loopback.free_port(), 0.2)
    finally:
        loopback.end(process)


def test_table_of_a_failure_names_the_interpreter():
    cases = dict.fromkeys(peers.PEERS["aiohttp"].cases(), "yes")
    found = {("aiohttp", "wss"): {"cpython": cases, "micropython32": cases | {"text": "Failed: status [-99]"}}}
    _, ((title, text, binary, _, fragments_in, *rest),) = peers.table(found)
    assert (title, text, binary, fragments_in) == (
        "aiohttp behind nginx, TLS",
        "**no** (micropython32)",
        "yes",
        "\u2013",
    )
    assert set(rest) == {"yes"}
    assert peers.failures(found) == ["aiohttp, wss, micropython32: text: Failed: status [-99]"]


def test_tool_with_one_peer_prints_and_writes_its_table(monkeypatch, tmp_path, capsys):
    document = tmp_path / "peers.md"
    document.write_text("<!-- peers:begin -->\n<!-- peers:end -->\n")
    monkeypatch.setattr(peers, "DOCUMENT", document)
    assert peers.main(["--on", "cpython", "--peers", "tornado", "--write"]) == 0
    assert "tornado behind nginx, TLS" in capsys.readouterr().out
    assert "| yes |" in document.read_text() and "make peers" in document.read_text()


@pytest.mark.parametrize("arguments", [["--on", "lua"], ["--peers", "apache"]], ids=" ".join)
def test_tool_with_wrong_arguments_is_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        peers.main(arguments)
    assert ended.value.code == 2
    assert "--peers" in capsys.readouterr().err


def test_document_has_a_block_for_the_table(tmp_path):
    copy = tmp_path / "peers.md"
    copy.write_text(peers.DOCUMENT.read_text())
    generated.write(copy, "peers", "the table")
    assert "the table" in copy.read_text()
