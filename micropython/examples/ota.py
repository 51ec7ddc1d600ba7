# ota.py: an update over wss, checked before it counts. MIT licence, see LICENSE.
"""Fetch a file over TLS in constant memory; it takes its place only if its size and SHA-256 are as announced.

The server sends {"size": ..., "sha256": "..."}, then the file as one binary message. Its certificate is verified
against CA (make deploy ARGS="--file build/serve/ca.pem"); an ESP8266 cannot do that, and config() says so.
"""

import binascii
import hashlib
import json
import os

import uwebsocket_client as websocket

URL = "wss://192.168.1.10:8443/ota"
CA = "ca.pem"
NAME = "app.py"  # here, whatever the server says
PART = NAME + ".part"
LARGEST = 256 * 1024

announced = None
notice = bytearray()
size = 0
digest = hashlib.sha256()
file = open(PART, "wb")


def on_data(ws, chunk, opcode, final):
    global announced, size
    if opcode == websocket.TEXT:
        if len(notice) + len(chunk) > 200:
            return refuse(ws, "a notice that is too long")
        notice.extend(chunk)
        if final:
            announced = json.loads(notice)
            if announced["size"] > LARGEST:
                refuse(ws, "too large")
        return
    size += len(chunk)
    if announced is None or size > announced["size"]:
        return refuse(ws, "not as announced")
    file.write(chunk)
    digest.update(chunk)
    if final:
        file.close()
        if size != announced["size"] or binascii.hexlify(digest.digest()).decode() != announced["sha256"]:
            return refuse(ws, "wrong size or SHA-256")
        os.rename(PART, NAME)  # one step: there is the old file, or the new one
        print("updated:", size, "bytes in", NAME)  # machine.reset() would run it
        ws.close()


def refuse(ws, reason):
    print("refused:", reason)
    ws.on("data", None)
    ws.close(1008, reason)


def on_close(ws, status):
    print("closed:", status, ws.error or "")
    file.close()
    if PART in os.listdir():
        os.remove(PART)


ws = websocket.createClient()
ws.config({"tls": {"ca": CA}})
ws.on("data", on_data)
ws.on("close", on_close)
ws.connect(URL)
while ws.poll(1000):
    pass
