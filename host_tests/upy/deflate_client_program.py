"""Talks to a server that insists on compression, and tells how its echoes came back: for a heap as small as a board's.

    deflate_client_program.py URL [MAX_MESSAGE]

With MAX_MESSAGE it asks for a message that unfolds to a megabyte; 0 is none.
"""

import gc
import sys

from plain import tell

import uwebsocket_client as websocket

_LINE = b"temperature: 21.5, humidity: 40; "
_LINES = (3, 30, 60, 90, 90, 90)  # of one message each: with 3 KB to spare, for where data is cut differs

got = []
free = []


def message():
    """Return the next message."""
    return _LINE * _LINES[len(got)]


def connection(ws):
    """Note how much is left."""
    gc.collect()
    free.append(gc.mem_free() if hasattr(gc, "mem_free") else 0)


def receive(ws, content, opcode):
    """Check the echo."""
    n = _LINES[len(got)]
    got.append(opcode == 2 and len(content) == len(_LINE) * n and content.count(_LINE) == n)


ws = websocket.createClient()
most = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
ws.config({"compression": True, "max_message": most or None})
ws.on("connection", connection)
ws.on("receive", receive)
ws.on("close", lambda ws, status: tell("close", [status, ws.http_status, ws.error]))
ws.connect(sys.argv[1])
sent = 0
while ws.poll(1000):
    if ws.connected and sent == len(got):
        if len(sys.argv) > 2:
            ws.send(b"bomb")
            sent += 1
        elif sent < len(_LINES):
            ws.send(message())
            sent += 1
        else:
            ws.close()
tell("echoes", got)
tell("free", free)
