"""Tells the events of the first program of the documentation, played against the server of the URL."""

import sys

from plain import tell

import uwebsocket_client as websocket

told = []


def bye(ws):
    told.append("connection")
    ws.send("hello!")
    ws.send(b"\x00\xff")


def got(ws, msg, opcode):
    told.append([type(msg).__name__, msg if opcode == websocket.TEXT else list(msg), opcode])
    if opcode == websocket.BINARY:
        ws.close()


ws = websocket.createClient()
ws.config({"headers": {"User-Agent": "MicroPython"}})
ws.on("connection", bye)
ws.on("receive", got)
ws.on("close", lambda ws, status: told.append(status))
ws.connect(sys.argv[1])
told.append(ws.connected)
while ws.poll(1000):
    pass
tell("events", told)
tell("attributes", [ws.connected, ws.close_code, ws.close_reason, ws.http_status, ws.errno, ws.protocol])
