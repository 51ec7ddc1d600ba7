"""Clients on CPython for the probe server: one that does everything right, one that does nothing right.

`GoodClient(probe).start` and `BadClient(probe).start` are what `probe_server.examine()` starts a program with.
"""

import base64
import os
import socket
import threading
import time
from contextlib import suppress

from common import probe_server
from servers import wire

_LIMIT_S = 0.2  # instead of probe_server.LIMIT_S: nobody waits longer than needed
_LONGEST = 1 << 20


class _Refused(Exception):
    """The server has broken the protocol; the code to close with, None for a reply that does not upgrade."""


class _Client:
    def __init__(self, probe):
        self._mode = probe.mode
        self._limited = probe.limited
        self._printed = ""
        self._sock = None
        self._buffer = bytearray()

    def start(self, port):
        """Connect and play in a thread; return what waits for its end and gives what it printed."""
        self._sock = socket.create_connection(("127.0.0.1", port))
        thread = threading.Thread(target=self._run, args=(port,), daemon=True)
        thread.start()

        def finish():
            thread.join(10)
            return self._printed

        return finish

    def _run(self, port):
        with suppress(OSError), self._sock:
            self._play(port)

    def _play(self, port):
        raise NotImplementedError

    def _send(self, opcode, payload=b"", key=b"same"):
        self._sock.sendall(wire.frame(opcode, payload, key=key))

    def _fill(self):
        data = self._sock.recv(1 << 16)
        if not data:
            raise ConnectionError
        self._buffer += data

    def _request(self, host, key):
        self._sock.sendall(
            f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )


class GoodClient(_Client):
    """Checks everything, answers everything, and gives up in time."""

    def _play(self, port):
        key = base64.b64encode(os.urandom(16)).decode()
        self._request(f"127.0.0.1:{port}", key)
        try:
            self._upgrade(key)
            self._messages()
        except _Refused as refused:
            code = refused.args[0]
            if code:
                self._send(wire.CLOSE, wire.close_payload(code), os.urandom(4))

    def _upgrade(self, key):
        deadline = time.monotonic() + _LIMIT_S
        while b"\r\n\r\n" not in self._buffer:
            if self._limited:
                self._sock.settimeout(max(0.01, deadline - time.monotonic()))
                if time.monotonic() > deadline:
                    raise TimeoutError
            self._fill()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        right = (
            headers.get("upgrade") == "websocket"
            and headers.get("sec-websocket-accept") == wire.accept_value(key).lower()
            and "sec-websocket-extensions" not in headers
        )
        if not right:
            raise _Refused(None)

    def _frame(self):
        """Return the next frame, checked as far as one frame can be."""
        idle = 0
        while (found := wire.parse(self._buffer)) is None:
            self._check_head()
            self._sock.settimeout(_LIMIT_S if self._limited else None)
            try:
                self._fill()
            except TimeoutError:
                idle += 1
                if idle > 2:
                    raise
                self._send(wire.PING, b"", os.urandom(4))
        self._check_head()
        del self._buffer[: found[1]]
        if found[0].key is not None or not found[0].shortest:
            raise _Refused(1002)
        return found[0]

    def _check_head(self):
        if len(self._buffer) < 2:
            return
        opcode, fin, length = self._buffer[0] & 15, self._buffer[0] & 0x80, self._buffer[1] & 0x7F
        if self._buffer[0] & 0x70 or opcode not in (0, 1, 2, 8, 9, 10) or (opcode >= 8 and (not fin or length > 125)):
            raise _Refused(1002)
        if length == 127 and len(self._buffer) >= 10 and int.from_bytes(self._buffer[2:10], "big") > _LONGEST:
            raise _Refused(1009)
        if length == 126 and len(self._buffer) >= 4 and int.from_bytes(self._buffer[2:4], "big") < 126:
            raise _Refused(1002)

    def _messages(self):
        kind, parts = None, b""
        while True:
            frame = self._frame()
            if frame.opcode == wire.PING:
                self._send(wire.PONG, frame.payload, os.urandom(4))
            elif frame.opcode == wire.CLOSE:
                self._answer_close(frame)
                return
            elif frame.opcode != wire.PONG:
                if (frame.opcode == wire.CONTINUATION) != (kind is not None):
                    raise _Refused(1002)
                kind, parts = kind or frame.opcode, parts + frame.payload
                if frame.fin:
                    self._take("text" if kind == wire.TEXT else "binary", parts)
                    kind, parts = None, b""

    def _answer_close(self, frame):
        if len(frame.payload) == 1 or frame.close_code in (1004, 1005, 1006) and frame.payload:
            raise _Refused(1002)
        self._printed = f"ended: {frame.close_code}"
        self._send(wire.CLOSE, frame.payload, os.urandom(4))

    def _take(self, kind, data):
        if kind == "text":
            try:
                data.decode()
            except UnicodeDecodeError:
                raise _Refused(1007) from None
        if self._mode == "close":
            self._send(wire.CLOSE, wire.close_payload(1000), os.urandom(4))
        elif self._mode == "flood":
            while True:
                self._send(wire.BINARY, bytes(1 << 20), b"\0\0\0\0")
        else:
            self._send(wire.BINARY, probe_server.answer(kind, data), os.urandom(4))


class BadClient(_Client):
    """Checks nothing, joins nothing, drops what is empty, answers no control frame, and waits for ever."""

    def _play(self, port):
        self._request("localhost", "key")
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        del self._buffer[: self._buffer.index(b"\r\n\r\n") + 4]
        while True:
            while (found := wire.parse(self._buffer)) is None:
                self._fill()
            frame, size = found
            del self._buffer[:size]
            if self._mode == "flood":
                while True:
                    self._send(wire.BINARY, bytes(1 << 20), b"\0\0\0\0")
            if frame.payload and frame.opcode < 8 and self._mode == "answer":
                kind = "binary" if frame.opcode == wire.BINARY else "text"
                self._send(wire.BINARY, probe_server.answer(kind, frame.payload))
