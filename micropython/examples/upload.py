# upload.py: a file as one message. MIT licence, see LICENSE.
"""Send a file of any size as one binary message in fragments, through one small buffer.

Where there is no such file yet, one of 10000 bytes is made first.
"""

import os

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/count"
NAME = "upload.bin"

if NAME not in os.listdir():
    with open(NAME, "wb") as file:
        for _ in range(1000):
            file.write(b"0123456789")


def on_connection(ws):
    buffer = bytearray(512)
    view = memoryview(buffer)
    opcode = websocket.BINARY
    with open(NAME, "rb") as file:
        n = file.readinto(buffer)
        while n:
            ws.send(view[:n], opcode, False)
            opcode = 0
            n = file.readinto(buffer)
    ws.send(b"", opcode)


def on_receive(ws, message, opcode):
    print("the server has:", message)
    ws.close()


ws = websocket.createClient()
ws.on("connection", on_connection)
ws.on("receive", on_receive)
ws.on("close", lambda ws, status: print("closed:", status))
ws.connect(URL)
while ws.poll(1000):
    pass
