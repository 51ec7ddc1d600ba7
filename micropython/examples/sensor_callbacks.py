# sensor_callbacks.py: readings out, commands in, by callbacks. MIT licence, see LICENSE.
"""Send a reading every 100 ms and print what the server says meanwhile; sensor_asyncio.py is the same with asyncio."""

import time

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/"
READINGS = 5


def on_receive(ws, message, opcode):
    global answers
    answers += 1
    print("the server says:", message)


def on_close(ws, status):
    print("closed:", status, ws.close_code)


answers = 0
ws = websocket.createClient()
ws.on("receive", on_receive)
ws.on("close", on_close)
ws.connect(URL)
while not ws.connected and ws.poll(1000):
    pass

sent = 0
due = time.ticks_ms()
while ws.connected and answers < READINGS:
    wait = time.ticks_diff(due, time.ticks_ms())
    if wait <= 0 and sent < READINGS:
        ws.send("{} degrees".format(20 + sent))
        sent += 1
        due = time.ticks_add(due, 100)
    ws.poll(max(wait, 1))
ws.close()
while ws.poll(1000):
    pass
