# pin.py: a pin that is switched from afar. MIT licence, see LICENSE.
"""Switch a pin as the buttons of a page say, and tell the page its level: see dashboard.py for the page.

The LED of most ESP8266 boards is at pin 2, and shines while the level is 0.
"""

import json

import uwebsocket_client as websocket
from machine import Pin

URL = "ws://192.168.1.10:8080/board"
PIN = 2

pin = Pin(PIN, Pin.OUT)
LEVELS = {"on": 1, "off": 0}


def report(ws):
    print("the pin is", pin.value())
    ws.send(json.dumps({"pin {}".format(PIN): pin.value()}))


def on_receive(ws, message, opcode):
    if message in LEVELS:
        pin.value(LEVELS[message])
        report(ws)


ws = websocket.createClient()
ws.config({"reconnect": True})
ws.on("connection", report)
ws.on("receive", on_receive)
ws.on("close", lambda ws, status: print("closed:", status))
ws.connect(URL)
while ws.poll(1000):
    pass
