"""Receive a message of n bytes by "data", send one in fragments, close: for finding the smallest heap."""

import sys

import uwebsocket_client as websocket

_FRAGMENT = 1024

size = int(sys.argv[2])
received = 0
complete = False
answer = None
status = None


def on_data(ws, chunk, opcode, final):
    global received, complete, answer
    if opcode == websocket.BINARY:
        received += len(chunk)
        complete = final
    else:
        answer = int(bytes(chunk))
        ws.close()


def on_close(ws, code):
    global status
    status = code


def send_fragments(ws):
    fragment = bytearray(_FRAGMENT)
    ws.send(fragment, websocket.BINARY, False)
    for _ in range(size // _FRAGMENT - 2):
        ws.send(fragment, 0, False)
    ws.send(fragment, 0, True)


ws = websocket.createClient()
ws.on("data", on_data)
ws.on("close", on_close)
ws.connect(sys.argv[1])
sent = False
for _ in range(100000):
    if not ws.poll(1000):
        break
    if complete and not sent:
        sent = True
        send_fragments(ws)
if received != size or answer != size or status != 0:
    raise RuntimeError("received %d, sent %s, status %s" % (received, answer, status))
print("done")
