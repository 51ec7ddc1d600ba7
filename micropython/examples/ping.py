# ping.py: how long a message takes. MIT licence, see LICENSE.
"""Measure five round trips with pings that carry the time."""

import time

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/"

left = 5


def ping(ws):
    ws.send(str(time.ticks_us()).encode(), 9)


def on_pong(ws, payload):
    global left
    sent = int(payload.decode())
    print("round trip: {} us".format(time.ticks_diff(time.ticks_us(), sent)))
    left -= 1
    if left:
        ping(ws)
    else:
        ws.close()


ws = websocket.createClient()
ws.on("connection", ping)
ws.on("pong", on_pong)
ws.on("close", lambda ws, status: print("closed:", status))
ws.connect(URL)
while ws.poll(1000):
    pass
