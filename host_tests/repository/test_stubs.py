"""The type stubs: they say what the code has, let right programs pass and find the mistakes in wrong ones."""

import ast
import os
import re
import subprocess
import sys

import pytest

from common import compiler, rigs

# Machine code, which CPython cannot import: it is compared as text.
TEXT_ONLY = ("uwebsocket_mask",)
MODULES = [path.stem for path in compiler.modules()]
_TIMEOUT_S = 120

_OPEN = "import uwebsocket_client as websocket\nws = websocket.createClient()\n"

_RIGHT = '''
from uwebsocket_client import BINARY, TEXT, WebSocketClient


class Station(WebSocketClient):
    """A client with something of its own."""

    seen = 0


def on_message(ws: WebSocketClient, message: str | bytearray, opcode: int) -> None:
    if isinstance(message, str):
        ws.send(message.upper())
    else:
        ws.send(message, BINARY)


def on_data(ws: Station, chunk: memoryview, opcode: int, final: bool) -> None:
    ws.seen += len(chunk)


def fresh() -> dict[str, str]:
    return {"Authorization": "Bearer 1"}


with Station() as ws:
    ws.config({"headers": fresh, "protocols": ["chat"], "max_message": None, "background": 20})
    ws.config({"tls": {"ca": b"", "verify": True}, "reconnect": True, "timer": -1})
    ws.on("connection", lambda ws: ws.send("hello"))
    ws.on("receive", on_message)
    ws.on("data", on_data)
    ws.on("pong", lambda ws, payload: print(payload.decode()))
    ws.on("header", lambda ws, name, value: print(name.upper(), value.upper()))
    ws.on("close", lambda ws, status: print(ws.close_code + status, ws.close_reason.upper()))
    ws.on("data", None)
    ws.connect("ws://127.0.0.1/")
    ws.send(bytearray(3), opcode=TEXT, fin=False)
    ws.send(memoryview(b"abc"), 0)
    while ws.poll(timeout_ms=100):
        print(ws.connected, ws.protocol or "none", ws.http_status or 0, ws.errno or 0, ws.error or "")
        print(ws.waits_for()[1:] == (0, -1))
    ws.close(1000, reason="done")
'''

_RIGHT_WITH_ASYNCIO = """
import asyncio
from typing import TYPE_CHECKING

from uwebsocket_asyncio import ConnectionClosed, connect

if TYPE_CHECKING:
    from uwebsocket_asyncio import Connection


async def talk(ws: "Connection") -> None:
    await ws.send("hello")
    await ws.send(b"\\x00", 2)
    async for message in ws:
        print(len(message), ws.client.protocol or "none")
    await ws.close(1001, reason="done")


async def main() -> None:
    async with connect("ws://127.0.0.1/", ping_interval_ms=5000) as ws:
        await talk(ws)
        print((await ws.recv())[0])
    await talk(await connect("ws://127.0.0.1/"))
    async for ws in connect("ws://127.0.0.1/", reconnect_min_ms=1):
        try:
            await talk(ws)
        except ConnectionClosed as closed:
            print(closed.status + closed.code, closed.reason.upper())


asyncio.run(main())
"""

