"""tools/demo.py: the whole demo on real MicroPython, and what it says when something does not happen."""

import os

import pytest

import demo
from common import echo_server, rigs, statuses

_EVENTS = [
    '"connection"',
    "\"receive\" 'hello!', text",
    '"receive" 100 B, binary',
    "\"receive\" 'one, two, three', text",
    '"pong", round trip',
    "sent, SHA-256",
    '"data": 256 KiB so far',
    '"data", the last piece: 1048576 B in all',
    "\"close\" 0, 1000 ''",
]
_OWN_SERVER = ['"receive" 1000 B, text', "\"close\" -6, 4001 'see you'"]
_REFUSED = ['"close" -111']


def _assert_in_order(events, output):
    position = 0
    for event in events:
        position = output.find(event, position)
        assert position >= 0, f"{event} is not in its place:\n{output}"


@pytest.mark.parametrize("rig", rigs.HEAPS)
def test_demos_at_once_have_each_its_own_modules(rig, monkeypatch):
    folders = []

    def shown(command, seconds, cwd, **_):
        folders.append(cwd)
        before = sorted(os.listdir(cwd))
        if len(folders) == 1:
            demo.play_here(rig, [])
        assert sorted(os.listdir(cwd)) == before and "uwebsocket_client.mpy" in before
        return 0, ""

    monkeypatch.setattr(demo, "_shown", shown)
    demo.play_here(rig, [])
    assert len(set(folders)) == 2


@pytest.mark.parametrize("rig", rigs.HEAPS)
def test_demo_on_own_server_shows_every_event(rig, capfd):
    assert demo.main(["--on", rig]) == 0
    output = capfd.readouterr().out
    _assert_in_order([f"heap {rigs.HEAPS[rig][:-1]} KiB", *_EVENTS, *_OWN_SERVER, *_REFUSED], output)


def test_demo_on_named_server_leaves_out_what_only_its_own_does(capfd):
    with echo_server.running() as url:
        assert demo.main([url]) == 0
    output = capfd.readouterr().out
    _assert_in_order([f"server: {url}", *_EVENTS, *_REFUSED], output)
    assert not any(event in output for event in _OWN_SERVER)


_WRONG = {
    "refused": ("ws://127.0.0.1:1/", -111, "refused: nothing listens at that port", "start the server"),
    "scheme": ("http://127.0.0.1/", -1, "the scheme is neither ws nor wss", "ws:// in front"),
    "port": ("ws://127.0.0.1:0/", -3, "the port is not a number from 1 to 65535", "look at how the URL"),
    "name": ("ws://no-such-host.invalid/", -5, "DNS could not resolve the host", "is Wi-Fi up?"),
}


@pytest.mark.parametrize(("url", "status", "cause", "remedy"), _WRONG.values(), ids=list(_WRONG))
def test_demo_without_a_server_fails_with_the_text_of_its_status(url, status, cause, remedy, capfd):
    assert demo.main([url]) == 1
    output, errors = capfd.readouterr()
    _assert_in_order([f'"close" {status}', f'FAILED: no "connection" came, "close" told {status}'], output)
    assert errors.startswith(f"demo: {status}: {cause}") and f" (try: {remedy}" in errors
    assert errors.count("\n") == 1


def test_demo_with_a_server_that_does_not_echo_fails(capfd):
    with echo_server.running() as url:
        assert demo.main([url + "close"]) == 1
    output, errors = capfd.readouterr()
    assert 'FAILED: no "receive" came, "close" told -6' in output
    assert errors.startswith("demo: -6: the server sent a Close frame")


def test_statuses_that_are_explained_are_those_of_the_page():
    assert statuses.explain(-111)[0].startswith("refused: ") and statuses.explain(-9) is None
    assert all(cause for cause, _ in statuses.table().values())


def test_demo_without_micropython_says_what_to_do(monkeypatch, capfd):
    monkeypatch.setattr(rigs, "missing", lambda: dict.fromkeys(rigs.HEAPS, "broken"))
    assert demo.main([]) == 1
    assert "(try: make setup)" in capfd.readouterr().err
