"""What `make demo` runs on MicroPython: every kind of event against an echo server, in a board's heap.

    demo_program URL REFUSED_URL [FRAGMENTS_URL CLOSING_URL]

Prints a line for each event with the time since the last one and the free heap. The last two URLs need a server that
answers in fragments, and one that closes with 4001 after a message. Exits with 1 when an event did not come.
"""

import binascii
import gc
import hashlib
import os
import sys

import utime
import uwebsocket_client as websocket

LINE = "{:<26}  {:<44}  {:>9}  {:>9}"
STEP_MS = 20000
MIB = 1 << 20
FRAGMENT = 1024  # bytes of one fragment of the large message


class Missing(Exception):
    """An event did not come; the text says which."""


class Demo:
    """A client whose events are printed as they come, and remembered by name."""

    def __init__(self):
        self.step = ""
        self.came = {}
        self.since = utime.ticks_ms()
        self.digest = None
        self.size = 0
        self.ws = ws = websocket.createClient()
        ws.config({"headers": {"User-Agent": "MicroPython"}})
        ws.on("connection", self.connection)
        ws.on("receive", self.receive)
        ws.on("pong", self.pong)
        ws.on("close", self.close)

    def say(self, text):
        """Print a line: the step once, what happened, how long it took, the free heap."""
        now = utime.ticks_ms()
        gc.collect()
        took = f"{utime.ticks_diff(now, self.since)} ms"
        print(LINE.format(self.step, text, took, f"{gc.mem_free() / 1024:.1f} KiB"))
        self.step = ""
        self.since = utime.ticks_ms()

    def begin(self, step):
        """Name the next step and forget the events so far."""
        self.step = step
        self.came = {}
        self.since = utime.ticks_ms()

    def connection(self, ws):
        """Handle "connection"."""
        self.came["connection"] = True
        self.say('"connection"')

    def receive(self, ws, message, opcode):
        """Handle "receive"."""
        self.came["receive"] = message
        kind = "text" if opcode == websocket.TEXT else "binary"
        shown = repr(message) if len(message) < 16 else f"{len(message)} B"
        self.say(f'"receive" {shown}, {kind}')

    def data(self, ws, chunk, opcode, final):
        """Handle "data": a large message in pieces."""
        self.digest.update(chunk)
        quarter = self.size * 4 // MIB
        self.size += len(chunk)
        if final:
            self.came["data"] = self.digest.digest()
            self.say(f'"data", the last piece: {self.size} B in all')
        elif self.size * 4 // MIB > quarter:
            self.say(f'"data": {self.size // 1024} KiB so far')

    def pong(self, ws, payload):
        """Handle "pong"."""
        sent = int(bytes(payload).decode())
        self.came["pong"] = True
        self.say(f'"pong", round trip {utime.ticks_diff(utime.ticks_us(), sent)} us')

    def close(self, ws, status):
        """Handle "close"."""
        self.came["close"] = status
        more = f", {ws.close_code} {ws.close_reason!r}" if ws.close_code != 1006 else ""
        self.say(f'"close" {status}{more}')

    def wait(self, event):
        """Poll until an event has come; return what came with it."""
        until = utime.ticks_add(utime.ticks_ms(), STEP_MS)
        while event not in self.came:
            alive = self.ws.poll(100)
            if event not in self.came and (not alive or utime.ticks_diff(until, utime.ticks_ms()) < 0):
                told = f', "close" told {self.came["close"]}' if "close" in self.came else ""
                raise Missing(f'no "{event}" came{told}')
        return self.came[event]

    def expect(self, event, value):
        """Wait for an event that must bring this."""
        if self.wait(event) != value:
            raise Missing(f'"{event}" brought something else')


def first_program(demo, url):
    """The first example of the documentation: connect, send, receive."""
    demo.begin("connect and echo text")
    demo.ws.connect(url)
    demo.wait("connection")
    demo.ws.send("hello!")
    demo.expect("receive", "hello!")


def binary(demo):
    """Echo of 100 bytes that no text could hold."""
    demo.begin("binary")
    message = os.urandom(100)
    demo.ws.send(message)
    demo.expect("receive", message)


def fragments_out(demo):
    """A message that is sent in three fragments and comes back as one."""
    demo.begin("three fragments out")
    demo.ws.send("one, ", fin=False)
    demo.ws.send("two, ", 0, False)
    demo.ws.send("three", 0)
    demo.expect("receive", "one, two, three")


def ping(demo):
    """A ping that carries the time."""
    demo.begin("ping")
    demo.ws.send(str(utime.ticks_us()).encode(), 9)
    demo.wait("pong")


def mebibyte(demo):
    """A message many times larger than the heap: sent in fragments, received in pieces."""
    demo.begin("1 MiB in fragments out")
    demo.digest = hashlib.sha256()
    demo.size = 0
    demo.ws.on("data", demo.data)
    sent = hashlib.sha256()
    piece = bytearray(os.urandom(FRAGMENT))
    for i in range(MIB // FRAGMENT):
        piece[0] = i & 0xFF
        sent.update(piece)
        demo.ws.send(piece, 0 if i else websocket.BINARY, i == MIB // FRAGMENT - 1)
    sent = sent.digest()
    demo.say(f"sent, SHA-256 {binascii.hexlify(sent[:4]).decode()}...")
    demo.begin("... and back in pieces")
    demo.expect("data", sent)
    demo.ws.on("data", None)


def own_close(demo):
    """The program's own close."""
    demo.begin("close")
    demo.ws.close()
    demo.expect("close", 0)


def fragments_in(demo, url):
    """A message that comes in ten fragments is told as one."""
    demo.begin("ten fragments in")
    demo.ws.connect(url)
    demo.wait("connection")
    demo.ws.send("x" * 1000)
    demo.expect("receive", "x" * 1000)
    demo.ws.close()
    demo.expect("close", 0)


def server_close(demo, url):
    """The server closes with a code and a reason."""
    demo.begin("the server closes")
    demo.ws.connect(url)
    demo.wait("connection")
    demo.ws.send("enough?")
    demo.expect("close", -6)
    if demo.ws.close_code != 4001:
        raise Missing("the server's code did not come")


def refused(demo, url):
    """A port where nobody listens."""
    demo.begin("a port that refuses")
    demo.ws.connect(url)
    demo.expect("close", -111)


def main(url, refused_url, fragments_url=None, closing_url=None):
    """Run all steps; return the exit code."""
    print(LINE.format("step", "event", "time", "free heap"))
    demo = Demo()
    demo.begin("import and create")
    demo.say("ready")
    try:
        first_program(demo, url)
        binary(demo)
        fragments_out(demo)
        ping(demo)
        mebibyte(demo)
        own_close(demo)
        if fragments_url:
            fragments_in(demo, fragments_url)
        if closing_url:
            server_close(demo, closing_url)
        refused(demo, refused_url)
    except (Missing, OSError, MemoryError) as error:
        kind = "" if isinstance(error, Missing) else f"{type(error).__name__} "
        print(LINE.format(demo.step, f"FAILED: {kind}{error}", "", "").rstrip())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
