"""Comments and docstrings: each file that they name exists, and each section of docs/ports.md."""

import ast
import io
import re
import tokenize

import pytest

from common import rigs

FOLDERS = ("micropython", "host_tests", "tools", "boards")
SOURCES = [
    path for folder in FOLDERS for end in ("py", "pyi") for path in sorted((rigs.ROOT / folder).rglob(f"*.{end}"))
]
SETTINGS = [rigs.ROOT / name for name in ("Makefile", "pyproject.toml", ".ci/run")]
NAMES = {path.name for folder in (*FOLDERS, "docs") for path in (rigs.ROOT / folder).rglob("*")} | {
    path.name for path in rigs.ROOT.iterdir()
}
# Files that are not in this repository: what lies on a board or is made, and what comes with others.
OTHERS = {
    "main.py": "the user's program on a board",
    "wifi.json": "the user's network and its password",
    "index.json": "what the Autobahn server writes",
    "BATCH.json": "an argument of a program",
    "package.json": "what mip reads, in a release",
}
_FILE = re.compile(r"(?<![\w./:*<-])(?:[\w.-]+/)*[\w-]+\.(?:py|pyi|md|json|toml|conf|js|c|h)\b(?!\.)")
_SECTION = re.compile(r"docs/ports\.md, ([^.;:()\"]+)")


def comments(path):
    """Return the comments of a file, and its docstrings, each with its line."""
    text = path.read_text()
    if path not in SOURCES:
        return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.lstrip().startswith("#")]
    found = [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (said := ast.get_docstring(node)):
            found.append((getattr(node, "lineno", 1), said))
    return found


def exists(name, beside):
    """Return whether a file is there: from the root or beside the comment, or without a folder anywhere."""
    if "/" in name:
        return (rigs.ROOT / name).exists() or (beside / name).exists()
    return name in NAMES


def sections(page):
    """Return the headings of a document."""
    return re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)


each_file = pytest.mark.parametrize("path", SOURCES + SETTINGS, ids=lambda path: str(path.relative_to(rigs.ROOT)))


@each_file
def test_file_that_a_comment_names_exists(path):
    named = [(line, name) for line, said in comments(path) for name in _FILE.findall(said)]
    assert [where for where in named if where[1] not in OTHERS and not exists(where[1], path.parent)] == []


@each_file
def test_section_of_ports_that_a_comment_names_exists(path):
    named = {" ".join(name.split()) for _, said in comments(path) for name in _SECTION.findall(said)}
    known = sections(rigs.ROOT / "docs" / "ports.md")
    assert {name for name in named if not all(part in known for part in name.split(" to "))} == set()
