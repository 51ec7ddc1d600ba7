"""Print how long messages take, by a raw socket and by a client: CLIENT HOST PORT ROUNDS MS SIZE...

A line for each round: what, size, messages and microseconds of the raw socket, messages and microseconds of the client.
Both take turns, on connections to the same server: so many messages that a turn of the client takes about MS
milliseconds, and at least 50 by the raw socket, which a single interruption would spoil otherwise.
The server (tools/common/probe_server.py) sends messages back; after "out n" it answers only the nth; "in n size" asks
for n messages.
"""

import binascii
import os
import sys

import usocket
import utime

_MOST = 200
_LEAST_RAW = 50

_REQUEST = """\
GET / HTTP/1.1\r
Host: {}:{}\r
Upgrade: websocket\r
Connection: Upgrade\r
Sec-WebSocket-Version: 13\r
Sec-WebSocket-Key: {}\r
\r
"""


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


class Raw:
    """A blocking socket after the upgrade."""

    def __init__(self, host, port):
        self.sock = usocket.socket()
        self.sock.connect(usocket.getaddrinfo(host, port)[0][-1])
        self.sock.setsockopt(6, 1, 1)  # TCP_NODELAY
        key = binascii.b2a_base64(os.urandom(16)).decode().strip()
        self.sock.write(_REQUEST.format(host, port, key).encode())
        while self.sock.readline() != b"\r\n":
            pass

    def turn(self, what, message, count):
        """Do what the client does, and return the microseconds."""
        sock = self.sock
        size = len(message)
        reply = bytearray(size + (2 if size < 126 else 4 if size < 65536 else 10))
        out = frame(message)
        if what == "out":
            self.ask("out {}".format(count), b"ok")
        start = utime.ticks_us()
        if what == "echo":
            for _ in range(count):
                sock.write(out)
                sock.readinto(reply)
        elif what == "out":
            for _ in range(count):
                sock.write(out)
            self.expect(str(count).encode())
        else:
            sock.write(frame("in {} {}".format(count, size).encode()))
            for _ in range(count):
                sock.readinto(reply)
        return utime.ticks_diff(utime.ticks_us(), start)

    def ask(self, command, answer):
        """Tell the server what comes."""
        self.sock.write(frame(command.encode()))
        self.expect(answer)

    def expect(self, answer):
        """Take a short message from the server."""
        if self.sock.read(2 + len(answer))[2:] != answer:
            raise RuntimeError("messages were lost")


def turn(what, message, count):
    """Do it with the client, as a part of a session, and return the microseconds."""
    if what == "out":
        yield "out {}".format(count).encode(), 1
    start = utime.ticks_us()
    if what == "echo":
        for _ in range(count):
            if len((yield message, 1)) != len(message):
                raise RuntimeError("another message came back")
    elif what == "out":
        if int((yield message, count)) != count:
            raise RuntimeError("messages were lost")
    else:
        request = "in {} {}".format(count, len(message)).encode()
        for i in range(count):
            if len((yield request, int(i == 0))) != len(message):
                raise RuntimeError("another message came")
    return utime.ticks_diff(utime.ticks_us(), start)


def session(raw, rounds, ms, sizes):
    """Measure everything."""
    for size in sizes:
        for what in ("echo", "out", "in"):
            message = b"x" * size
            raw.turn(what, message, 1)
            yield from turn(what, message, 1)
            took = yield from turn(what, message, 2)
            count = max(1, min(_MOST, ms * 2000 // max(took, 1)))
            for _ in range(rounds):
                count_raw = max(count, _LEAST_RAW)
                took_raw = raw.turn(what, message, count_raw)
                took = yield from turn(what, message, count)
                print(what, size, count_raw, took_raw, count, took)


client, host = sys.argv[1:3]
port, rounds, ms = map(int, sys.argv[3:6])
ended = __import__(client).run(
    "ws://{}:{}/".format(host, port), session(Raw(host, port), rounds, ms, [int(size) for size in sys.argv[6:]])
)
print("ended:", ended)
