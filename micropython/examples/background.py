# background.py: the main.py of a board. MIT licence, see LICENSE.
"""Serve a connection in the background: the REPL stays free, or the program goes on here.

boot.py connects Wi-Fi (make deploy ARGS=--wifi); where there is none yet, the client waits for it. Lost connections
come back by themselves; on the ESP8266 with the next `ws.poll()`, so call it now and then there.
"""

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/"


def on_receive(ws, message, opcode):
    print("received:", message)


ws = websocket.createClient()
ws.config({"reconnect": True})
ws.on("connection", lambda ws: ws.send("hello!"))
ws.on("receive", on_receive)
ws.on("close", lambda ws, status: print("closed:", status))
ws.connect(URL)
