"""README.md: its programs run and print what it says, its commands exist, its figures have their places."""

import re

import pytest

import _wsconfig
from common import boards, certificates, echo_server, rigs
from repository import test_readme_walk
from support import samples

README = rigs.ROOT / "README.md"
COSTS = rigs.ROOT / "docs" / "costs.md"
PROGRAMS = samples.programs(README)
COMMANDS = [line for language, text in samples.blocks(README) if language == "sh" for line in text.splitlines()]
# What README.md says to add on a PC
_LOOP = "while ws.poll(1000): pass"
_TLS_URL = "wss://server.example:8443/"


@pytest.fixture(scope="module")
def url():
    with echo_server.running() as root:
        yield root


@pytest.fixture
def tls_url(tmp_path):
    issued = certificates.issue(tmp_path)
    with echo_server.running(tls=issued.server_context()) as root:
        yield root.replace("127.0.0.1", certificates.NAME)


@pytest.mark.parametrize("interpreter", rigs.INTERPRETERS)
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_program_of_the_readme_prints_what_it_says(number, interpreter, tmp_path, url, tls_url):
    source, lines = PROGRAMS[number]
    assert lines, "a program without the lines that it prints"
    if "poll(" not in source:
        source += _LOOP
    replaced = {_TLS_URL: tls_url} if "wss://" in source else {samples.URL: url}
    assert samples.run(interpreter, source, tmp_path, replaced, enough=len(lines)) == lines


def test_first_program_of_the_readme_has_less_than_12_lines():
    assert len(PROGRAMS[0][0].splitlines()) < 12
    assert _LOOP in README.read_text()


@pytest.mark.parametrize("line", COMMANDS)
def test_command_of_the_readme_exists(line):
    program, *arguments = line.split("#")[0].split()
    if program == "make":
        makefile = (rigs.ROOT / "Makefile").read_text()
        known = re.findall(r"^([a-z-]+):|^([A-Z]+) +\?=", makefile, re.MULTILINE)
        assert {argument.partition("=")[0] for argument in arguments} <= {target or name for target, name in known}
        return
    if line.partition("#")[0].strip() in test_readme_walk.WALKED:
        return  # what it needs is made there
    assert program.startswith(".venv/bin/") and (rigs.ROOT / program).exists()
    samples.build_once()
    for argument in arguments:
        if "/" in argument and not argument.startswith(":"):
            assert list(rigs.ROOT.glob(argument)), f"{argument} names no file"


_PLACES = {
    "costs": README,
    "size": COSTS,
    "bench": COSTS,
    "autobahn": README,
    "comparison": README,
}


@pytest.mark.parametrize(("name", "page"), _PLACES.items(), ids=_PLACES)
def test_figures_have_one_place(name, page):
    for path in (README, COSTS):
        text = path.read_text()
        count = int(path == page)
        assert text.count(f"<!-- {name}:begin -->\n") == text.count(f"<!-- {name}:end -->\n") == count


def test_costs_in_the_readme_are_rows_of_the_whole_table():
    (short,) = re.findall(r"<!-- costs:begin -->\n(.*?)<!-- costs:end -->", README.read_text(), re.DOTALL)
    rows = [line.strip("| ").split(" | ") for line in short.splitlines()[2:]]
    assert len(rows) == 9
    for what, figure in rows:
        assert f"| {what} | {figure} | " in COSTS.read_text()


def test_settings_in_the_readme_are_those_of_the_code():
    cells = re.findall(r"^\| (`[a-z_`, ]+`) \| .+ \| .+ \|$", README.read_text(), re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"[a-z_]+", cell)]
    assert sorted(named) == sorted(_wsconfig.KEYS)


def test_boards_in_the_readme_are_those_of_the_folders():
    links = re.findall(r"\[(\w+)\]\(boards/(\w+)/board\.md\)", README.read_text())
    assert sorted(links) == [(name, name) for name in boards.names()]


def test_oldest_firmware_in_the_readme_is_that_of_the_boards():
    (row,) = re.findall(r"^\| MicroPython \| (.+) \| (.+) \| .+ \|$", README.read_text(), re.MULTILINE)
    for platform, cell in zip(("esp8266", "esp32"), row, strict=True):
        oldest = {one.name: one.oldest for one in map(boards.load, boards.names()) if one.platform == platform}
        least = min(oldest.values())
        text = "{}.{} and later".format(*least)
        later = [f"{name.rpartition('_')[2]} {x}.{y}" for name, (x, y) in oldest.items() if (x, y) > least]
        assert cell == text + (f" ({', '.join(later)})" if later else "")
