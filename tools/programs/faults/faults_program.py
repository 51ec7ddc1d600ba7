"""Plays rounds against an echo server that is far away and hard to reach; on any interpreter.

    faults_program.py URL SEED FIRST COUNT [CA]

Each round connects, sends numbered messages of many sizes in one or more frames, holds what comes back against what was
sent, and closes; one client object plays them all. What a round does follows from the seed and its number, on every
interpreter alike. Prints one line of JSON for each round, then one with the file descriptors and the heap in use
after the first rounds and at the end.
"""

import gc
import json
import os
import socket
import sys

import utime
import uwebsocket_client as websocket

# Short, but longer than a busy machine keeps a process waiting.
CONFIG = {
    "connect_timeout_ms": 2000,
    "close_timeout_ms": 1000,
    "send_timeout_ms": 2000,
    "ping_interval_ms": 600,
    "ping_limit": 2,
}
ROUND_MS = 8000
POLL_MS = 20
WARM_UP = 20  # rounds before what is in use is looked at

SMALL = (1, 7, 60, 110, 117, 118, 119, 120, 125, 126, 127, 300, 505, 512, 520, 1000, 1452, 1460, 2000, 4096)
LARGE = (16384, 65520, 65535, 65536, 66000)
MOST = 1600 if sys.platform == "esp8266" else 66000  # bytes: a message is there up to four times
ALPHABET = "The quick brown fox jumps; \u00df\u00e9 \u20ac \u4e2d\u6587 \U0001f40d over 0123456789 lazy dogs. "
TEXTS = ALPHABET * 20  # the characters that messages are cut from
BYTES = bytes(range(256)) * (MOST // 256 + 2)
CHIP_SOCKETS = 5  # of TCP, as many as the virtual ESP8266 has
CHIP_CLOSES_MS = 12000  # lwIP keeps a socket that was closed until the peer has closed too, or 10 s have passed


class Random:
    """A generator of numbers that is the same on every interpreter (xorshift, 32 bits)."""

    def __init__(self, seed):
        self.state = (seed * 2654435761 + 1) & 0xFFFFFFFF or 1
        for _ in range(8):
            self.below(1)

    def below(self, limit):
        """Return a number from 0 to limit - 1."""
        state = self.state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        self.state = state
        return state % limit

    def choose(self, items):
        """Return one of the items."""
        return items[self.below(len(items))]


def make(number, opcode, size):
    """Return message `number` of a round, about `size` bytes."""
    if opcode == websocket.BINARY:
        return b"%d:" % number + BYTES[number : number + size]
    start = number * 7 % 50
    text = f"{number}:"
    while size > 1000:
        text += TEXTS[start : start + 1000]
        size -= 1000
    return text + TEXTS[start : start + size]


def pieces(data, count):
    """Yield (memoryview, last) of `data` cut into `count` pieces, wherever that cuts its characters."""
    view = memoryview(data)
    step = max(1, len(data) // count)
    for i in range(count):
        last = i == count - 1
        yield view[i * step : len(data) if last else (i + 1) * step], last


class Player:
    """One client that plays round after round."""

    def __init__(self, url, ca):
        self.url = url
        self.ws = ws = websocket.createClient()
        ws.config(CONFIG)
        if ca:
            ws.config({"tls": {"ca": ca, "server_hostname": "localhost"}})
        ws.on("connection", self.connection)
        ws.on("pong", self.pong)
        ws.on("close", self.close)

    def connection(self, ws):
        """Note that the connection is open."""
        self.opened += 1

    def pong(self, ws, payload):
        """Count the answer to a ping of this program."""
        self.pongs += bytes(payload) == b"marco"

    def close(self, ws, status):
        """Note the status."""
        self.closes.append(status)

    def data(self, ws, chunk, opcode, final):
        """Gather a message that comes in pieces."""
        self.parts += bytes(chunk)
        if final:
            message = self.parts
            self.parts = b""
            self.check(message, opcode)

    def receive(self, ws, message, opcode):
        """Take a whole message."""
        if isinstance(message, str) != (opcode == websocket.TEXT):
            self.wrong = f"{type(message).__name__} with opcode {opcode}"
        self.check(message, opcode)

    def check(self, message, opcode):
        """Hold a message against the one that was to come next."""
        if self.wrong:
            return
        if self.echoes >= self.sent:
            self.wrong = "a message that was not sent"
            return
        wanted_opcode, size, _ = self.messages[self.echoes]
        wanted = make(self.echoes, wanted_opcode, size)
        if opcode == websocket.TEXT and not isinstance(message, str):
            wanted = wanted.encode()
        if opcode != wanted_opcode or message != wanted:
            self.wrong = f"message {self.echoes} is not as it was sent"
        self.echoes += 1

    def plan(self, random):
        """Decide what this round does."""
        ws = self.ws
        streamed = random.below(4) == 0
        ws.on("receive", None if streamed else self.receive)
        ws.on("data", self.data if streamed else None)
        sizes = LARGE if random.below(16) == 0 else SMALL
        count = 1 + random.below(3 if sizes is LARGE else 12)
        self.messages = [
            (1 + random.below(2), min(random.choose(sizes), MOST), random.choose((1, 1, 1, 2, 3, 8)))
            for _ in range(count)
        ]
        self.window = 1 + random.below(4)  # messages that may be under way
        self.enough = 1 + random.below(count) if random.below(8) == 0 else count
        self.ping = random.below(4) == 0
        return random.choose(("", "", "fragments?size=100", "fragments?size=1000"))

    def send(self):
        """Send the next message."""
        opcode, size, count = self.messages[self.sent]
        message = make(self.sent, opcode, size)
        self.sent += 1
        if count == 1:
            self.ws.send(message)
            return
        if opcode == websocket.TEXT:
            message = message.encode()
        first = opcode
        for piece, last in pieces(message, count):
            self.ws.send(piece, first, last)
            first = 0

    def go_on(self):
        """Do what the round has to do next; return True once it has asked to close."""
        ws = self.ws
        if self.ping:
            self.ping = False
            ws.send(b"marco", 9)
        while self.sent < len(self.messages) and self.sent - self.echoes < self.window:
            self.send()
        if self.echoes >= self.enough:
            ws.close()
            return True
        return False

    def play(self, seed, number):
        """Play a round; return what happened."""
        ws = self.ws
        self.opened = self.pongs = self.sent = self.echoes = 0
        self.closes = []
        self.parts = b""
        self.wrong = None
        path = self.plan(Random(seed * 100003 + number))
        started = now = utime.ticks_ms()
        asked = failed = False
        longest = 0
        ws.connect(self.url + path)
        alive = True
        while alive and utime.ticks_diff(now, started) < ROUND_MS:
            alive = ws.poll(POLL_MS)
            before = now
            now = utime.ticks_ms()
            longest = max(longest, utime.ticks_diff(now, before))
            if ws.connected and not asked and not failed:
                try:
                    asked = self.go_on()
                except OSError as error:
                    failed = error.args[0]
                now = utime.ticks_ms()
        result = {
            "round": number,
            "closes": self.closes,
            "asked": asked,
            "opened": self.opened,
            "sent": self.sent,
            "echoes": self.echoes,
            "enough": self.enough,
            "pongs": self.pongs,
            "wrong": self.wrong,
            "raised": failed,
            "close_code": ws.close_code,
            "errno": ws.errno,
            "alive": alive or ws.poll() or ws.connected,
            "took_ms": utime.ticks_diff(now, started),
            "longest_ms": longest,
        }
        if alive:  # the next round needs the client at rest
            ws.close()
            while ws.poll(POLL_MS):
                pass
        return result


def sockets_left():
    """Return how many sockets can still be opened."""
    made = []
    try:
        while True:
            made.append(socket.socket())
    except OSError:
        return len(made)
    finally:
        for one in made:
            one.close()


def descriptors():
    """Return how many file descriptors are open; on the chip, which has none, how many of its sockets are in use."""
    if sys.platform != "esp8266":
        return len(os.listdir("/proc/self/fd"))
    end = utime.ticks_add(utime.ticks_ms(), CHIP_CLOSES_MS)
    while (used := CHIP_SOCKETS - sockets_left()) and utime.ticks_diff(end, utime.ticks_ms()) > 0:
        utime.sleep_ms(100)
    return used


def in_use():
    """Return the numbers of open file descriptors and of heap bytes, 0 where the interpreter does not tell."""
    found = descriptors()
    for _ in range(2):
        gc.collect()
    return found, gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0


def main(url, seed, first, count, ca=None):
    """Play the rounds."""
    player = Player(url, ca)
    first, last = int(first), int(first) + int(count)
    before = None
    for number in range(first, last):
        print(json.dumps(player.play(int(seed), number)))
        if number - first == min(WARM_UP, last - first - 1):
            before = in_use()
    after = in_use()
    print(json.dumps({"fds": [before[0], after[0]], "heap": [before[1], after[1]]}))


main(*sys.argv[1:])
