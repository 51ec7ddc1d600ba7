"""Fixtures for pytest, for the tests of device programs; docs/testing.md shows each.

All that they need is imported when one is asked for: without that a test run is as if this were not installed.
"""

import contextlib

import pytest


@pytest.fixture
def websocket_server():
    """Give a WebSocket server that echoes, misbehaves as it is told, and can be restarted: `server.Server`."""
    from uwebsocket_host.server import Server

    with Server() as server:
        yield server


@pytest.fixture
def device_program(tmp_path):
    """Give a function that starts a device program, `programs.Program`; all are ended with the test."""
    from uwebsocket_host.programs import Program

    with contextlib.ExitStack() as stack:

        def start(path, replaced=None, **options):
            program = Program(path, tmp_path, replaced, **options)
            stack.callback(program.end)
            return program

        yield start


@pytest.fixture
def scripted_board():
    """Give a function that makes a scripted board, "esp8266", "esp32" or "unix": `scripted.ScriptedBoard`."""
    from uwebsocket_host.scripted import ScriptedBoard

    with contextlib.ExitStack() as stack:
        yield lambda port, **options: stack.enter_context(ScriptedBoard(port, **options))


@pytest.fixture
def virtual_board(tmp_path):
    """Give a virtual ESP8266 with an empty flash, out of a clone of the project: `virtual.VirtualBoard`."""
    from uwebsocket_host.virtual import VirtualBoard

    with VirtualBoard(tmp_path) as board:
        yield board
