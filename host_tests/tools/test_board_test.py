"""tools/board_test.py: all of it on the virtual board, and whom it blames when something is broken on purpose."""

import dataclasses
import json
import shutil
import types

import pytest

import board_test
from common import board_test_server, board_tester, compiler, loopback, remote_board, virtual_board

_NETWORK = {"up": True, "address": "127.0.0.1", "mask": "255.255.255.0", "rssi": -60}
_PLAIN = {"echo_us": 4000, "sent": 200000, "received": 210000}
_IMPORT = {"free": 30000, "kept": 9700}
_ECHOES = {"binary": 8000, "text": 4000}
_FACTS = types.SimpleNamespace(
    machine="a board", version_text="1.25.0", heap=38000, free=30000, mpy=(6, 3, None), march=None
)


class ScriptedBoard:
    """A board that answers each program of the board test with what the test says, the last answer again and again.

    An answer that is an exception is raised; the client's files are those of this repository.
    """

    port = "/dev/null"

    def __init__(self, virtual=False, **answers):
        self.virtual = virtual
        defaults = {"network": _NETWORK, "plain": _PLAIN, "import": _IMPORT, "kit": ""}
        self._answers = {
            board_tester.program(name): list(answer) if isinstance(answer, tuple) else [answer]
            for name, answer in (defaults | answers).items()
        }

    def exec(self, code, timeout_s=60):
        if code.startswith("print(dir())"):
            return "['kit']"
        answers = next(answers for program, answers in self._answers.items() if code.startswith(program))
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return f"event of another client\n{json.dumps(answer)}\n"

    def facts(self):
        return _FACTS

    def files(self, folder):
        return {}


def _passed(**measured):
    return {"result": measured, "ms": 12, "free": 25000}


def _failed(text):
    return {"failed": text, "ms": 12, "free": 25000}


_STEPS_PLAYED = ("handshake", "echoes", "reconnecting")
_STEPS = {
    "handshake": _passed(open_ms=8, protocol="superchat"),
    "echo": _passed(**_ECHOES),
    "reconnect": _passed(away_ms=300),
}
_TIMED_OUT = {"failed": "connect", "errno": "ETIMEDOUT"}
_BLAMED = {
    "wifi-down": ({"network": _NETWORK | {"up": False}}, "network", "Wi-Fi is down", "make deploy ARGS=--wifi"),
    "no-address": ({"network": _NETWORK | {"address": None}}, "network", "not on Wi-Fi", "--host"),
    "no-answer": ({"plain": _TIMED_OUT}, "network", "connect, from 127.0.0.1 to 127.0.0.1: ETIMEDOUT", "firewall"),
    "other-network": (
        {"network": _NETWORK | {"address": "127.0.0.1", "mask": "255.0.0.0"}, "plain": _TIMED_OUT, "host": "10.0.0.1"},
        "network",
        "is in another network",
        "the same network",
    ),
    "lost-on-the-way": (
        {"echo": _failed('no "receive" came'), "plain": (_PLAIN, _TIMED_OUT)},
        "network",
        "fails to connect",
        "firewall",
    ),
    "wifi-lost-on-the-way": (
        {"echo": _failed('"close" told -104'), "network": (_NETWORK, _NETWORK, _NETWORK | {"up": False})},
        "network",
        "Wi-Fi is down",
        "access point",
    ),
    "lost-at-the-end": ({"plain": (_PLAIN, _TIMED_OUT)}, "network", "fails to connect", "firewall"),
    "client": ({"echo": _failed('no "receive" came')}, "client", "a bare socket works", "an issue with this table"),
    "client-stuck": (
        {"echo": remote_board.RemoteError("no answer (try: a reset)")},
        "client",
        "echoes: no answer;",
        "issue",
    ),
    "weak-signal": (
        {"echo": _failed('no "receive" came'), "network": _NETWORK | {"rssi": -85}},
        "client",
        "a bare socket works",
        "nearer to the access point, the signal is weak (-85 dBm)",
    ),
    "little-heap": ({"echo": _failed("MemoryError memory allocation failed")}, "heap", "MemoryError", "main.py"),
    "not-importable": ({"import": {"failed": "ValueError incompatible"}}, "client", "import: ValueError", "issue"),
    "not-there": ({"import": {"missing": "no module named 'x'"}}, "client", "not on the board", "make deploy"),
}  # fmt: skip


@pytest.mark.parametrize(("answers", "culprit", "text", "remedy"), _BLAMED.values(), ids=list(_BLAMED))
def test_fault_on_scripted_board_is_put_down_to_its_cause(answers, culprit, text, remedy, monkeypatch):
    host = answers.get("host")
    if host:
        monkeypatch.setattr(board_test_server, "Servers", _servers_at(host))
    result = board_tester.Report()
    answers = _STEPS | {name: answer for name, answer in answers.items() if name != "host"}
    board_tester.examine(ScriptedBoard(**answers), host, list(_STEPS_PLAYED), result)
    assert result.verdict.culprit == culprit
    assert text in result.verdict.text
    assert remedy in result.verdict.remedy


