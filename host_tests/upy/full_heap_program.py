"""Lets the heap be full but for n bytes while something happens to a connection, for n in steps.

    full_heap_program.py URL EVENT FIRST LAST STEP [wrong]

EVENT is a path of the server: its script waits for a message, then does what the event is named after; those that
begin with "opening" do it instead of the upgrade. Tells for each n [n, statuses, errors that came out of poll() while
the heap was full, what is wrong]; wrong is "" or what was seen afterwards.
With "wrong" the status of a connection that the server has ended is told as another one: a fault that must be found.
"""

import gc
import sys

from plain import tell

import utime
import uwebsocket_client as websocket

_URL = sys.argv[1]
_ROUNDS = 60  # polls with a full heap, at most
_QUIET = 15  # and at least, where nothing comes of the event
_PATIENCE_MS = 3000
_WRONG = sys.argv[6:] == ["wrong"]

closes = [None] * 4  # without an allocation: the statuses, and how many there are
told = [0, 0]


def closed(ws, status):
    if status == -99 and _WRONG:
        status = -101
    if told[0] < 4:
        closes[told[0]] = status
    told[0] += 1


def received(ws, message, opcode):
    told[1] += 1


def eat():
    """Return what fills the heap."""
    chain = None
    size = 4096
    while size >= 16:
        try:
            while True:
                chain = (chain, bytearray(size))
        except MemoryError:
            size >>= 1
    try:
        while True:
            chain = (chain,)
    except MemoryError:
        pass
    return chain


def until(ws, condition):
    """Poll until the condition holds; return whether it did."""
    end = utime.ticks_add(utime.ticks_ms(), _PATIENCE_MS)
    while not condition():
        ws.poll(10)
        if utime.ticks_diff(end, utime.ticks_ms()) < 0:
            return False
    return True


def polls(ws):
    """Poll with a full heap until the event has been handled; return the first error, without an allocation."""
    first = None
    rounds = 0
    while rounds < _ROUNDS:
        try:
            alive = ws.poll(2)
        except BaseException as error:
            alive = True
            first = first or error
        rounds += 1
        if not alive or (rounds > _QUIET and told[1]):
            break
    return first


def afterwards(ws, connected):
    """Return what is wrong when the heap is free again, "" for nothing."""
    if ws.connected and connected:
        try:
            ws.send("again?")  # to the server, which does not mind
        except OSError:
            pass
    if not ws.connected:
        if not until(ws, lambda: not ws.poll() or ws.connected):
            return "neither open nor closed"
    ws.close()
    if not until(ws, lambda: not ws.poll()):
        return "alive after close()"
    if ws.connected:
        return "connected after the close"
    if told[0] != 1:
        return "{} times close".format(told[0])
    # the next connection is as good as any
    told[0] = told[1] = 0
    before = closes[0]
    ws.connect(_URL + "echo")
    if not until(ws, lambda: ws.connected):
        return "does not open again"
    ws.send("hello")
    if not until(ws, lambda: told[1]):
        return "no echo on the next connection"
    ws.close()
    until(ws, lambda: not ws.poll())
    ended = closes[0]
    closes[0] = before
    return "" if ended == 0 else "the next connection ended with {}".format(ended)


def play(event, left):
    """Play the event with `left` bytes of heap."""
    told[0] = told[1] = 0
    closes[0] = None
    ws = websocket.createClient()
    ws.config({"ping_interval_ms": 0, "connect_timeout_ms": 2000, "close_timeout_ms": 500, "send_timeout_ms": 1000})
    ws.on("receive", received)
    ws.on("close", closed)
    ws.connect(_URL + event)
    opening = event.startswith("opening")
    if not opening:
        if not until(ws, lambda: ws.connected):
            return [left, [], "", "did not open"]
        ws.send("go")
        if event == "closing":
            ws.close()
    wrong = ""
    reserve = bytearray(left)
    gc.collect()
    chain = eat()
    del reserve
    gc.collect()
    first = polls(ws)
    del chain
    gc.collect()
    status = closes[0]
    early = told[0]
    try:
        wrong = afterwards(ws, event != "closing")
    except Exception as error:
        wrong = repr(error)
    if early:
        closes[0] = status
    return [left, closes[0], repr(first) if first is not None else "", wrong]


event = sys.argv[2]
for left in range(int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])):
    tell(left, play(event, left))
