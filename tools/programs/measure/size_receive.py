"""Print the bytes of heap that receiving one message allocates."""

import gc
import sys

import size_client

kept = None
messages = 0


def on_receive(ws, message, opcode):
    global kept, messages
    kept = message
    messages += 1


def receive(ws):
    """Ask for a message and return what the heap gained from the question to the answer."""
    global kept
    wanted = messages + 1
    kept = None
    gc.collect()
    gc.disable()
    ws.send("")
    before = gc.mem_alloc()
    for _ in range(100):
        if messages == wanted:
            allocated = gc.mem_alloc() - before
            gc.enable()
            return allocated
        ws.poll(1000)
    raise RuntimeError("no message came")


ws = size_client.connect(sys.argv[1], on_receive)
receive(ws)  # what is made once, is made here
print(receive(ws))
