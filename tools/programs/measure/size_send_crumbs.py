"""Cut the free heap into pieces of a given size, print what the interpreter says of it, then send().

It succeeds only where no single allocation is larger than the largest free piece. Size 0 locks the heap.
"""

import gc
import sys

import size_client

import micropython

message = bytearray(int(sys.argv[2]))
piece = int(sys.argv[3])
i = 0


def fill(pieces, size):
    """Take all free memory in pieces of `size` bytes."""
    i = 0
    try:
        while i < len(pieces):
            pieces[i] = bytearray(size)
            i += 1
    except MemoryError:
        pass


ws = size_client.connect(sys.argv[1])
ws.send(message)  # what is made once, is made here
gc.collect()
if piece:
    pieces = [None] * (gc.mem_free() // piece)
    fill(pieces, piece)
    while i < len(pieces):
        pieces[i] = None
        i += 2
    gc.collect()
    micropython.mem_info()
    ws.send(message)
else:
    micropython.heap_lock()
    try:
        ws.send(message)
    finally:
        micropython.heap_unlock()
if not ws.connected:
    raise RuntimeError("send failed")
