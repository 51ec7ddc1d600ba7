# echo.py: a message there and back. MIT licence, see LICENSE.
"""Send text and bytes, print what comes back, close."""

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/"


def on_connection(ws):
    ws.send("hello!")  # str goes out as text
    ws.send(b"\x01\x02\x03")  # bytes go out as binary


def on_receive(ws, message, opcode):
    if opcode == websocket.TEXT:
        print("text:", message)
    else:
        print("binary:", bytes(message))
        ws.close()


ws = websocket.createClient()
ws.on("connection", on_connection)
ws.on("receive", on_receive)
ws.on("close", lambda ws, status: print("closed:", status))
ws.connect(URL)
while ws.poll(1000):
    pass
