"""Print the bytes of heap that the client keeps on a board, background on.

By the import, by creating a client, by its first connection; and what is free while that one is open. It runs as if
typed at the prompt, part after part ("then"), where `path` is the server's URL. All names in it are the firmware's or
the client's: others would count as memory.
"""

import gc


def free():
    """Return the free heap, after two collections: the first may meet what the stack still holds."""
    gc.collect()
    gc.collect()
    return gc.mem_free()


# What makes garbage is done in functions, whose frames are gone before the heap is looked at.
def load():
    global websocket
    websocket = __import__("uwebsocket_client")


def init():
    global websocket
    websocket = websocket.createClient()


def connect():
    websocket.connect(path)  # noqa: F821
    while not websocket.connected and websocket.poll(1000):
        pass
    websocket.poll()


# A new global may enlarge the table of globals: all are made before the first figure is taken.
websocket = None
start = value = count = idle = 0

# then
start = free()
# then
load()
# then
value = free()
# then
init()
# then
count = free()
# then
connect()
# then
idle = free()
# then
if not websocket.connected:
    raise RuntimeError("not connected")
websocket.close()
while websocket.poll(1000):
    pass
print(start - value, value - count, count - idle, idle)
