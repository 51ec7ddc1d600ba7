# background.py: the main.py of a board. MIT licence, see LICENSE.
"""Serve a connection in the background: the REPL stays free, or the program goes on here.

Lost connections come back by themselves; on the ESP8266 with the next `ws.poll()`, so call it now and then there.
"""

import time

import network

import uwebsocket_client as websocket

SSID = "my-network"
PASSWORD = "my-password"
URL = "ws://192.168.1.10:8080/"


def on_receive(ws, message, opcode):
    print("received:", message)


station = network.WLAN(network.STA_IF)
station.active(True)
station.connect(SSID, PASSWORD)
while not station.isconnected():
    time.sleep_ms(100)

ws = websocket.createClient()
ws.config({"reconnect": True})
ws.on("connection", lambda ws: ws.send("hello!"))
ws.on("receive", on_receive)
ws.on("close", lambda ws, status: print("closed:", status))
ws.connect(URL)
