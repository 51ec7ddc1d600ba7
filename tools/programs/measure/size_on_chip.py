"""Print the bytes of heap that the client keeps on a board, background on.

By the import, by creating a client, by its first connection; and what is free while that one is open. It runs as if
typed at the prompt, part after part ("then"), where URL is the server's.
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


def create():
    global ws
    ws = websocket.createClient()


def connect():
    ws.connect(URL)  # noqa: F821
    while not ws.connected and ws.poll(1000):
        pass
    ws.poll()


# A new global may enlarge the table of globals: all are made before the first figure is taken.
ws = websocket = None
start = imported = created = connected = 0

# then
start = free()
# then
load()
# then
imported = free()
# then
create()
# then
created = free()
# then
connect()
# then
connected = free()
# then
if not ws.connected:
    raise RuntimeError("not connected")
ws.close()
while ws.poll(1000):
    pass
print(start - imported, imported - created, created - connected, connected)