# A wrong line and what mypy calls it
_WRONG = {
    "unknown-event": ('ws.on("recieve", print)', "call-overload"),
    "event-not-text": ("ws.on(1, print)", "call-overload"),
    "handler-with-too-few": ('ws.on("receive", lambda ws: None)', "call-overload"),
    "handler-with-too-many": ('ws.on("close", lambda ws, status, reason: None)', "call-overload"),
    "handler-not-callable": ('ws.on("pong", 1)', "call-overload"),
    "unknown-key": ('ws.config({"header": {}})', "typeddict-unknown-key"),
    "wrong-value": ('ws.config({"ping_interval_ms": "30"})', "typeddict-item"),
    "wrong-header": ('ws.config({"headers": {"X-Count": 1}})', "dict-item"),
    "unknown-tls-key": ('ws.config({"tls": {"cafile": ""}})', "typeddict-unknown-key"),
    "url-as-bytes": ('ws.connect(b"ws://127.0.0.1/")', "arg-type"),
    "number-as-message": ("ws.send(1)", "arg-type"),
    "nothing-as-message": ("ws.send(None)", "arg-type"),
    "close-opcode": ('ws.send(b"", 8)', "arg-type"),
    "result-of-send": ('sent = ws.send("")', "func-returns-value"),
    "reason-as-bytes": ('ws.close(1000, b"bye")', "arg-type"),
    "header-handler-with-too-few": ('ws.on("header", lambda ws, name: None)', "call-overload"),
    "maybe-no-error": ("ws.error.upper()", "union-attr"),
    "maybe-no-protocol": ("ws.protocol.upper()", "union-attr"),
    "unknown-attribute": ("ws.is_connected", "attr-defined"),
    "private": ("ws._sock", "attr-defined"),
}


def _mypy(folder, module, *arguments):
    """Run a module of mypy with the stubs on its path; return what it says."""
    env = os.environ | {
        "MYPYPATH": str(rigs.DEVICE),
        "PYTHONPATH": os.pathsep.join((str(rigs.DEVICE), str(rigs.SHIM))),
        "MYPY_CACHE_DIR": str(folder),
    }
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    return done.stdout + done.stderr


def _check(folder, source):
    """Return the errors that mypy finds in a program, as {(line, code)}."""
    program = folder / "program.py"
    program.write_text(source)
    said = _mypy(folder, "mypy", "--strict", "--no-error-summary", str(program))
    errors = re.findall(r"program\.py:(\d+): error: .*\[([a-z-]+)\]$", said, re.MULTILINE)
    assert len(errors) == said.count(": error: "), said
    return {(int(line), code) for line, code in errors}


def _signatures(path):
    """Return {function: (parameters, parameters with a default)} of what a file defines for others."""
    return {
        node.name: (len(node.args.posonlyargs) + len(node.args.args), len(node.args.defaults))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


def test_stub_of_each_module_exists():
    assert sorted(path.stem for path in rigs.DEVICE.glob("*.pyi")) == MODULES


def test_stubs_compared_with_the_code_differ_in_nothing(tmp_path):
    modules = [name for name in MODULES if name not in TEXT_ONLY]
    said = _mypy(tmp_path, "mypy.stubtest", "--strict-type-check-only", *modules)
    assert said.startswith(f"Success: no issues found in {len(modules)} modules"), said


@pytest.mark.parametrize("module", TEXT_ONLY)
def test_stub_of_machine_code_compared_as_text_has_the_same_signatures(module):
    code = rigs.DEVICE / f"{module}.py"
    assert _signatures(code) == _signatures(code.with_suffix(".pyi"))


@pytest.mark.parametrize("module", MODULES)
def test_stub_read_as_text_has_no_docstring(module):
    tree = ast.parse((rigs.DEVICE / f"{module}.pyi").read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            assert ast.get_docstring(node) is None


def test_stubs_checked_strictly_have_no_errors(tmp_path):
    said = _mypy(tmp_path, "mypy", "--strict", *map(str, sorted(rigs.DEVICE.glob("*.pyi"))))
    assert said.startswith("Success: no issues found"), said


@pytest.mark.parametrize("source", [_RIGHT, _RIGHT_WITH_ASYNCIO], ids=["callbacks", "asyncio"])
def test_program_that_is_right_passes(tmp_path, source):
    assert _check(tmp_path, source) == set()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What mypy finds in a program of all wrong lines, by line."""
    lines = "\n".join(line for line, _ in _WRONG.values())
    errors = _check(tmp_path_factory.mktemp("wrong"), f"{_OPEN}{lines}\n")
    return {line - _OPEN.count("\n"): code for line, code in errors}


@pytest.mark.parametrize("number", range(1, len(_WRONG) + 1), ids=list(_WRONG))
def test_program_that_is_wrong_is_found_out(number, found):
    line, code = list(_WRONG.values())[number - 1]
    assert found.get(number) == code, line
