"""Tells in which phases of two connections _wsreceive is in memory: `receive_program.py URL`."""

import sys

from plain import tell

import uwebsocket_client as websocket

seen = []


def note(phase):
    here = phase, "_wsreceive" in sys.modules
    if here not in seen:
        seen.append(here)


def on_connection(ws):
    note("connection")
    ws.send("hello")


def on_receive(ws, message, opcode):
    note(message)
    try:
        ws.close(1)
    except ValueError:
        note("error")
    ws.close(1001, "é")


note("import")
ws = websocket.createClient()
ws.on("header", lambda ws, name, value: note("header"))
ws.on("connection", on_connection)
ws.on("receive", on_receive)
for turn in ("first", "second"):
    ws.connect(sys.argv[1])
    for _ in range(100):
        if not ws.poll(1000):
            break
    note("close")
    tell(turn, seen)
    seen = []
