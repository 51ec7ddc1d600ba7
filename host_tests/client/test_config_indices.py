"""The indices by which the modules of the client know the options: they are those of KEYS."""

import ast
import re

import pytest

from _wsconfig import KEYS
from common import compiler

_COMMENT = re.compile(r"^# Indices of the options|# index of the option")


def _expected(name):
    # The index of the option that a constant is named after: _PING_LIMIT, _CONNECT_TIMEOUT (of connect_timeout_ms).
    key = name.strip("_").lower()
    return KEYS.index(key if key in KEYS else key + "_ms")


def _constants(source):
    """Return {name: number} of the constants below or beside a comment on indices, up to the next empty line."""
    found = {}
    below = False
    for line in source.splitlines():
        marked = _COMMENT.search(line)
        below = (below or bool(marked and line.startswith("#"))) and line != ""
        constant = re.match(r"(_[A-Z_]+) = const\((\d+)\)", line)
        if constant and (below or marked):
            found[constant[1]] = int(constant[2])
    return found


_SOURCES = {path.stem: path.read_text() for path in compiler.modules()}
_FOUND = [(module, name, at) for module, text in _SOURCES.items() for name, at in _constants(text).items()]


@pytest.mark.parametrize(("module", "name", "at"), _FOUND, ids=[f"{module}-{name}" for module, name, _ in _FOUND])
def test_index_of_an_option_is_its_place_in_the_keys(module, name, at):
    assert at == _expected(name), f"{module}.{name}"


@pytest.mark.parametrize("module", _SOURCES)
def test_options_are_taken_by_an_index_that_is_marked(module):
    used = {
        node.slice.id
        for node in ast.walk(ast.parse(_SOURCES[module]))
        if isinstance(node, ast.Subscript)
        and ast.unparse(node.value).endswith("_options")
        and isinstance(node.slice, ast.Name)
    }
    assert used <= set(_constants(_SOURCES[module]))


def test_every_option_is_used():
    assert {_expected(name) for _, name, _ in _FOUND} == set(range(len(KEYS)))
