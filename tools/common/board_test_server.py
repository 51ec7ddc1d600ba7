"""The servers of `make board-test`: one that echoes, one that misbehaves, a plain TCP one, and a port that refuses.

The misbehaving one does as the path of the URL says:

    /silent   opens, and answers nothing more
    /vanish   ends TCP without a Close frame after the first message
    /reset    resets TCP after the first message
    /drop     like /vanish for every other connection, else sends messages back
    /close    waits for the client's Close frame, which `Servers.heard` then holds
    /news     sends messages back, and what `Servers.tell()` says

The plain one reads a line first: `echo`, `sink BYTES` (answers "done" when it has them) or `source BYTES`.
"""

import contextlib
import queue
import socket
import socketserver
import struct
import threading

from websockets.exceptions import ProtocolError
from websockets.frames import Opcode
from websockets.server import ServerProtocol

from common import echo_server

_CONNECTION_S = 60  # the longest silence of a board
_LOOK_S = 0.05


class _Gone(Exception):
    """The connection has ended."""


class _Misbehaving(socketserver.BaseRequestHandler):
    """One connection of the misbehaving server."""

    def handle(self):
        self.request.settimeout(_CONNECTION_S)
        self._protocol = ServerProtocol()
        with contextlib.suppress(_Gone, OSError, ProtocolError):
            while not (events := self._receive()):
                pass
            self._protocol.send_response(self._protocol.accept(events[0]))
            self._flush()
            {
                "/silent": self._silent,
                "/vanish": self._first_message,
                "/reset": self._reset,
                "/drop": self._drop,
                "/close": self._close,
                "/news": self._news,
            }[events[0].path]()

    def _receive(self):
        """Return the events in what comes next; pings and Close are answered."""
        data = self.request.recv(4096)
        if not data:
            raise _Gone
        self._protocol.receive_data(data)
        self._flush()
        return self._protocol.events_received()

    def _flush(self):
        for data in self._protocol.data_to_send():
            if data:
                self.request.sendall(data)
            else:
                self.request.shutdown(socket.SHUT_WR)

    def _silent(self):
        while self.request.recv(4096):
            pass

    def _first_message(self):
        while not any(frame.opcode is Opcode.TEXT for frame in self._receive()):
            pass

    def _reset(self):
        self._first_message()
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.request.close()  # before the base class says goodbye

    def _drop(self):
        self.server.dropped = not self.server.dropped
        if self.server.dropped:
            self._first_message()
        else:
            self._echo()

    def _close(self):
        try:
            while True:
                self._receive()
        finally:
            close = self._protocol.close_rcvd
            self.server.heard.put((close.code, close.reason) if close else None)

    def _echo(self):
        while True:
            self._send_back(self._receive())

    def _news(self):
        self.request.settimeout(_LOOK_S)
        while True:
            with contextlib.suppress(TimeoutError):
                self._send_back(self._receive())
            with contextlib.suppress(queue.Empty):
                self._protocol.send_text(self.server.news.get_nowait().encode())
                self._flush()

    def _send_back(self, frames):
        for frame in frames:
            if frame.opcode is Opcode.TEXT:
                self._protocol.send_text(frame.data)
        self._flush()


class _Plain(socketserver.StreamRequestHandler):
    """One connection of the plain TCP server."""

    timeout = _CONNECTION_S

    def handle(self):
        with contextlib.suppress(OSError):
            order, _, size = self.rfile.readline().decode().strip().partition(" ")
            if order == "echo":
                while data := self.rfile.read1(4096):
                    self.wfile.write(data)
            elif order == "sink":
                self.rfile.read(int(size))
                self.wfile.write(b"done")
            elif order == "source":
                self.wfile.write(bytes(int(size)))


class _Server(socketserver.ThreadingTCPServer):
    """A server in a thread of its own; a context manager."""

    daemon_threads = True
    block_on_close = False  # a board may leave connections open

    def __init__(self, host, handler):
        self.heard = queue.Queue()
        self.news = queue.Queue()
        self.dropped = False
        super().__init__((host, 0), handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(_LOOK_S,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self._thread.join()
        self.server_close()

    def get_request(self):
        sock, address = super().get_request()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock, address


class Servers:
    """All of them on one address of this computer; a context manager.

    `echo`, `misbehaving`, `refused`: URLs that end in "/". `plain`: the port of the plain TCP server.
    """

    def __init__(self, host):
        self.host = host
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.echo = stack.enter_context(echo_server.running(self.host))
            self._misbehaving = stack.enter_context(_Server(self.host, _Misbehaving))
            self.misbehaving = self._url(self._misbehaving.socket)
            self.plain = stack.enter_context(_Server(self.host, _Plain)).server_address[1]
            taken = stack.enter_context(socket.socket())
            taken.bind((self.host, 0))  # so that nobody can listen there
            self.refused = self._url(taken)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _url(self, sock):
        return "ws://{}:{}/".format(*sock.getsockname())

    def heard(self, seconds):
        """Return the code and the reason of the Close frame that came to /close; None where none came."""
        with contextlib.suppress(queue.Empty):
            return self._misbehaving.heard.get(timeout=seconds)

    def tell(self, text):
        """Have the connection to /news send a message."""
        self._misbehaving.news.put(text)
