"""Talks to a server that insists on compression, and tells how its echoes came back: for a heap as small as a board's.

    deflate_client_program.py URL
"""

import gc
import sys

from plain import tell

import uwebsocket_client as websocket

_LINE = b"temperature: 21.5, humidity: 40; "
_LINES = (3, 30, 60, 120, 120, 120)  # of one message each

got = []
free = []


def message():
    """Return the next message."""
    return _LINE * _LINES[len(got)]


def connection(ws):
    """Note how much is left, and begin."""
    gc.collect()
    free.append(gc.mem_free() if hasattr(gc, "mem_free") else 0)
    ws.send(message())


def receive(ws, content, opcode):
    """Check the echo and send the next message."""
    got.append(opcode == 2 and len(content) == len(_LINE) * _LINES[len(got)] and content.count(_LINE) == _LINES[len(got)])
    content = None
    if len(got) < len(_LINES):
        ws.send(message())
    else:
        ws.close()


ws = websocket.createClient()
ws.config({"compression": True, "max_message": 8000})
ws.on("connection", connection)
ws.on("receive", receive)
ws.on("close", lambda ws, status: tell("close", [status, ws.http_status, ws.error]))
ws.connect(sys.argv[1])
while ws.poll(1000):
    pass
tell("echoes", got)
tell("free", free)
