"""Tells what comes of a large message, received by "data" and sent in fragments, in a small heap.

stream_program.py HELLO_URL COUNT_URL SIZE
"""

import binascii
import hashlib
import sys

from plain import tell

import uwebsocket_client as websocket

HELLO, COUNT, SIZE = sys.argv[1:]
_FRAGMENT = 512

digest = hashlib.sha256()
size = pieces = finals = 0
answer = b""


def data(ws, chunk, opcode, final):
    """Count a piece of the server's message; the answer to ours is text."""
    global size, pieces, finals, answer
    if opcode == websocket.TEXT:
        answer += bytes(chunk)
    else:
        digest.update(chunk)
        size += len(chunk)
        pieces += 1
    if final:
        finals += 1
        ws.close()


def upload(ws):
    """Send the message in fragments, a counter in each."""
    fragment = bytearray(_FRAGMENT)
    number = int(SIZE) // _FRAGMENT
    for index in range(number):
        fragment[0] = index & 0xFF
        fragment[-1] = index >> 8
        digest.update(fragment)
        ws.send(fragment, 0 if index else 2, index == number - 1)


def play(ws, url):
    """Connect and poll until closed."""
    ws.connect(url)
    while ws.poll(1000):
        pass


ws = websocket.createClient()
ws.on("data", data)
play(ws, HELLO)
tell("received", [size, finals, pieces > 100, binascii.hexlify(digest.digest()).decode()])
digest = hashlib.sha256()
ws.on("connection", upload)
play(ws, COUNT)
tell("sent", ["{} {}".format(SIZE, binascii.hexlify(digest.digest()).decode()) == answer.decode(), finals])
