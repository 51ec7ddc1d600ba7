# headers.py: tell the server who asks and for what. MIT licence, see LICENSE.
"""Offer subprotocols and send request headers that are made anew for each attempt."""

import time

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/"


def headers():
    return {"User-Agent": "MicroPython", "X-Uptime": str(time.ticks_ms())}


def on_connection(ws):
    print("protocol:", ws.protocol)
    ws.close()


def on_close(ws, status):
    print("closed:", status)
    if status == -17:
        print("the server answered with HTTP", ws.http_status)


ws = websocket.createClient()
ws.config({"headers": headers, "protocols": ("superchat", "chat")})
ws.on("connection", on_connection)
ws.on("close", on_close)
ws.connect(URL)
while ws.poll(1000):
    pass
