# reconnect.py: another server when one is gone. MIT licence, see LICENSE.
"""Connect again by a rule of your own: here to the next of several servers, for ever, after a pause.

For one server `ws.config({"reconnect": True})` does it, and makes the pauses longer while nothing answers.
"""

import time

import uwebsocket_client as websocket

URLS = ("ws://192.168.1.10:8080/", "ws://192.168.1.11:8080/")
PAUSE_MS = 3000  # also while Wi-Fi is away

ws = websocket.createClient()
ws.on("connection", lambda ws: ws.send("hello!"))
ws.on("receive", lambda ws, message, opcode: print("received:", message))
ws.on("close", lambda ws, status: print("closed:", status))
attempt = 0
while True:
    ws.connect(URLS[attempt % len(URLS)])
    while ws.poll(1000):
        pass
    attempt += 1
    time.sleep_ms(PAUSE_MS)
