"""Tells how `with` blocks of clients end: the statuses told, what leaves the block, and how long leaving takes.

context_program.py ECHO_URL SILENT_URL
"""

import sys

from plain import tell

import uwebsocket_client as websocket
from utime import ticks_diff, ticks_ms

ECHO, SILENT = sys.argv[1:]


def play(case, url, body):
    """Open a connection in a `with` block, run `body(ws)` there, and tell how it ended."""
    statuses = []
    raised = None
    left = 0
    try:
        with websocket.createClient() as ws:
            ws.config({"close_timeout_ms": 300})
            ws.on("close", lambda ws, status: statuses.append(status))
            if url:
                ws.connect(url)
                for _ in range(100):
                    if ws.connected or not ws.poll(100):
                        break
            left = ticks_ms()
            body(ws)
    except (ValueError, KeyboardInterrupt) as error:
        raised = type(error).__name__
    tell(case, [statuses, raised, ticks_diff(ticks_ms(), left) < 1000, ws.poll(), ws.connected])


def fail(ws):
    """Raise in the block."""
    raise ValueError


def interrupt(ws):
    """Press Ctrl-C in the block."""
    raise KeyboardInterrupt


play("closed", ECHO, lambda ws: ws.close(4000))
play("open", ECHO, lambda ws: None)
play("within-a-message", ECHO, lambda ws: ws.send("half", None, False))
play("error", ECHO, fail)
play("interrupt", ECHO, interrupt)
play("unanswered", SILENT, lambda ws: None)
play("not-connected", None, lambda ws: None)
play("bad-url", "ws://", lambda ws: None)
