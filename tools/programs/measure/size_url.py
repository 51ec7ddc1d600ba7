"""Connect with a URL of so many bytes and a header of so many, and close: for finding the smallest heap.

size_url.py URL BYTES_OF_URL BYTES_OF_TOKEN
"""

import sys

import uwebsocket_client as websocket

status = None


def token():
    """Make the header anew for each attempt, as programs do."""
    return {"Authorization": "Bearer " + "t" * int(sys.argv[3])}


def on_close(ws, code):
    global status
    status = code


ws = websocket.createClient()
ws.config({"headers": token})
ws.on("connection", lambda ws: ws.close())
ws.on("close", on_close)
ws.connect(sys.argv[1] + "?" + "q" * int(sys.argv[2]))
for _ in range(2000):
    if not ws.poll(1000):
        break
if status:
    raise RuntimeError("closed with {}".format(status))
