"""What the speed programs share: a raw socket and a client on the same server, and interleaved rounds."""

import binascii
import os

import usocket
import utime
import uwebsocket_client as websocket

_REQUEST = """\
GET /{} HTTP/1.1\r
Host: {}:{}\r
Upgrade: websocket\r
Connection: Upgrade\r
Sec-WebSocket-Version: 13\r
Sec-WebSocket-Key: {}\r
\r
"""


def pattern(size):
    """Return a message of `size` bytes."""
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def frame(payload):
    """Return a masked binary frame; the key is zero, which leaves the payload as it is."""
    size = len(payload)
    if size < 126:
        head = bytes((0x82, 0x80 | size))
    elif size < 65536:
        head = b"\x82\xfe" + size.to_bytes(2, "big")
    else:
        head = b"\x82\xff" + size.to_bytes(8, "big")
    return head + bytes(4) + payload


def reply_size(size):
    """Return the bytes of the server's frame for a payload of `size` bytes."""
    return size + (2 if size < 126 else 4 if size < 65536 else 10)


def _wrapped(sock):
    import tls

    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_NONE
    return context.wrap_socket(sock)


class Raw:
    """A blocking socket, with `tls` the TLS library's, after the upgrade."""

    def __init__(self, host, port, path, tls=False):
        self.sock = usocket.socket()
        self.sock.connect(usocket.getaddrinfo(host, port)[0][-1])
        self.sock.setsockopt(6, 1, 1)  # TCP_NODELAY
        if tls:
            self.sock = _wrapped(self.sock)
        key = binascii.b2a_base64(os.urandom(16)).decode().strip()
        self.sock.write(_REQUEST.format(path, host, port, key).encode())
        while self.sock.readline() != b"\r\n":
            pass


class Client:
    """A connected client that keeps the last message and counts all bytes."""

    def __init__(self, host, port, path, tls=False):
        self.message = None
        self.count = 0
        self.ws = websocket.createClient()
        self.ws.on("receive", self.receive)
        self.ws.connect("{}://{}:{}/{}".format("wss" if tls else "ws", host, port, path))
        while not self.ws.connected:
            if not self.ws.poll(1000):
                raise RuntimeError("not connected")

    def receive(self, ws, message, opcode):
        """Handle "receive"."""
        self.message = message
        self.count += 1

    def wait(self, count):
        """Poll until `count` messages have come."""
        while self.count < count:
            if not self.ws.poll(1000):
                raise RuntimeError("closed")


def rounds(count, *tasks):
    """Time the tasks one after the other, `count` times over; print a line of microseconds for each round."""
    for task in tasks:  # once to warm up
        task()
    for _ in range(count):
        took = []
        for task in tasks:
            start = utime.ticks_us()
            task()
            took.append(utime.ticks_diff(utime.ticks_us(), start))
        print(*took)
