"""tools/fuzz.py: every input that is kept goes through its target again, and the targets notice broken code."""

import pytest

import _wsreceive
import fuzz
from common import fuzz_targets, install
from upy import handshake_player, protocol_player
from upy.handshake_cases import ACCEPT

_KEPT = sorted(path for folder in (fuzz.CORPUS, fuzz.CRASHES) for path in folder.glob("*/*"))
_INPUT_S = 20


@pytest.mark.timeout(_INPUT_S)
@pytest.mark.parametrize("path", [pytest.param(path, id="-".join(path.parts[-3:])) for path in _KEPT])
def test_input_that_is_kept_keeps_every_promise(path):
    fuzz_targets.TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_target_has_a_corpus_of_small_files(target):
    sizes = [path.stat().st_size for path in (fuzz.CORPUS / target).iterdir()]
    assert len(sizes) >= 20 and max(sizes) <= fuzz.TARGETS[target]


def test_targets_of_the_tool_are_those_that_can_be_replayed():
    assert fuzz.TARGETS.keys() == fuzz_targets.TARGETS.keys()
    assert {path.parent.name for path in _KEPT} == fuzz.TARGETS.keys()


# ---- broken code


def _lenient_utf8(data, start, end, state):
    return 0


def _late_utf8(data, start, end, state):
    return -1 if end - start > 200 else 0


def _greedy_receiver(read, handlers, max_message):
    _wsreceive.bytearray(100_000)
    yield -202


def _endless_receiver(read, handlers, max_message):
    yield -8
    yield -8


def _failing_receiver(read, handlers, max_message):
    raise IndexError
    yield


def _silent_receiver(read, handlers, max_message):
    while True:
        read(bytearray(9), 0, 9)
        yield 0


def _mixed_receiver(read, handlers, max_message):
    yield -202 if read(bytearray(9), 0, 9) == 1 else -15


def _accepting_reply(readline, accept, protocols, ws, wanted):
    while readline(64) is None:
        yield 0


def _forgetful_reply(readline, accept, protocols, ws, wanted):
    while readline(64):
        pass
    yield -17


_requested = handshake_player.requested


def _request_with_a_line(url, *more):
    text, *rest = _requested(url, *more)
    return text.replace(b"Host: h\r\n", b"Host: h\r\nX: y\r\n"), *rest


def _url_with_another_host(url):
    return False, b"elsewhere", 80, 6, None


_TEXT = b"\x00\x81\x02\xc0\x80"
_LONG_TEXT = b"\x00\x81\x7e\x01\x2c" + b"a" * 300
_BROKEN = {
    "utf8-lenient": ("receiver", _TEXT, _wsreceive, "utf8", _lenient_utf8),
    "utf8-by-length": ("receiver", _LONG_TEXT, _wsreceive, "utf8", _late_utf8),
    "memory": ("receiver", b"\x01\x81\x00", protocol_player, "receiver", _greedy_receiver),
    "after-the-end": ("receiver", b"\x00\x81\x00", protocol_player, "receiver", _endless_receiver),
    "exception": ("receiver", b"\x00\x81\x00", protocol_player, "receiver", _failing_receiver),
    "by-the-chunk": ("receiver", b"\x00\x81\x05abcde", protocol_player, "receiver", _mixed_receiver),
    "silence": ("receiver", b"\x00\x81\x00", protocol_player, "receiver", _silent_receiver),
    "reply-accepted": ("reply", b"HTTP/1.1 404 No\r\n\r\n", handshake_player, "reply", _accepting_reply),
    "reply-without-status": ("reply", ACCEPT, handshake_player, "reply", _forgetful_reply),
    "url-line": ("url", b"ws://h/", handshake_player, "requested", _request_with_a_line),
    "url-host": ("url", b"ws://h/", handshake_player, "parse_url", _url_with_another_host),
}


@pytest.mark.parametrize(("target", "data", "module", "name", "broken"), _BROKEN.values(), ids=_BROKEN)
def test_target_of_broken_code_raises(target, data, module, name, broken, monkeypatch):
    fuzz_targets.TARGETS[target](data)
    monkeypatch.setattr(module, name, broken)
    with pytest.raises((fuzz_targets.Finding, IndexError, UnicodeDecodeError)):
        fuzz_targets.TARGETS[target](data)


# ---- the tool


def test_fuzz_with_no_time_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        fuzz.main(["--seconds", "0"])
    assert stopped.value.code == 2
    assert "--seconds" in capsys.readouterr().err


def test_fuzz_without_atheris_says_what_to_do(monkeypatch, capsys):
    def refuse(requirements, folder):
        assert requirements == ["atheris==3.0.0"] and folder == fuzz.RIG
        raise install.InstallError("no such wheel")

    monkeypatch.setattr(install, "make_venv", refuse)
    assert fuzz.main([]) == 1
    assert "no such wheel (try: " in capsys.readouterr().err
