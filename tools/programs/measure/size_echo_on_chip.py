"""Echo a binary message of n bytes five times, close, with so many bytes of the heap in other use; print the status.

size_echo_on_chip.py URL BYTES_OF_MESSAGE BYTES_IN_USE
"""

import gc
import sys

gc.collect()
used = bytearray(int(sys.argv[3]))


def run():
    import uwebsocket_client as websocket

    message = bytearray(int(sys.argv[2]))
    left = 5
    status = None

    def receive(ws, echo, opcode):
        nonlocal left
        left -= 1
        if left:
            del echo
            ws.send(message)
        else:
            ws.close()

    def close(ws, code):
        nonlocal status
        status = code

    ws = websocket.createClient()
    ws.on("connection", lambda ws: ws.send(message))
    ws.on("receive", receive)
    ws.on("close", close)
    ws.connect(sys.argv[1])
    for _ in range(20):
        if not ws.poll(1000):
            break
    return status


print(run())
