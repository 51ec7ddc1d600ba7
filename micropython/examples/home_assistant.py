# home_assistant.py: what changes in a house, by Home Assistant. MIT licence, see LICENSE.
"""Print each change of state that Home Assistant tells, by its WebSocket API; events larger than LIMIT are skipped.

TOKEN is a long-lived access token of your profile there. `make serve` stands in for a house with three changes.
"""

import json
import time

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/api/websocket"  # Home Assistant's own port is 8123
TOKEN = "a long-lived access token"
LIMIT = 1024
PAUSE_S = 5

buffer = memoryview(bytearray(LIMIT))
size = 0
last_id = 0


def ask(ws, kind, **more):
    # Each request has an id, larger than the one before; answers and events carry it.
    global last_id
    last_id += 1
    more.update({"id": last_id, "type": kind})
    ws.send(json.dumps(more))


def on_data(ws, chunk, opcode, final):
    global size
    end = size + len(chunk)
    if end <= LIMIT:
        buffer[size:end] = chunk
    size = end
    if final:
        size = 0
        if end > LIMIT:
            print("skipped:", end, "bytes")
        else:
            on_message(ws, json.loads(buffer[:end]))


def on_message(ws, message):
    kind = message["type"]
    if kind == "auth_required":
        ws.send(json.dumps({"type": "auth", "access_token": TOKEN}))
    elif kind == "auth_invalid":
        print("refused:", message["message"])
    elif kind == "auth_ok":
        ask(ws, "subscribe_events", event_type="state_changed")
    elif kind == "result":
        print("request", message["id"], "succeeded" if message["success"] else "failed")
    elif kind == "event":
        data = message["event"]["data"]
        print(data["entity_id"], "is", data["new_state"]["state"])


ws = websocket.createClient()
ws.on("data", on_data)
ws.on("close", lambda ws, status: print("closed:", status))
while True:
    ws.connect(URL)
    while ws.poll(1000):
        pass
    time.sleep(PAUSE_S)
