"""The documents: what they name exists, and what the code can say is in them."""

import ast
import re
import tomllib

import pytest

import uwebsocket_client
from common import compiler, rigs

PAGES = [path for folder in (".", "docs", "boards/*") for path in sorted(rigs.ROOT.glob(f"{folder}/*.md"))]
TARGETS = re.findall(r"^([a-z-]+):", (rigs.ROOT / "Makefile").read_text(), re.MULTILINE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(rigs.ROOT)))


def anchors(page):
    """Return what a link can lead to within a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {"#" + re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_of_a_page_lead_to_files(page):
    links = {link for link in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in link} - anchors(page)
    assert {link for link in links if not (page.parent / link).exists()} == set()


@each_page
def test_files_and_modules_of_a_page_exist(page):
    text = page.read_text()
    paths = re.findall(r"`((?:micropython|host_tests|tools|docs|boards)/[\w./*]*)`", text)
    modules = re.findall(r"\buwebsocket_[a-z]+", text)
    missing = [path for path in paths if not list(rigs.ROOT.glob(path))]
    places = [(rigs.DEVICE / f"{name}.py", rigs.ROOT / "host_tests" / name) for name in modules]
    missing += [module.stem for module, package in places if not module.exists() and not package.is_dir()]
    assert missing == []


@each_page
def test_make_targets_of_a_page_exist(page):
    named = re.findall(r"`make ([a-z-]+)|^ *make ([a-z-]+)", page.read_text(), re.MULTILINE)
    assert {one or other for one, other in named} <= set(TARGETS)


def told_statuses():
    """Return the statuses that the device code tells: its negative numbers, and those of the client's table.

    Numbers that are only compared with, or calculated with, are none.
    """
    told = set(uwebsocket_client._statuses.values())
    for path in compiler.modules():
        nodes = list(ast.walk(ast.parse(path.read_text())))
        parts = [
            part for node in nodes if isinstance(node, ast.Compare | ast.BinOp) for part in ast.iter_child_nodes(node)
        ]
        told |= {
            -node.operand.value
            for node in nodes
            if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant) and node not in parts
        }
    return told


def test_status_that_the_code_can_tell_is_explained():
    explained = re.findall(r"^\| (-?\d+) \|", (rigs.ROOT / "docs" / "statuses.md").read_text(), re.MULTILINE)
    assert len(explained) == len(set(explained))
    assert set(map(int, explained)) == told_statuses() | {0}


def test_first_entry_of_the_changelog_is_this_version():
    version = tomllib.loads((rigs.ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.findall(r"^## (\S+?),? ", (rigs.ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == version