def _servers_at(host):
    """Return Servers on loopback that say they are at another address."""

    class Elsewhere(board_test_server.Servers):
        def __init__(self, _):
            super().__init__("127.0.0.1")

        def __enter__(self):
            super().__enter__()
            self.host = host
            return self

    return Elsewhere


_AFTER_A_FAILURE = {
    "network-works": (_PLAIN, ["handshake", "echoes", "reconnecting"]),
    "network-gone": ((_PLAIN, _TIMED_OUT), ["handshake", "echoes"]),
}


@pytest.mark.parametrize(("plain", "played"), _AFTER_A_FAILURE.values(), ids=list(_AFTER_A_FAILURE))
def test_steps_after_a_failed_one_are_played_where_the_network_works(plain, played):
    result = board_tester.Report()
    answers = _STEPS | {"echo": _failed("broken"), "plain": plain}
    board_tester.examine(ScriptedBoard(**answers), None, list(_STEPS_PLAYED), result)
    assert [outcome.step for outcome in result.outcomes] == played


_LATE = 'no "receive" came while connected'
_TWICE = {
    "late-once": ((_failed(_LATE), _passed(**_ECHOES)), True, f"passed at the second attempt, the first: {_LATE}"),
    "late-twice": (_failed(_LATE), False, _LATE),
    "timed-out": (
        (_failed('no "connection" came while connecting, "close" told -18'), _passed(**_ECHOES)),
        True,
        "-18",
    ),
    "refused": ((_failed('no "connection" came while connecting, "close" told -17'), _passed(**_ECHOES)), False, "-17"),
    "changed": ((_failed("1000 B of text came back changed"), _passed(**_ECHOES)), False, "changed"),
}


@pytest.mark.parametrize(("answers", "passed", "text"), _TWICE.values(), ids=list(_TWICE))
def test_time_out_is_tried_once_more_and_nothing_else_is(answers, passed, text):
    result = board_tester.Report()
    board_tester.examine(ScriptedBoard(**_STEPS | {"echo": answers}), None, ["echoes"], result)
    (outcome,) = result.outcomes
    assert outcome.passed == passed == (result.verdict is None)
    assert text in outcome.text


# ---- on the virtual board

_CLOSING = ["--only", "close codes"]


@pytest.fixture(scope="module")
def virtual(tmp_path_factory):
    """A virtual board with the client."""
    with virtual_board.running(flash=tmp_path_factory.mktemp("board") / "flash") as one:
        _give_client(one)
        yield one


def _give_client(one):
    shutil.rmtree(one.flash / "lib", ignore_errors=True)
    (one.flash / "lib").mkdir()
    for path in compiler.build_all():
        shutil.copy(path, one.flash / "lib")


@pytest.fixture
def breakable(virtual):
    """The same, to be broken: made whole again afterwards."""
    yield virtual
    virtual.wifi(True)
    _give_client(virtual)
    virtual.reset()


def _run(one, *arguments):
    return board_test.main(["--port", one.port, *arguments])


def test_board_test_on_virtual_board_passes_every_step(virtual, capfd):
    assert _run(virtual) == 0
    output, errors = capfd.readouterr()
    for name in (*(step.name for step in board_tester.STEPS), board_tester.PROMPT):
        assert f"| {name} |" in output
        assert f"board_test: {name}: " in errors
    assert "all 13 steps passed" in output
    assert "failed" not in output
    assert output.count("| bare socket, ") == 2


def test_board_test_as_json_holds_what_the_table_holds(virtual, capfd):
    assert _run(virtual, "--json", "--only", "round trips") == 0
    said = json.loads(capfd.readouterr().out)
    assert said["verdict"] is said["failure"] is None
    assert [outcome["step"] for outcome in said["outcomes"]] == ["round trips"]
    assert len(said["outcomes"][0]["measured"]["ping_us"]) == 3
    assert "MicroPython" in said["board"]["firmware"]
    assert len(said["plain"]) == 2


def _replace(name, text):
    def change(one, folder):
        source = folder / f"{name}.py"
        source.write_text(text)
        compiler.compile_file(source, one.flash / "lib" / f"{name}.mpy")

    return change


def _cut(name):
    def change(one, _):
        path = one.flash / "lib" / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return change


