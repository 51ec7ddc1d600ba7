"""Tells whether polling an idle connection needs the heap: it is locked meanwhile."""

import gc
import sys

from plain import tell

import uwebsocket_client as websocket
from micropython import heap_lock, heap_unlock

_POLLS = 200


def polls(ws, timeout_ms):
    """Poll with a locked heap; return whether the client stayed alive, and the bytes that were allocated."""
    alive = True
    count = _POLLS if not timeout_ms else 5
    before = gc.mem_alloc()
    heap_lock()
    try:
        while count and alive:
            alive = ws.poll(timeout_ms)
            count -= 1
    finally:
        heap_unlock()
    return [alive, gc.mem_alloc() - before]


ws = websocket.createClient()
got = []
ws.on("receive", lambda ws, message, opcode: got.append(message))
ws.connect(sys.argv[1])
while not ws.connected and ws.poll(1000):
    pass
ws.poll()  # the first look makes what later ones use
gc.collect()
tell("fresh", polls(ws, 0))
tell("waiting", polls(ws, 20))
ws.send("x" * 300)
while not got:
    ws.poll(1000)
gc.collect()
tell("after-a-message", polls(ws, 0))
ws.send("half", None, False)
gc.collect()
tell("within-a-message", polls(ws, 0))
ws.send("", 0)
ws.on("data", lambda ws, chunk, opcode, final: got.append(len(chunk)))
ws.send(bytearray(2000))
while len(got) < 3:
    ws.poll(1000)
ws.poll(100)
gc.collect()
tell("after-pieces", polls(ws, 0))
ws.close()
while ws.poll(1000):
    pass
gc.collect()
tell("closed", polls(ws, 0)[1:])
