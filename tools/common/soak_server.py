"""The server of `make soak`: sends back what comes, and ends every connection in another way, as its seed says."""

import contextlib
import itertools
import random
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

SABOTAGES = ("loss", "corruption")  # what the server can be told to do to messages

_CONNECTION_S = 10  # no connection lives longer
_MESSAGES_MAX = 300  # of a connection
_SLOW_MESSAGES_MAX = 8
_SLOW_CHUNK = 200
_PING_EVERY = 10  # messages
_SABOTAGE_EVERY = 50  # messages
_CLOSE_CODES = (1000, 1001, 1011, 1013, 3000, 4999)
_ABSENCE_S = 0.3
_ABSENT_AFTER = 0.1  # of all connections


@dataclass(frozen=True)
class Ending:
    """What must come of a connection: the client's status and Close code; how often it is drawn, relatively.

    `loses`: messages that were sent back may be lost on the way.
    """

    status: int
    code: int | None = None
    weight: int = 1
    loses: bool = False


ENDINGS = {
    "close": Ending(-6, None, 4),  # the code is drawn, too
    "user": Ending(0, 1000, 4),
    "slow": Ending(0, 1000, 2),
    "fin": Ending(-99, None, 2),
    "reset": Ending(-109, None, 2, loses=True),
    "stall": Ending(-19, 1001),
    "huge": Ending(-8, 1009),
    "opcode": Ending(-202, 1002),
    "text": Ending(-207, 1007),
    "refused": Ending(-111),
    "unanswered": Ending(-18),
    "not-upgraded": Ending(-7),
    "not-found": Ending(-17),
}
ABSENT = Ending(-111)  # while nobody listens

_BYTES = {
    "user": Frame(Opcode.PONG, b"close").serialize(mask=False),  # asks the program to close
    "slow": Frame(Opcode.PONG, b"close").serialize(mask=False),
    "huge": b"\x82\x7f" + struct.pack(">Q", 1 << 40),
    "opcode": b"\x83\x00",
    "text": Frame(Opcode.TEXT, b"\xc0\x80").serialize(mask=False),
}


@dataclass
class Seen:
    """One attempt as the server saw it: the ending, messages sent back, the Close code to expect, the one that came."""

    ending: Ending
    echoed: int = 0
    code: int | None = None
    heard: int | None = None
    finished: threading.Event = field(default_factory=threading.Event, repr=False)


class _Gone(Exception):
    """The client has ended the connection."""


