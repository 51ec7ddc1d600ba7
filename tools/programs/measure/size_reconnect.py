"""Echo at a server that closes after each echo, reconnect; print the growth of the heap and the descriptors left."""

import sys

import size_client

import uwebsocket_client as websocket

_WARM_UP = 50

# A new global may enlarge the table of globals: all are made before the first figure is taken.
ws = None
echoes = closes = 0
heap = heap_after = descriptors = descriptors_after = 0


def on_connection(ws):
    ws.send("round")


def on_receive(ws, message, opcode):
    global echoes
    echoes += 1


def on_close(ws, status):
    global closes
    closes += 1


def play(rounds):
    """Poll until as many connections have been lost in all."""
    while closes < rounds:
        seen = closes
        for _ in range(1000):
            if closes > seen or not ws.poll(1000):
                break
        if closes == seen or echoes != closes:
            raise RuntimeError("%d echoes, %d closes" % (echoes, closes))


heap, descriptors = size_client.usage()
ws = websocket.createClient()
ws.config({"reconnect": True, "reconnect_min_ms": 1, "reconnect_max_ms": 2})
ws.on("connection", on_connection)
ws.on("receive", on_receive)
ws.on("close", on_close)
ws.connect(sys.argv[1])
play(_WARM_UP)
heap, _ = size_client.usage()
play(int(sys.argv[2]))
heap_after, _ = size_client.usage()
ws.close()
descriptors_after = size_client.usage()[1]
print(heap_after - heap, descriptors_after - descriptors)
