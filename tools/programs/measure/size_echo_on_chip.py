"""Echo a binary message five times, close, with so many bytes of the heap in other use; print the status.

It runs as `main.py` does, from its source; before it `path` is the server's URL, `slice` the bytes of the message,
`buffer` those in other use. All names in it are the firmware's or the client's: others would count as memory.
"""

import gc

gc.collect()
buffer = bytearray(buffer)  # noqa: F821

import uwebsocket_client as websocket  # noqa: E402

message = bytearray(slice)
left = 5
status = None


def receive(websocket, value, opcode):
    global left
    left -= 1
    if left:
        del value
        websocket.send(message)
    else:
        websocket.close()


def close(websocket, code):
    global status
    status = code


websocket = websocket.createClient()
websocket.on("connection", lambda websocket: websocket.send(message))
websocket.on("receive", receive)
websocket.on("close", close)
websocket.connect(path)  # noqa: F821
for _ in range(20):
    if not websocket.poll(1000):
        break
print(status)
