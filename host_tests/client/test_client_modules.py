"""Which files the client loads: its own, from where it was imported, whatever lies in the current folder."""

import os
import shutil
import subprocess

import pytest

from common import compiler, echo_server, rigs
from support.programs import MICROPYTHONS, told

# A file that tells that it has run, and what for
EVIL = """
import sys
sys.modules["evil_" + __name__] = 1
print('{"case": "ran", "told": "%s"}' % __name__)
raise RuntimeError("a file of the current folder has run")
"""
CLIENT = "uwebsocket_client"
EVENTS = [
    "ValueError", "TypeError", "ValueError", "ValueError",
    "connection", "hello", 0, -1, -128, "connection", "hello", 0,
]  # fmt: skip
# What is built in, and what a file of that name would stand in for where it is imported
BUILT_IN = [
    "binascii", "errno", "hashlib", "io", "select", "socket", "ssl", "time", "uctypes", "uselect", "usocket", "utime",
]  # fmt: skip
HOWS = ["absolute", "absolute-later", "relative-later", "here-later"]


@pytest.fixture(scope="module")
def url():
    with echo_server.running() as root:
        yield root


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return {suffix: the folder with the client} and {suffix: the folder with the files that must not run}.

    Those that are there only once the client is imported have names of what is built in, too: {suffix + "-later": ...}.
    """
    root = tmp_path_factory.mktemp("folders")
    client = {".py": root / "py" / "device", ".mpy": root / "mpy" / "device"}
    evil = {suffix + when: root / f"evil{suffix}{when}" for suffix in client for when in ("", "-later")}
    for folder in (*client.values(), *evil.values()):
        folder.mkdir(parents=True)
    names = ["uwebsocket_deflate", "uwebsocket_mask"]  # which may be missing
    for source in compiler.modules():
        shutil.copy(source, client[".py"])
        if source.stem != CLIENT:
            names.append(source.stem)
    compiler.build_folder(compiler.sources(), client[".mpy"])
    for when, all_names in (("", names), ("-later", names + BUILT_IN)):
        for name in all_names:
            source = evil[".py" + when] / f"{name}.py"
            source.write_text(EVIL)
            compiler.compile_file(source, evil[".mpy" + when] / f"{name}.mpy")
    return client, evil


@pytest.mark.parametrize("interpreter", MICROPYTHONS)
@pytest.mark.parametrize("client", [".py", ".mpy"], ids=["client as py", "client as mpy"])
@pytest.mark.parametrize("evil", [".py", ".mpy"], ids=["files as py", "files as mpy"])
@pytest.mark.parametrize("how", HOWS)
def test_files_of_the_current_folder_with_names_of_modules_never_run(url, folders, interpreter, client, evil, how):
    mine, theirs = folders
    current = theirs[evil + ("-later" if how.endswith("-later") else "")]
    found = told(interpreter, "current_folder_program.py", url, str(mine[client]), str(current), how)
    assert "ran" not in found, found["ran"]
    assert found["events"] == EVENTS
    assert found["modules"] == []
    assert found["path"] == {"absolute": ["", ".frozen", str(mine[client])], "relative": ["", ".frozen", "device"]}.get(
        how.partition("-")[0], ["", ".frozen"]
    )


@pytest.mark.parametrize("interpreter", MICROPYTHONS)
@pytest.mark.parametrize("evil", [".py", ".mpy"])
def test_files_that_must_not_run_would_tell_it(folders, interpreter, evil):
    _, theirs = folders
    done = subprocess.run(
        [*rigs.command(interpreter), "-c", "import _wsurl"],
        cwd=theirs[evil], env=os.environ | {"MICROPYPATH": ":.frozen"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert '"ran"' in done.stdout and done.returncode


@pytest.mark.parametrize("interpreter", MICROPYTHONS)
def test_missing_module_is_import_error_that_names_the_file(folders, interpreter):
    mine, _ = folders
    program = f"import {CLIENT}\n{CLIENT}.createClient().config({{'compression': True}})"
    done = subprocess.run(
        [*rigs.command(interpreter), "-c", program],
        env=os.environ | {"MICROPYPATH": str(mine[".mpy"])}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = (done.stdout + done.stderr).splitlines()
    assert said[-1] == f"ImportError: {mine['.mpy']}/uwebsocket_deflate.mpy" and done.returncode


@pytest.mark.parametrize(("heap", "free"), [("40k", True), ("20k", False)], ids=["much memory", "little memory"])
def test_what_receives_goes_while_a_connection_opens_where_memory_is_short(url, folders, heap, free):
    """On 32 bits: with objects twice as large nothing would go on in a heap that short."""
    mine, _ = folders
    found = told("micropython32", "receive_program.py", url, heap=heap, before=str(mine[".mpy"]))
    phases = [["header", free], ["connection", True], ["hello", True], ["error", True], ["close", True]]
    assert found["first"] == [["import", free], *phases]
    assert found["second"] == phases
