"""A WebSocket server on loopback for the tests of device programs: it echoes, or misbehaves as it is told."""

import contextlib
import socket
import threading
from collections import deque

from uwebsocket_host.servers import raw, steps, wire

_ECHO = (steps.Reply(), steps.Echo())


class _RawServer(raw.RawServer):
    """One run of a Server, from start() to stop()."""

    def __init__(self, owner, port):
        super().__init__({}, port)
        self._owner = owner
        self._sockets = []

    def end_connections(self):
        """End every connection, as when a server's process ends."""
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _connection(self, sock):
        self._sockets.append(sock)
        return super()._connection(sock)

    def _script(self, record):
        return self._owner._script_for(record)


class Server:
    """Echoes every message, unless `play()` or `play_once()` said otherwise; a context manager.

    `url`: where it is, the same after a restart. `records`: of each connection in order, see `servers.raw.Record`.
    """

    def __init__(self):
        self.records = []
        self._always = _ECHO
        self._once = deque()
        self._lock = threading.Lock()
        self._running = None
        self._port = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        """Return the URL of its root; any path below it is served alike."""
        return f"ws://127.0.0.1:{self._port}/"

    @property
    def messages(self):
        """Return what its clients have sent, in the order of their connections: `str` for text, bytes for binary."""
        with self._lock:
            return [message for record in self.records for message in _messages(record.frames[:])]

    def play(self, *script):
        """Do these steps (`servers.steps`) with each further connection; without any echo again."""
        with self._lock:
            self._always = script or _ECHO

    def play_once(self, *script):
        """Do these steps with the next connection only; called again, with the one after that."""
        with self._lock:
            self._once.append(script)

    def start(self):
        """Begin to listen, on the port of before."""
        if not self._running:
            self._running = _RawServer(self, self._port).__enter__()
            self._port = self._running.port

    def stop(self):
        """End all connections, and listen no more; a client that connects now is refused."""
        if self._running:
            self._running.__exit__()
            self._running.end_connections()
            self._running = None

    def restart(self):
        """Stop and start."""
        self.stop()
        self.start()

    def _script_for(self, record):
        with self._lock:
            self.records.append(record)
            return self._once.popleft() if self._once else self._always


def _messages(frames):
    """Put the fragments of a connection's messages together."""
    opcode, payload = None, b""
    for frame in frames:
        if frame.opcode not in (wire.CONTINUATION, wire.TEXT, wire.BINARY):
            continue
        opcode = frame.opcode or opcode
        payload += frame.payload
        if frame.fin:
            yield payload.decode() if opcode == wire.TEXT else payload
            payload = b""
