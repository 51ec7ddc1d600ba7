"""Tells how much heap an open connection keeps after what takes much of it for a moment, and in how small a heap.

    kept_memory_program.py ECHO_URL HEADERS_URL

HEADERS_URL answers with many kilobytes of header lines.
"""

import gc
import sys

from plain import tell

import uwebsocket_client as websocket

ECHO, HEADERS = sys.argv[1:]
got = 0


def receive(ws, message, opcode):
    """Count what came."""
    global got
    got += 1


def close(ws, status):
    """Note how it ended."""
    statuses.append(status)


def connect(url):
    """Connect and poll until open or closed."""
    ws.connect(url)
    while not ws.connected and ws.poll(1000):
        pass


def kept():
    """Return the bytes in use."""
    gc.collect()
    return gc.mem_alloc()


def echo(message):
    """Send a message and wait for its echo."""
    expected = got + 1
    ws.send(message)
    while got < expected and ws.poll(1000):
        pass


statuses = []
ws = websocket.createClient()
ws.on("receive", receive)
ws.on("close", close)
connect(ECHO)
echo(bytes(10))
echo(bytes(2000))
before = kept()
ws.send(bytes(3000))
while got < 3 and ws.poll(1000):
    pass
ws.poll(50)
tell("after-a-large-send", kept() - before)
ws.send(bytes(1500), None, False)
ws.send(bytes(1500), 0, False)
tell("between-fragments", kept() - before)
ws.send(b"", 0)
while got < 4 and ws.poll(1000):
    pass
ws.close()
while ws.poll(1000):
    pass
before = kept()
connect(HEADERS)
tell("headers", [ws.connected, ws.http_status, ws.error, kept() - before])
ws.close()
while ws.poll(1000):
    pass
tell("statuses", statuses)
