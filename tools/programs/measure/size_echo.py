"""Connect, echo a binary message of n bytes five times, close: for finding the smallest heap."""

import sys

import uwebsocket_client as websocket

message = bytearray(int(sys.argv[2]))
echoes = 0
status = None


def on_connection(ws):
    ws.send(message)


def on_receive(ws, echo, opcode):
    global echoes
    if len(echo) != len(message):
        raise RuntimeError("another message came back")
    echoes += 1
    if echoes == 5:
        ws.close()
    else:
        del echo
        ws.send(message)


def on_close(ws, code):
    global status
    status = code


ws = websocket.createClient()
ws.on("connection", on_connection)
ws.on("receive", on_receive)
ws.on("close", on_close)
ws.connect(sys.argv[1])
for _ in range(2000):
    if not ws.poll(1000):
        break
if echoes != 5 or status != 0:
    raise RuntimeError("%d echoes, status %s" % (echoes, status))
print("done")
