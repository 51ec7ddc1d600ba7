"""Talks to the server of tools/soak.py without pause: soak_program.py URL SECONDS SABOTAGE.

Every message that comes back is compared with what was sent. After every close a map of the heap and a line of JSON
are printed: what became of the attempt, and the heap and descriptors then in use.
"""

import gc
import json
import os
import socket
import sys
import time

import micropython
import uwebsocket_client as websocket

# Messages on their way at a time, and blocks of a message that only "data" can receive. What the chip does not read
# while it sends may take no more than the 16 buffers of its lwIP, else it hears no acknowledgements.
_OUTSTANDING, _LARGE = (2, 7) if sys.platform == "esp8266" else (3, 40)
_LEAK = micropython.const(64)  # bytes that are kept, so many times in a run, where the program is told to leak
_LEAKS = micropython.const(12)
_PAUSE_S = 0.02  # before a connect() by hand
_CHIP_SOCKETS = micropython.const(5)  # of TCP, as many as the virtual ESP8266 has
_CHIP_CLOSES_S = micropython.const(12)  # lwIP keeps a closed socket until the peer has closed too, or for 10 s
_HANG_AT = micropython.const(5)  # closes
_CONFIG = {
    "connect_timeout_ms": 1000,
    "close_timeout_ms": 400,
    "ping_interval_ms": 600,
    "ping_limit": 2,
    "reconnect": True,
    "reconnect_min_ms": 20,
    "reconnect_max_ms": 200,
}


def blocks(n, streaming):
    """Return how many blocks message `n` has."""
    return _LARGE if streaming and n % 60 == 59 else n % 7


def block(n, k):
    """Return block `k` of message `n`; every third message is text."""
    text = f"{n}.{k} \xb5\u20ac\U0001f600|" * (1 + (n + k) % 20)
    return text if n % 3 == 0 else b"\xff\x80" + text.encode()


def whole(n):
    """Return message `n`."""
    return ("" if n % 3 == 0 else b"").join([block(n, k) for k in range(blocks(n, False))])


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
    end = time.time() + _CHIP_CLOSES_S
    while (used := _CHIP_SOCKETS - sockets_left()) and time.time() < end:
        time.sleep_ms(50)
    return used


class Soak:
    """One client that connects again and again, and the figures of the connection under way."""

    def __init__(self):
        self.attempt = self.messages = self.by_hand = self.echoed = 0
        self.next = self.expected = 0  # numbers of messages
        self.position = 0  # of the next block of a message that comes in pieces
        self.rest = b""  # of the block under way
        self.told = None
        self.kept = []
        self.ws = ws = websocket.createClient()
        ws.config(_CONFIG)
        ws.config({"headers": self.headers})
        ws.on("connection", self.on_connection)
        ws.on("receive", self.on_receive)
        ws.on("pong", self.on_pong)
        ws.on("close", self.on_close)

    def headers(self):
        """Tell the server which attempt this is, and whether messages are taken in pieces."""
        self.attempt += 1
        self.echoed = 0
        self.streaming = self.attempt % 3 == 0
        self.ws.on("data", self.on_data if self.streaming else None)
        headers = {"X-Attempt": str(self.attempt)}
        if self.streaming:
            headers["X-Pieces"] = "yes"
        return headers

    def on_connection(self, ws):
        self.expected = self.next
        self.position = 0
        self.rest = b""
        for _ in range(_OUTSTANDING):
            self.send()

    def send(self):
        """Send the next message: whole, or a fragment for each block."""
        n = self.next
        self.next += 1
        last = blocks(n, self.streaming) - 1
        try:
            if last == _LARGE - 1 or n % 5 == 4 and last > 0:
                for k in range(last + 1):
                    self.ws.send(block(n, k), 0 if k else None, k == last)
            else:
                self.ws.send(whole(n))
        except OSError:
            pass  # "close" tells why

    def on_receive(self, ws, message, opcode):
        if message != whole(self.expected) or opcode != 2 - (self.expected % 3 == 0):
            raise ValueError(f"message {self.expected} came back different")
        self.came()

    def on_data(self, ws, chunk, opcode, final):
        n = self.expected
        while len(chunk):
            if not len(self.rest):
                part = block(n, self.position)
                self.rest = memoryview(part if n % 3 else part.encode())
                self.position += 1
            size = min(len(self.rest), len(chunk))
            if self.rest[:size] != chunk[:size]:
                raise ValueError(f"message {n} came back different in block {self.position}")
            self.rest = self.rest[size:]
            chunk = chunk[size:]
        if final:
            if len(self.rest) or self.position != blocks(n, True) or opcode != 2 - (n % 3 == 0):
                raise ValueError(f"message {n} came back too short")
            self.position = 0
            self.came()

    def on_pong(self, ws, payload):
        # The server may send a pong of its own (RFC 6455 5.5.3): with this one it asks for the user's close().
        if payload == b"close":
            ws.close()

    def came(self):
        """Count a message that came back, and send another one."""
        self.expected += 1
        self.echoed += 1
        self.messages += 1
        self.send()

    def on_close(self, ws, status):
        if self.told is not None:
            raise ValueError(f"two closes of attempt {self.attempt}")
        self.told = status

    def report(self, last=False):
        """Print what became of the attempt, and what is in use between two connections."""
        line = {
            "attempt": self.attempt,
            "status": self.told,
            "code": self.ws.close_code,
            "echoed": self.echoed,
            "messages": self.messages,
            "by_hand": self.by_hand,
            "last": last,
            "descriptors": descriptors(),
        }
        self.told = None
        self.rest = b""
        gc.collect()
        micropython.mem_info()
        line["used"] = gc.mem_alloc()
        line["free"] = gc.mem_free()
        print(json.dumps(line))

    def run(self, url, seconds, sabotage):
        """Connect to `url` and exchange messages for so many seconds."""
        begin = time.time()
        end = begin + seconds
        while time.time() < end:
            alive = self.ws.poll(100)
            if self.told is not None:
                self.report()
                if sabotage == "heap":
                    # as time goes by: a fast machine must not run out of memory first
                    while len(self.kept) < (time.time() - begin) * _LEAKS / seconds:
                        self.kept.append(bytes(_LEAK))
                elif sabotage == "descriptors":
                    self.kept.append(socket.socket())
                elif sabotage == "hang" and self.attempt > _HANG_AT:
                    time.sleep(seconds)
            if not alive:
                time.sleep(_PAUSE_S)
                self.by_hand += 1
                self.ws.connect(url)
        self.ws.close()
        while self.ws.poll(100):
            pass
        if self.told is not None:
            self.report(True)


Soak().run(sys.argv[1], float(sys.argv[2]), sys.argv[3])