class _Peer:
    """One connection."""

    def __init__(self, sock, chance, sabotage):
        self._name = self.seen = None
        self._sock = sock
        self._chance = chance
        self._sabotage = sabotage
        self._protocol = ServerProtocol(max_size=None)
        self._end = time.monotonic() + _CONNECTION_S
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self):
        """Read the upgrade request, draw the ending, and return the request; `seen` is there from then on."""
        while not (events := self._receive()):
            pass
        # What comes in pieces may be of any size.
        endings = {name: it for name, it in ENDINGS.items() if name != "huge" or "X-Pieces" not in events[0].headers}
        self._name = self._chance.choices(list(endings), [ending.weight for ending in endings.values()])[0]
        self.seen = Seen(ENDINGS[self._name], code=ENDINGS[self._name].code)
        return events[0]

    def converse(self, request):
        """Answer the request, send messages back, and end the connection in its way."""
        opens = self._answer(request)
        if opens:
            slow = self._name == "slow"
            self._echo(self._chance.randrange(_SLOW_MESSAGES_MAX if slow else _MESSAGES_MAX), slow)
            self._finish()
        while True:  # until the client closes
            for frame in self._receive():
                self._note(frame)
            if self._name != "stall" or self.seen.heard:
                self._flush()

    def _answer(self, request):
        """Answer the upgrade request in the ending's way; return whether the connection is open then."""
        if self._name == "refused":
            self._reset()
        if self._name == "unanswered":
            return False
        if self._name == "not-found":
            response = self._protocol.reject(404, "nothing here\n")
        else:
            response = self._protocol.accept(request)
            if self._name == "not-upgraded":
                del response.headers["Sec-WebSocket-Accept"]
        self._protocol.send_response(response)
        self._flush()
        return self.seen.ending.status not in (-7, -17)

    def _echo(self, count, slow):
        """Send back so many messages."""
        while self.seen.echoed < count:
            for frame in self._receive():
                self._note(frame)
                if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) and self.seen.echoed < count:
                    self._send(self._changed(frame), slow)
                    self.seen.echoed += frame.fin
                    if frame.fin and self.seen.echoed % _PING_EVERY == 0:
                        self._protocol.send_ping(b"ping")
            self._flush()

    def _changed(self, frame):
        """Return the bytes that go back for a frame."""
        data = frame.data
        if frame.fin and self.seen.echoed % _SABOTAGE_EVERY == _SABOTAGE_EVERY - 1:
            if self._sabotage == "loss":
                return b""
            if self._sabotage == "corruption":
                data = data[:-1] + b"?"
        return Frame(frame.opcode, data, frame.fin).serialize(mask=False)

    def _finish(self):
        if self._name == "close":
            self.seen.code = self._chance.choice(_CLOSE_CODES)
            self._protocol.send_close(self.seen.code, "as drawn")
            self._flush()
        elif self._name == "fin":
            self._sock.shutdown(socket.SHUT_WR)
        elif self._name == "reset":
            self._reset()
        else:
            self._sock.sendall(_BYTES.get(self._name, b""))

    def _receive(self):
        """Wait for bytes and return the events in them."""
        ready, _, _ = select.select([self._sock], [], [], max(0, self._end - time.monotonic()))
        data = self._sock.recv(1 << 16) if ready else b""
        if not data:
            raise _Gone
        self._protocol.receive_data(data)
        return self._protocol.events_received()

    def _note(self, frame):
        if frame.opcode is Opcode.CLOSE:
            self.seen.heard = struct.unpack_from(">H", frame.data)[0] if frame.data else 1005

    def _send(self, data, slow):
        step = _SLOW_CHUNK if slow else len(data)
        for start in range(0, len(data), step or 1):
            self._sock.sendall(data[start : start + step])
            if slow:
                time.sleep(self._chance.uniform(0, 0.01))

    def _flush(self):
        """Send what the protocol has to say: the reply, pings, pongs, Close, the end of TCP."""
        for data in self._protocol.data_to_send():
            if data:
                self._sock.sendall(data)
            else:
                self._sock.shutdown(socket.SHUT_WR)

    def _reset(self):
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _Gone


class SoakServer:
    """Serves one client on a loopback port, one connection after the other; a context manager.

    `seed` decides everything that it does; `sabotage` is one of SABOTAGES, or anything else for none.
    """

    def __init__(self, seed, sabotage=None):
        self._seed = seed
        self._sabotage = sabotage
        self._seen = {}
        self._stopped = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = "ws://{}:{}/".format(*self._address)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped = True
        self._thread.join(_CONNECTION_S + 2)

    def take(self, attempt):
        """Return what was seen of an attempt, once; of one that never came here, what must come of that."""
        seen = self._seen.pop(attempt, None)
        if seen:
            seen.finished.wait(_CONNECTION_S)
        return seen or Seen(ABSENT)

    def _serve(self):
        for number in itertools.count():
            chance = random.Random(f"{self._seed}/{number}")
            sock = self._accept()
            if sock is None:
                break
            with sock:
                self._play(_Peer(sock, chance, self._sabotage))
            if chance.random() < _ABSENT_AFTER:
                self._listener.close()
                time.sleep(_ABSENCE_S)
                self._listener = socket.create_server(self._address)
        self._listener.close()

    def _accept(self):
        while not self._stopped:
            ready, _, _ = select.select([self._listener], [], [], 0.1)
            if ready:
                return self._listener.accept()[0]
        return None

    def _play(self, peer):
        with contextlib.suppress(_Gone, OSError, ProtocolError):
            request = peer.request()
            self._seen[int(request.headers["X-Attempt"])] = peer.seen
            peer.converse(request)
        if peer.seen:
            peer.seen.finished.set()
