"""One client on a scripted board, and all that it told: what the tests of the client share."""

import pytest

import fakes
from servers import wire
from support import states

HOST, PORT = "10.0.0.2", 80
URL = f"ws://{HOST}/"

NEWEST = [(port, fakes.NEWEST) for port in fakes.PORTS]
FIRMWARE = [
    ("esp8266", (1, 22)), ("esp8266", (1, 24)), ("esp8266", (1, 27)), ("esp8266", (1, 28)),
    ("esp32", (1, 23)), ("esp32", (1, 28)), ("unix", (1, 28)),
]  # fmt: skip
KEEPS_DATA = [one for one in FIRMWARE if one[0] != "esp8266" or one[1] >= (1, 28)]  # although a reset came

_LONG_MS = 3600000
_HEADER = 8  # bytes of a frame's header, for payloads of up to 64 KiB


def named(firmware):
    """Return the test id of a firmware."""
    return f"{firmware[0]}-{firmware[1][0]}.{firmware[1][1]}"


def each(firmware=NEWEST):
    """Run a test once for each of these firmwares, (port, version)."""
    return pytest.mark.parametrize("firmware", firmware, ids=named)


class Session:
    """A board and a client, whose events are noted; a context manager.

    `events` are tuples of the event's name and what the handler was given, `times` when they came, in ms of the fake
    clock. Options of the client are in `config`; it runs in the background only where they ask for it.
    """

    def __init__(self, firmware, config=(), *, upgrade=True, **more):
        self.board = fakes.board(*firmware, **more)
        self.server = self.board.listen(HOST, PORT, upgrade=upgrade)
        self.events = []
        self.times = []
        self.connects = 0
        self.peer = None
        self.ws = self.client(dict(config))

    def __enter__(self):
        self.board.__enter__()
        return self

    def __exit__(self, *error):
        self.board.__exit__(*error)

    def client(self, config=()):
        """Return a new client that notes its events here."""
        ws = states.watched(self.board.load("uwebsocket_client")).createClient()
        ws.config({"background": False} | dict(config))
        for event in ("connection", "receive", "pong", "close"):
            ws.on(event, self.noting(event))
        return ws

    def noting(self, event, then=None):
        """Return a handler that notes the event, then calls `then(ws, ...)`."""

        def handler(ws, *content):
            kept = tuple(bytes(part) if isinstance(part, memoryview) else part for part in content)
            self.events.append((event, *kept))
            self.times.append(self.board.clock.now)
            if then:
                then(ws, *content)

        return handler

    def on(self, event, then=None):
        """Let `then(ws, ...)` be called after the event was noted."""
        self.ws.on(event, self.noting(event, then))

    def number(self, name):
        """Return the number of an errno on this port."""
        return self.board.profile.numbers[name]

    # What the program does

    def connect(self, url=URL):
        """Begin to connect."""
        self.connects += 1
        self.ws.connect(url)

    def open(self, url=URL):
        """Connect until the connection is open; return the server's Peer."""
        self.connect(url)
        self.until(lambda: self.ws.connected)
        self.peer = self.server.peers[-1]
        return self.peer

    def ask(self):
        """Connect until the server has the request; return its Peer, which has not answered yet."""
        self.connect()
        self.until(lambda: self.server.peers and b"\r\n\r\n" in self.server.peers[-1].received())
        self.peer = self.server.peers[-1]
        return self.peer

    def fill(self):
        """Let the peer read no more, and fill the send buffer."""
        self.board.advance(1000)
        self.peer.stop_reading()
        connection = self.board.open_sockets()[0].connection
        while connection.free > _HEADER:
            self.ws.send(b"x" * min(connection.free - _HEADER, 60000))

    def poll(self, timeout_ms=0):
        """Poll once, and see to it that this takes no longer than asked."""
        before = self.board.clock.now
        alive = self.ws.poll(timeout_ms)
        took = self.board.clock.now - before
        assert took <= timeout_ms, f"poll({timeout_ms}) took {took} ms"
        return alive

    def until(self, condition, timeout_ms=10000, slice_ms=1000):
        """Poll until condition(); fail where that takes longer than `timeout_ms`."""
        deadline = self.board.clock.now + timeout_ms
        while not condition():
            left = deadline - self.board.clock.now
            assert left > 0, f"not within {timeout_ms} ms: {self.events}"
            before = self.board.clock.now
            self.poll(min(slice_ms, left))
            if self.board.clock.now == before:
                self.board.advance(1)

    def idle(self, milliseconds):
        """Poll for so long, whatever happens."""
        until = self.board.clock.now + milliseconds
        while self.board.clock.now < until:
            before = self.board.clock.now
            self.poll(until - before)
            if self.board.clock.now == before:
                self.board.advance(1)

    def finish(self):
        """Poll until nothing more will come, and return the last status.

        There must have been one "close" for each connect(), as the last event, and no socket may be left open.
        """
        self.until(lambda: not self.poll(), _LONG_MS)
        assert self.statuses and len(self.statuses) == self.connects, self.events
        assert self.events[-1][0] == "close"
        assert not self.ws.connected
        assert not self.board.open_sockets()
        told = list(self.events)
        self.idle(100)
        assert self.events == told, "an event after the close"
        return self.statuses[-1]

    # What was told, and what the server saw

    @property
    def statuses(self):
        """The statuses that "close" told."""
        return [event[1] for event in self.events if event[0] == "close"]

    @property
    def messages(self):
        """The content of all "receive" events."""
        return [event[1] for event in self.events if event[0] == "receive"]

    @property
    def ended_ms(self):
        """When the last "close" was told."""
        return self.times[-1]

    def frames(self, peer=None):
        """Let what is on its way arrive, and return the client's frames as (opcode, payload); each must be masked."""
        self.board.advance(3000)
        found = (peer or self.peer).frames()
        assert all(frame.key is not None and frame.rsv == 0 and frame.shortest for frame in found)
        return [(frame.opcode, frame.payload) for frame in found]

    def sent_close(self, peer=None):
        """Return the code of the only Close frame that the client sent, None without one; nothing may follow it."""
        frames = self.frames(peer)
        closes = [payload for opcode, payload in frames if opcode == wire.CLOSE]
        assert len(closes) < 2
        if closes:
            assert frames[-1][0] == wire.CLOSE
            return int.from_bytes(closes[0][:2], "big") if closes[0] else 1005
