"""Connect, echo, close, again and again; print how much heap and how many descriptors that took."""

import sys

import size_client

import uwebsocket_client as websocket

_WARM_UP = 50

# A new global may enlarge the table of globals: all are made before the first figure is taken.
echoes = 0
status = None
heap = descriptors = heap_after = descriptors_after = 0


def on_connection(ws):
    ws.send("round")


def on_receive(ws, message, opcode):
    global echoes
    echoes += 1
    ws.close()


def on_close(ws, code):
    global status
    status = code


def play(ws, url, rounds):
    global echoes, status
    for _ in range(rounds):
        echoes = 0
        status = None
        ws.connect(url)
        for _ in range(1000):
            if not ws.poll(1000):
                break
        if echoes != 1 or status != 0:
            raise RuntimeError("%d echoes, status %s" % (echoes, status))


ws = websocket.createClient()
ws.on("connection", on_connection)
ws.on("receive", on_receive)
ws.on("close", on_close)
play(ws, sys.argv[1], _WARM_UP)
heap, descriptors = size_client.usage()
play(ws, sys.argv[1], int(sys.argv[2]) - _WARM_UP)
heap_after, descriptors_after = size_client.usage()
print(heap_after - heap, descriptors_after - descriptors)
