"""Print the bytes of heap that an open idle connection keeps, and that its idle polls allocate: URL [RECONNECT].

With RECONNECT, 0 or 1, the client is configured first.
"""

import gc
import sys

import size_client

import micropython


def on_receive(ws, message, opcode):
    """Take no notice."""


def idle(ws):
    for _ in range(100):
        ws.poll()
    for _ in range(5):
        ws.poll(2)


# A new global may enlarge the table of globals: all are made before the first figure is taken.
ws = None
config = {"reconnect": sys.argv[2] == "1"} if sys.argv[2:] else None
before = kept = allocated = 0

gc.collect()
before = gc.mem_alloc()
ws = size_client.connect(sys.argv[1], on_receive, config)
idle(ws)
gc.collect()
kept = gc.mem_alloc() - before

gc.disable()
before = gc.mem_alloc()
idle(ws)
allocated = gc.mem_alloc() - before
gc.enable()

micropython.heap_lock()
try:
    idle(ws)
finally:
    micropython.heap_unlock()
if not ws.connected:
    raise RuntimeError("the connection did not survive a locked heap")
print(kept, allocated)
