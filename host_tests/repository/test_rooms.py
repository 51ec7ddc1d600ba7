"""The tree: a tool for each make target, libraries below the tools, and no name that stands for two things."""

import ast
import re
from pathlib import Path

import pytest

from common import rigs

TOOLS = rigs.ROOT / "tools"
VERBS = {path.stem for path in TOOLS.glob("*.py")}
# Each target that `make help` lists, with what it runs.
TARGETS = dict(re.findall(r"^([a-z-]+):.*##.*\n\t(.+)", (rigs.ROOT / "Makefile").read_text(), re.MULTILINE))
_CALLED = r"tools/(\w+)\.py"


def imported(path):
    """Return the names of the modules that a file imports, at its top or within a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return names


def test_tool_exists_for_each_target_that_calls_one_and_is_named_like_it():
    called = {target: set(re.findall(_CALLED, recipe)) for target, recipe in TARGETS.items()}
    assert {target: tools for target, tools in called.items() if tools - {target.replace("-", "_"), "setup"}} == {}
    assert set().union(*called.values()) == VERBS


@pytest.mark.parametrize(
    "path", sorted([*TOOLS.glob("*.py"), *TOOLS.glob("common/*.py")]), ids=lambda path: str(path.relative_to(TOOLS))
)
def test_tool_is_imported_by_no_other_tool_and_no_library(path):
    assert imported(path) & VERBS == set()


def test_folder_of_tools_holds_tools_and_rooms_only():
    assert {path.name for path in TOOLS.iterdir() if path.is_file()} == {f"{verb}.py" for verb in VERBS}


@pytest.mark.parametrize("root", ["tools", "host_tests", "micropython", "boards", "docs"])
def test_name_is_not_both_a_file_and_a_folder(root):
    folders = [path for path in (rigs.ROOT / root).rglob("*") if path.is_dir() and path.name != "__pycache__"]
    assert [str(path) for path in folders if Path(f"{path}.py").exists()] == []


def test_tests_are_in_rooms():
    assert [path.name for path in (rigs.ROOT / "host_tests").glob("*.py")] == ["conftest.py"]


def test_rooms_in_contributing_are_the_folders():
    text = (rigs.ROOT / "CONTRIBUTING.md").read_text().partition("## The tree")[2].partition("\n## ")[0]
    named = {name.rstrip("/") for name in re.findall(r"^\| `([\w/]+)`", text, re.MULTILINE)}
    rooms = [path for room in ("tools", "host_tests") for path in (rigs.ROOT / room).iterdir()]
    folders = {f"{path.parent.name}/{path.name}" for path in rooms if path.is_dir() and path.name[0] not in "._"}
    assert named == {"micropython", "boards", "tools"} | folders