_DIFFERS = "_wserror.mpy on the board differs from this repository (try: make deploy)"
_BROKEN = {
    "raises": (
        _replace("_wserror", "raise ValueError('broken')"),
        f"the client is at fault: close codes: ValueError broken; {_DIFFERS}",
    ),
    "hangs": (
        _replace("_wserror", "while True: pass"),
        "the client is at fault: close codes: ",
    ),
    "restarts": (
        _replace("_wserror", "import machine\nmachine.reset()"),
        f"; the board restarted; {_DIFFERS}",
    ),
    "cut-off": (_cut("_wsprotocol.mpy"), "the client is at fault: import: "),
    "wifi-off": (lambda one, _: one.wifi(False), "the network is at fault: the board's Wi-Fi is down (try: "),
}


@pytest.mark.parametrize(("change", "told"), _BROKEN.values(), ids=list(_BROKEN))
def test_broken_board_fails_and_tells_the_culprit_in_one_line(change, told, breakable, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(board_tester, "STEP_S", 5)
    change(breakable, tmp_path)
    breakable.reset()
    assert _run(breakable, *_CLOSING) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert told in last
    assert "(try: " in last


def test_board_that_restarts_goes_on_with_the_next_step(breakable, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(board_tester, "STEP_S", 5)
    _replace("_wserror", "import machine\nmachine.reset()")(breakable, tmp_path)
    assert _run(breakable, *_CLOSING, "--only", "memory") == 1
    assert "| memory | 16 connections, 0 B lost |" in capfd.readouterr().out


def test_server_that_the_board_cannot_reach_is_the_networks_fault(virtual, monkeypatch, capfd):
    class Unreachable(board_test_server.Servers):
        def __enter__(self):
            super().__enter__()
            self.plain = loopback.free_port()
            return self

    monkeypatch.setattr(board_test_server, "Servers", Unreachable)
    assert _run(virtual) == 1
    output, errors = capfd.readouterr()
    assert output == ""
    assert "the network is at fault: a bare socket fails to connect" in errors
    assert "from 127.0.0.1 to 127.0.0.1: ECONNREFUSED (try: " in errors
    assert len(errors.splitlines()) == 1


def test_wifi_that_goes_in_the_middle_is_the_networks_fault(breakable, monkeypatch, capfd):
    def arguments(servers):
        breakable.wifi(False)
        return (servers.echo,)

    handshake, *others = board_tester.STEPS
    monkeypatch.setattr(board_tester, "STEPS", (dataclasses.replace(handshake, arguments=arguments), *others))
    assert _run(breakable) == 1
    output, errors = capfd.readouterr()
    assert "| handshake | **failed**: " in output
    assert "| echoes |" not in output
    assert "the network is at fault: the board's Wi-Fi is down" in errors.splitlines()[-1]


def test_address_of_another_computer_fails_and_says_so(virtual, capfd):
    assert _run(virtual, "--host", "192.0.2.1") == 1
    assert "192.0.2.1: " in capfd.readouterr().err


def test_virtual_board_without_the_whole_client_gets_it_first(breakable, capfd):
    (breakable.flash / "lib" / "_wsreply.mpy").unlink()
    breakable.reset()
    assert _run(breakable, "--only", "handshake") == 0
    output, errors = capfd.readouterr()
    assert "| handshake | open after " in output
    assert "copy" not in output
    assert "copy /lib/_wsreply.mpy" in errors


_UNUSABLE = {
    "no-port": (["--port", "/dev/no-such-port"], "board_test: no board on /dev/no-such-port (try: make ports)"),
    "no-board": (["--port", "virtual", "--board", "NONE"], "(try: make boards)"),
}


@pytest.mark.parametrize(("arguments", "told"), _UNUSABLE.values(), ids=list(_UNUSABLE))
def test_port_without_a_board_fails_and_says_what_to_try(arguments, told, capfd):
    assert board_test.main(arguments) == 1
    output, errors = capfd.readouterr()
    assert output == ""
    assert told in errors
    assert len(errors.splitlines()) == 1


def test_main_of_the_board_is_put_aside_and_runs_again(breakable, capfd):
    main = breakable.flash / "main.py"
    main.write_text("hog = bytearray(20000)\nopen('/ran', 'a').write('x')\nwhile True:\n    pass\n")
    breakable.reset()
    try:
        assert _run(breakable, "--only", "echoes") == 0
        assert "main.py is put aside meanwhile, and comes back" in capfd.readouterr().err
        assert main.exists() and not (breakable.flash / "main.board-test").exists()
    finally:
        main.unlink()


def test_main_that_an_interrupted_test_left_aside_comes_back(breakable):
    (breakable.flash / "main.board-test").write_text("print('mine')\n")
    assert _run(breakable, "--only", "handshake") == 0
    main = breakable.flash / "main.py"
    assert main.read_text() == "print('mine')\n"
    main.unlink()


def test_unknown_step_is_wrong_usage(capfd):
    with pytest.raises(SystemExit, match="2"):
        board_test.main(["--only", "nothing"])
