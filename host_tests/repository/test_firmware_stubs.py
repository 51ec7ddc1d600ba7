"""The programs for boards against the type stubs of the oldest firmware: it has all that they import and name.

The device code has no annotations, so that most of what mypy says is of no use; whether a module has a name is.
"""

import re
import shutil
import subprocess
import sys

import pytest

from common import boards, compiler, rigs

_PORTS = {"stubs-esp8266": "esp8266", "stubs-esp32": "esp32"}
_PROGRAMS = (*compiler.modules(), *rigs.DEVICE.glob("examples/*.py"), boards.BOOT)
_ABSENT = re.compile(
    r"^([\w.]+):(\d+): error: (Module.* has no attribute .*|Cannot find implementation or library stub .*)$",
    re.MULTILINE,
)
_TIMEOUT_S = 120

# What a program imports on another port only: (file, module)
_OF_OTHER_PORTS = {"esp8266": {("_wstls.py", "esp32")}, "esp32": set()}

# A program that is wrong on both ports, and one that is on the ESP8266 alone: each line but the first names what is
# not there.
_WRONG = """import errno
from utime import sleep_s
import urllib
errno.EPIPE
"""
_WRONG_ON_ESP8266 = """import random, hashlib, binascii
import esp32
random.randint
hashlib.md5
binascii.crc32
"""


@pytest.fixture(scope="module", params=_PORTS, ids=str)
def checked(request, tmp_path_factory):
    """The port, and what its firmware lacks: {file: lines}."""
    port = _PORTS[request.param]
    # Beside no .pyi of the client, and in no folder that is called micropython.
    folder = tmp_path_factory.mktemp(port)
    for path in _PROGRAMS:
        shutil.copy(path, folder)
    (folder / "wrong.py").write_text(_WRONG)
    (folder / "wrong_on_esp8266.py").write_text(_WRONG_ON_ESP8266)
    stubs = str(rigs.RIGS / request.param)
    command = [sys.executable, "-m", "mypy", "--custom-typeshed-dir", stubs, "--platform", port, "--no-site-packages"]
    command += ["--check-untyped-defs", "--cache-dir", str(folder / "cache"), "--hide-error-codes"]
    files = sorted(path.name for path in folder.glob("*.py"))
    done = subprocess.run(
        [*command, *files], cwd=folder, env={"MYPYPATH": stubs}, capture_output=True, text=True, timeout=_TIMEOUT_S
    )
    assert f"(checked {len(files)} source files)" in done.stdout, done.stdout + done.stderr
    found = {}
    for name, line, text in _ABSENT.findall(done.stdout):
        found.setdefault(name, {})[int(line)] = text
    return port, found


def test_programs_for_boards_on_the_oldest_firmware_find_all_names(checked):
    port, found = checked
    absent = {(name, text) for name, lines in found.items() if not name.startswith("wrong") for text in lines.values()}
    assert {(name, re.findall('"(.*)"', text)[-1]) for name, text in absent} == _OF_OTHER_PORTS[port]


def test_names_that_a_firmware_lacks_are_found(checked):
    port, found = checked
    assert list(found["wrong.py"]) == [2, 3, 4]
    assert list(found.get("wrong_on_esp8266.py", ())) == ([2, 3, 4, 5] if port == "esp8266" else [])
