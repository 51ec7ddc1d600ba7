"""The other side of the board's connections: servers on the fake network, and the WebSocket talk of a peer."""

from dataclasses import dataclass

try:
    from ..servers import wire  # as a part of uwebsocket_host
except ImportError:
    from servers import wire


@dataclass(frozen=True)
class Request:
    """A client's upgrade request; `headers` is a list of (name, value)."""

    method: str
    target: str
    headers: list

    def header(self, name):
        """Return the value of the first header of that name, whatever its case, None without one."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Server:
    """Listens on the fake network; made by `board.listen`.

    `peers` are all connections ever made; with `upgrade` each request is answered as soon as it is complete;
    `on_connect(peer)` is called for each new one.
    """

    def __init__(self, upgrade, on_connect, make_peer):
        self.peers = []
        self._make_peer = make_peer
        self._upgrade = upgrade
        self._on_connect = on_connect
        self._accepted = 0

    def accept(self):
        """Return the next Peer; AssertionError where no further client has connected by now."""
        if self._accepted == len(self.peers):
            raise AssertionError("no client has connected (let time pass first: board.advance, or poll the client)")
        self._accepted += 1
        return self.peers[self._accepted - 1]

    def connected(self, clock, connection):
        """A SYN came: make the peer."""
        peer = self._make_peer(clock, connection, self._upgrade)
        connection.peer = peer
        self.peers.append(peer)
        if self._on_connect:
            self._on_connect(peer)


class Peer:
    """The server's end of one connection.

    `segments` has (ms, size) of each TCP segment that came, `log` has (ms, event) of "connected", "fin sent",
    "fin received", "rst sent" and "rst received", in order. `on_data(peer)` is called for each segment.
    """

    def __init__(self, clock, connection, upgrade=False):
        self.segments = []
        self.log = [(clock.now, "connected")]
        self.on_data = None
        self._clock = clock
        self._connection = connection
        self._upgrade = upgrade
        self._upgraded = False
        self._received = bytearray()
        self._frames = []
        self._unparsed = None  # a copy of what follows the frames
        self._ready_ms = 0

    # What came

    def received(self):
        """Return all bytes that came so far."""
        return bytes(self._received)

    def request(self):
        """Return the upgrade Request; AssertionError while it is not complete."""
        head, end, _ = bytes(self._received).partition(b"\r\n\r\n")
        if not end:
            raise AssertionError(f"no complete request yet: {bytes(self._received)!r}")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = [line.partition(":") for line in lines]
        return Request(method, target, [(name, value.strip()) for name, _, value in pairs])

    def frames(self):
        """Return all complete frames after the request, unmasked: servers.wire.ClientFrame."""
        if self._unparsed is None:
            self.request()
            self._unparsed = self._received.partition(b"\r\n\r\n")[2]
        while found := wire.parse(self._unparsed):
            self._frames.append(found[0])
            del self._unparsed[: found[1]]
        return list(self._frames)

    def logged(self):
        """Return the events of `log` without their times."""
        return [event for _, event in self.log]

    # What it does

    def send(self, data, after_ms=0):
        """Send bytes, in `after_ms`; what is sent later comes later."""
        self._later(after_ms, lambda: self._connection.transmit(bytes(data)))

    def frame(self, opcode, payload=b"", after_ms=0, **more):
        """Send a frame; a str payload as UTF-8; `more` as servers.wire.frame takes it, rules broken on purpose too."""
        payload = payload.encode() if isinstance(payload, str) else bytes(payload)
        self.send(wire.frame(opcode, payload, **more), after_ms)

    def close_frame(self, code=1000, reason="", after_ms=0):
        """Send a Close frame."""
        self.frame(wire.CLOSE, wire.close_payload(code, reason), after_ms)

    def upgrade(self, headers=(), extra=b"", after_ms=0):
        """Answer the request by a right 101 with further (name, value) headers, `extra` bytes in the same segment.

        Returns the Request.
        """
        request = self.request()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {wire.accept_value(request.header('Sec-WebSocket-Key'))}",
        ]
        lines += [f"{name}: {value}" for name, value in headers]
        self.send("\r\n".join([*lines, "", ""]).encode() + extra, after_ms)
        self._upgraded = True
        return request

    def fin(self, after_ms=0):
        """Send FIN and go on reading."""
        self._later(after_ms, self._send_fin)

    def close(self, after_ms=0):
        """Send FIN; data that comes later is answered by RST."""
        self._later(after_ms, lambda: (self._send_fin(), self._connection.leave()))

    def reset(self, after_ms=0):
        """Send RST."""
        self._later(after_ms, self._send_rst)

    def stop_reading(self):
        """Close the receive window: the board's send buffer fills."""
        self._connection.hold()

    def resume_reading(self):
        """Open the receive window again."""
        self._connection.resume()

    def vanish(self):
        """Lose every packet from now on, in both directions, without a word."""
        self._connection.vanish()

    # The wire's side

    def segment(self, data):
        """A segment came."""
        self.segments.append((self._clock.now, len(data)))
        self._received += data
        if self._unparsed is not None:
            self._unparsed += data
        if self._upgrade and not self._upgraded and b"\r\n\r\n" in self._received:
            self.upgrade()
        if self.on_data:
            self.on_data(self)

    def fin_came(self):
        """FIN came."""
        self._note("fin received")

    def rst_came(self):
        """RST came."""
        self._note("rst received")

    # Inside

    def _later(self, after_ms, call):
        self._ready_ms = max(self._ready_ms, self._clock.now + after_ms)
        if self._ready_ms == self._clock.now:
            call()
        else:
            self._clock.after(self._ready_ms - self._clock.now, call)

    def _note(self, event):
        self.log.append((self._clock.now, event))

    def _send_fin(self):
        self._note("fin sent")
        self._connection.transmit(None)

    def _send_rst(self):
        self._note("rst sent")
        self._connection.abort()
