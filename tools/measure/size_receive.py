"""Print the bytes of heap that receiving one message allocates."""

import gc
import sys

import size_client

allocated = 0
messages = 0


def on_receive(ws, message, opcode):
    global allocated, messages
    allocated = gc.mem_alloc()
    messages += 1


def receive(ws):
    """Ask for a message and return what the heap held between the question and the answer."""
    wanted = messages + 1
    gc.collect()
    gc.disable()
    ws.send("")
    before = gc.mem_alloc()
    for _ in range(100):
        if messages == wanted:
            gc.enable()
            return allocated - before
        ws.poll(1000)
    raise RuntimeError("no message came")


ws = size_client.connect(sys.argv[1], on_receive)
receive(ws)  # what is made once, is made here
print(receive(ws))
