"""A raw loopback TCP server that follows a script for each connection and may break every rule.

The path of the URL picks the script: `ws://127.0.0.1:PORT/<name>`. A query tells apart the runs of
the same script; `record(target)` then returns what that client sent and how TCP ended.
"""

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from . import wire
from .steps import Gone

_CONNECTION_S = 60  # no connection lives longer; a busy machine needs a part of it
_CLOSING_S = 20  # nor waits longer for the client after its script
_REQUEST_MAX = 16384


@dataclass
class Record:
    """What one client sent, and how its connection ended.

    `first` tells who ended TCP first, "client" or "server"; `ending` how: the client's "fin" or "rst", the server's
    own "reset", None where the client had not when the server stopped waiting. `trouble` says why a script could not
    go on.
    """

    request_line: str = ""
    headers: list = field(default_factory=list)
    frames: list = field(default_factory=list)
    close_sent: bool = False
    first: str | None = None
    ending: str | None = None
    trouble: str | None = None
    finished: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def target(self) -> str:
        """The request's target: path and query."""
        return self.request_line.split(" ")[1] if self.request_line.count(" ") == 2 else ""

    def header(self, name: str) -> str | None:
        """Return the value of the first header of that name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def payloads(self, opcode: int) -> list:
        """Return the payloads of all frames of that opcode."""
        return [came.payload for came in self.frames if came.opcode == opcode]

    @property
    def close_code(self) -> int | None:
        """The code of the client's first Close frame, 1005 for an empty one, None where none came."""
        return next((came.close_code for came in self.frames if came.opcode == wire.CLOSE), None)


class Connection:
    """One client: what the steps of a script work on."""

    def __init__(self, sock):
        self.record = Record()
        self._sock = sock
        self._buffer = bytearray()
        self._deadline = time.monotonic() + _CONNECTION_S
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def time_left(self):
        """Return the seconds that this connection may still take, 0 when they are over."""
        return max(0, self._deadline - time.monotonic())

    def read_request(self):
        """Read the upgrade request into the record."""
        while b"\r\n\r\n" not in self._buffer and len(self._buffer) < _REQUEST_MAX:
            self._read(self.time_left())
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer[:] = rest
        self.record.request_line, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines]
        self.record.headers = [(name, value.strip()) for name, _, value in pairs]

    def send(self, data, patience=None):
        """Send bytes. With `patience`, in seconds: read meanwhile, but only when nothing was taken for so long."""
        view = memoryview(data)
        while view:
            self._sock.settimeout(patience or max(0.001, self.time_left()))
            try:
                sent = self._sock.send(view)
            except TimeoutError:
                if not patience or not self.time_left():
                    raise Gone from None
                self._read(0.01)
                self._take_frames()
            except OSError as error:
                self._ended(error)
            else:
                view = view[sent:]

    def next_frame(self):
        """Return the client's next frame, which then is on the record."""
        while True:
            frame = self._take_frame()
            if frame:
                return frame
            if not self.time_left():
                self.record.trouble = "the client sent no further frame"
                raise Gone
            self._read(self.time_left())

    def wait_for(self, opcode):
        """Return the client's next frame of that opcode; a Close that comes instead is answered."""
        while True:
            came = self.next_frame()
            if came.opcode == opcode:
                return came
            if came.opcode == wire.CLOSE:
                self.answer_close(came)
                raise Gone

    def answer_close(self, came):
        """Echo a Close frame, unless the script has sent one, and end TCP."""
        if not self.record.close_sent:
            self.send(wire.frame(wire.CLOSE, came.payload[:2]))
        self.fin()

    def listen(self, seconds):
        """Read for so long; the frames that come are on the record."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._read(left)
            self._take_frames()

    def fin(self):
        """Send FIN; reading goes on."""
        self._first("server")
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._ended(error)

    def reset(self):
        """Send RST."""
        self._first("server")
        self.record.ending = "reset"
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        raise Gone

    def finish(self):
        """Behave as a good server from here on: read until the client's Close, answer it, then wait for its FIN."""
        if self._sock.fileno() < 0:
            return
        self._deadline = min(self._deadline, time.monotonic() + _CLOSING_S)
        with contextlib.suppress(Gone):
            if self.record.first is None:
                came = next((frame for frame in self.record.frames if frame.opcode == wire.CLOSE), None)
                self.answer_close(came or self.wait_for(wire.CLOSE))
        with contextlib.suppress(Gone):
            while self.record.ending is None and self.time_left():
                self._read(self.time_left())
                self._take_frames()
        self._sock.close()

    def _take_frame(self):
        parsed = wire.parse(self._buffer)
        if parsed:
            frame, size = parsed
            del self._buffer[:size]
            self.record.frames.append(frame)
            return frame

    def _take_frames(self):
        while self._take_frame():
            pass

    def _read(self, seconds):
        self._sock.settimeout(max(0.001, seconds))
        try:
            data = self._sock.recv(1 << 18)
        except TimeoutError:
            return
        except OSError as error:
            self._ended(error)
        if not data:
            self._ended()
        self._buffer += data

    def _first(self, who):
        self.record.first = self.record.first or who

    def _ended(self, error=None):
        self._first("client")
        self.record.ending = self.record.ending or ("rst" if error else "fin")
        raise Gone from error


class RawServer:
    """Serves scripts on a loopback port; a context manager.

    `scripts` maps the first segment of the path to a sequence of steps. Other URLs: `closed_port` refuses
    connections, `full_port` never answers them. `port`: to listen on, 0 for any.
    """

    def __init__(self, scripts, port=0):
        self._scripts = scripts
        self._records = {}
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self._closed = socket.socket()
        self._closed.bind(("127.0.0.1", 0))
        self._full = socket.create_server(("127.0.0.1", 0), backlog=0)
        self._fillers = [self._filler() for _ in range(4)]
        self.port = self._listener.getsockname()[1]
        self.closed_port = self._closed.getsockname()[1]
        self.full_port = self._full.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        # Closing alone does not wake a thread that waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        for sock in (self._listener, self._closed, self._full, *self._fillers):
            sock.close()

    def url(self, target):
        """Return the URL of a script, with its query."""
        return f"ws://127.0.0.1:{self.port}/{target}"

    def record(self, target, timeout_s=5):
        """Return the record of the latest finished connection to `/target`, None where none came in time."""
        target = "/" + target
        with self._changed:
            self._changed.wait_for(lambda: target in self._records, timeout_s)
            found = self._records.get(target)
        if found:
            found.finished.wait(_CONNECTION_S + _CLOSING_S)
        return found

    def _script(self, record):
        """Return the steps for the client whose request is in the record."""
        return self._scripts.get(record.target.lstrip("/").partition("?")[0], ())

    def _filler(self):
        """Return a socket that takes up a place of the full port's backlog."""
        sock = socket.socket()
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect(self._full.getsockname())
        return sock

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _connection(self, sock):
        """Return the Connection of an accepted socket, None where it is over already."""
        return Connection(sock)

    def _serve(self, sock):
        connection = self._connection(sock)
        if not connection:
            return
        record = connection.record
        try:
            connection.read_request()
            with self._changed:
                self._records[record.target] = record
                self._changed.notify_all()
            for step in self._script(record):
                step.run(connection)
        except Gone:
            pass
        except Exception as error:  # a fault of the script must reach the test that reads the record
            record.trouble = repr(error)
        finally:
            connection.finish()
            record.finished.set()
