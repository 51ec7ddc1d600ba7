"""Names that stand for private ones in compiled files: the firmware has them, and nothing else in the client does."""

import ast
import re
import subprocess

import pytest

from common import compiler, private_names, rigs
from common.private_names import REPLACED
from common.virtual_esp8266_client import prepare, running

SOURCES = compiler.modules()
PUBLIC = [rigs.DEVICE / f"uwebsocket_{name}.pyi" for name in ("client", "asyncio", "mask")]
# Interns each word, and prints those that the firmware did not have.
_ASK = """
import micropython
class A: pass
for word in {words}.split():
    setattr(A, word, 0)
micropython.qstr_info(1)
"""


def _names(path):
    """Return the names in a Python file, and its strings of one word."""
    for node in ast.walk(ast.parse(path.read_text())):
        for field in ("id", "attr", "name", "arg", "asname", "module"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value


def _lacking(said):
    return sorted(set(re.findall(r"Q\((\w+)\)", said)) & set(REPLACED.values()))


@pytest.mark.parametrize("interpreter", ["micropython32", "micropython64"])
def test_names_are_those_of_the_unix_port(interpreter):
    program = _ASK.format(words=repr(" ".join(REPLACED.values())))
    command = [*rigs.command(interpreter), "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    assert "Q(words)" not in said and "Q(A)" in said
    assert _lacking(said) == []


def test_names_are_those_of_the_esp8266(tmp_path):
    flash = tmp_path / "flash"
    prepare("mpy", flash)
    with running("mpy", flash) as session:
        session.fresh()
        said = session.exec(_ASK.format(words=repr(" ".join([*REPLACED.values(), "no_name_of_it"]))))
    assert "Q(no_name_of_it)" in said
    assert _lacking(said) == []


def test_names_stand_for_one_each():
    assert len(set(REPLACED.values())) == len(REPLACED)


def test_names_are_used_by_the_client_for_nothing_else():
    used = {name for path in SOURCES for name in _names(path)}
    assert sorted(used & set(REPLACED.values())) == [REPLACED["self"]]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_name_that_stands_for_self_is_used_in_no_function(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    used = {node.id for function in functions for node in ast.walk(function) if isinstance(node, ast.Name)}
    assert REPLACED["self"] not in used


def test_replaced_names_are_all_in_use():
    used = {name for path in SOURCES for name in _names(path)}
    assert sorted(set(REPLACED) - used) == []


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_public_names_are_not_replaced(path):
    """All but `keep`, which load() is given by place, `self`, and what is a key of config() and a type of a stub."""
    assert sorted(set(_names(path)) & set(REPLACED) - {"keep", "self", "timer", "Connection"}) == []


def test_private_names_of_the_client_are_all_replaced():
    """What the client, its board and its protocol keep in memory: no private name is left that the firmware lacks."""
    private = set()
    for name in ("uwebsocket_client", "_wsprotocol", "_wsboard"):
        text = (rigs.DEVICE / f"{name}.py").read_text()
        private |= set(re.findall(r"\b_[a-z]\w+", text)) - set(re.findall(r"^(_\w+) = const", text, re.MULTILINE))
    modules = {path.stem for path in SOURCES}
    assert sorted(private - set(REPLACED) - modules) == ["_run", "_serve"]  # which it has


REWRITTEN = {
    "attribute": ("self._state = 1\n", "const._machine = 1\n"),
    "twice-in-a-line": ("self._end(self._state)\n", "const.umount(const._machine)\n"),
    "string": ("a = '_state'\n", "a = '_state'\n"),
    "comment": ("a = 1  # _state\n", "a = 1  # _state\n"),
    "longer-name": ("_states = my_state\n", "_states = my_state\n"),
    "beyond-ascii": ("a = 'é', _state\n", "a = 'é', _machine\n"),
    "no-python": ("def (:\n  '''\n _state", "def (:\n  '''\n _state"),
    "no-newline": ("_state", "_machine"),
    "empty": ("", ""),
}


@pytest.mark.parametrize(("text", "expected"), REWRITTEN.values(), ids=REWRITTEN)
def test_replaced_source(text, expected):
    assert private_names.replaced(text.encode()).decode() == expected


def test_replaced_source_that_is_not_utf8_keeps_its_bytes():
    assert private_names.replaced(b"a = _state  # \xff\n") == b"a = _machine  # \xff\n"


def test_other_programs_keep_their_names(tmp_path):
    for name in ("main", "_wsurl"):
        (tmp_path / f"{name}.py").write_text("_state = 1\n")
        compiler.compile_file(tmp_path / f"{name}.py", tmp_path / f"{name}.mpy")
    assert b"_state" in (tmp_path / "main.mpy").read_bytes()
    assert b"_state" not in (tmp_path / "_wsurl.mpy").read_bytes()
