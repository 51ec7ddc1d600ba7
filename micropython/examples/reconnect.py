# reconnect.py: another server when one is gone. MIT licence, see LICENSE.
"""Connect again in "close", by a rule of your own: here to the next of several servers.

For one server `ws.config({"reconnect": True})` does it, with pauses.
"""

import uwebsocket_client as websocket

URLS = ("ws://192.168.1.10:8080/", "ws://192.168.1.11:8080/")
MOST = 10  # attempts

attempt = 0


def on_close(ws, status):
    global attempt
    attempt += 1
    print("closed:", status)
    if status and attempt < MOST:  # 0 would be the program's own close
        ws.connect(URLS[attempt % len(URLS)])


ws = websocket.createClient()
ws.on("connection", lambda ws: ws.send("hello!"))
ws.on("receive", lambda ws, message, opcode: print("received:", message))
ws.on("close", on_close)
ws.connect(URLS[0])
while ws.poll(1000):
    pass
