"""Tells what connecting again and again leaves behind: heap and descriptors after a tenth of the rounds and after all.

    rounds_program.py ECHO_URL CLOSING_URL REFUSING_URL ROUNDS

The rounds take turns: an echo that the client closes, one that the server closes, one that it cuts short, a refusal.
"""

import sys

from plain import tell
from usage import descriptors, heap

import uwebsocket_client as websocket

ECHO, CLOSING, REFUSING, ROUNDS = sys.argv[1:]
_KINDS = ((ECHO, 0), (CLOSING, -6), (ECHO + "cut", 0), (REFUSING, -111))

statuses = {}
got = count = status = url = expected = part = 0
usage = [0, 0, 0, 0]


def receive(ws, message, opcode):
    """Count the echo and close."""
    global got
    got += 1
    ws.close()


def connection(ws):
    """Say something; in every third kind of round, leave within a message."""
    ws.send("round")
    if part == 2:
        ws.send("half", None, False)
        ws.close()


def close(ws, code):
    """Note the status."""
    global status
    status = code


def rounds(ws, number):
    """Play so many rounds."""
    global status, url, expected, part
    for turn in range(number):
        part = turn & 3
        url, expected = _KINDS[part]
        status = None
        ws.connect(url)
        while ws.poll(1000):
            pass
        if status != expected:
            raise RuntimeError("round {}: {}".format(turn, status))


def measure(at):
    """Note the heap and the descriptors in use."""
    usage[at + 1] = descriptors()
    usage[at] = heap()


ws = websocket.createClient()
ws.on("connection", connection)
ws.on("receive", receive)
ws.on("close", close)
rounds(ws, int(ROUNDS) // 10)
measure(0)
rounds(ws, int(ROUNDS) - int(ROUNDS) // 10)
measure(2)
tell("growth", [usage[2] - usage[0], usage[3] - usage[1]])
