"""Talks to a real server, case by case; on any interpreter.

    peers_program.py URL KIND CA CASE...

KIND says what the server is: "echo" does what tools/common/echo_server.py does, "mirror" is libwebsockets' test server,
"mqtt" a broker. CA is the file of the CA's certificate for wss, "" without. Prints one line of JSON for each case:
{"case": name, "told": "yes" or what went wrong}.
"""

import json
import sys

import utime
import uwebsocket_client as websocket

STEP_MS = 10000
KIB = 1024
TEXT = "gr\u00fc\u00df dich \u4e2d\u6587 \U0001f40d"
MIRROR = "lws-mirror-protocol"
COUNTER = "dumb-increment-protocol"


class Failed(Exception):
    """A case went wrong; the text says how."""


class Session:
    """The client, and what came."""

    def __init__(self, url, ca):
        self.url = url
        self.ws = ws = websocket.createClient()
        if ca:
            ws.config({"tls": {"ca": ca, "server_hostname": "localhost"}})
        ws.on("connection", lambda ws: self.came.append("connection"))
        ws.on("receive", lambda ws, message, opcode: self.messages.append(message))
        ws.on("pong", lambda ws, payload: self.pongs.append(bytes(payload)))
        ws.on("close", lambda ws, status: self.statuses.append(status))

    def open(self, path="", protocols=()):
        """Connect; end the connection of the case before first."""
        self.came, self.messages, self.pongs, self.statuses = [], [], [], []
        self.ws.config({"protocols": protocols})
        self.ws.connect(self.url + path)
        self.wait(self.came, "connection")
        return self.ws

    def wait(self, events, what, count=1):
        """Poll until so many events have come; return the last one."""
        until = utime.ticks_add(utime.ticks_ms(), STEP_MS)
        while len(events) < count:
            alive = self.ws.poll(100)
            if len(events) < count and (not alive or utime.ticks_diff(until, utime.ticks_ms()) < 0):
                raise Failed(f"no {what} came, status {self.statuses}")
        return events[-1]

    def expect(self, wanted, what="message"):
        """Take the next message, which must be this one."""
        self.wait(self.messages, what)
        message = self.messages.pop(0)
        if message != wanted or isinstance(message, str) != isinstance(wanted, str):
            raise Failed(f"another {what} came: {message[:40]}")

    def expect_all(self, wanted, what="message"):
        """Take messages until they are as long as `wanted`, which all together they must be."""
        whole = wanted[:0]
        while len(whole) < len(wanted):
            self.wait(self.messages, what)
            whole += self.messages.pop(0)
        if whole != wanted:
            raise Failed(f"another {what} came")

    def close(self, code=1000, reason=""):
        """Close; the status must be 0, however long the server takes."""
        self.ws.close(code, reason)
        self.expect_status(0)

    def expect_status(self, wanted):
        """Wait for "close" with this status."""
        status = self.wait(self.statuses, "close")
        if status != wanted:
            raise Failed(f"status {status}, not {wanted}")

    def expect_close(self, code, reason):
        """What the server said must be this."""
        if (self.ws.close_code, self.ws.close_reason) != (code, reason):
            raise Failed(f"the server closed with {self.ws.close_code} {self.ws.close_reason}")

    def leave(self):
        """Be at rest, whatever the case has left."""
        self.ws.close()
        until = utime.ticks_add(utime.ticks_ms(), STEP_MS)
        while self.ws.poll(100) and utime.ticks_diff(until, utime.ticks_ms()) > 0:
            pass


def pattern(size):
    """Return bytes that are no text."""
    return bytes(range(256)) * (size // 256) + bytes(range(size % 256))


def in_fragments(ws, data, opcode, count):
    """Send a message in so many fragments, wherever that cuts its characters."""
    step = len(data) // count
    for i in range(count):
        last = i == count - 1
        ws.send(data[i * step : None if last else (i + 1) * step], 0 if i else opcode, last)


def round_trip(session):
    """Send a ping; its payload must come back."""
    session.ws.send(b"marco", 9)
    if session.wait(session.pongs, "pong") != b"marco":
        raise Failed("the pong has another payload")


# A server that does what tools/common/echo_server.py does


def echo_text(session):
    """Text, the empty one too, comes back as it is."""
    ws = session.open()
    for message in (TEXT, "", TEXT * 20):
        ws.send(message)
        session.expect(message)
    session.close()


def echo_binary(session):
    """Binary messages, the empty one too, come back as they are."""
    ws = session.open()
    for size in (100, 0, 300):
        ws.send(pattern(size))
        session.expect(pattern(size))
    session.close()


def echo_fragments_out(session):
    """Messages that are sent in fragments, a ping between them, come back whole."""
    ws = session.open()
    in_fragments(ws, (TEXT * 10).encode(), websocket.TEXT, 7)
    session.expect(TEXT * 10)
    ws.send(b"one ", websocket.BINARY, False)
    round_trip(session)
    ws.send(b"two", 0, True)
    session.expect(b"one two")
    session.close()


def echo_fragments_in(session):
    """Messages that come in fragments are told whole."""
    ws = session.open("fragments?size=1000")
    for message in (pattern(10500), "x" * 2500):
        ws.send(message)
        session.expect(message)
    session.close()


def echo_large(session, size):
    """A large message of each type comes back as it is."""
    ws = session.open()
    for message in (pattern(size), "0123456789abcdef" * (size // 16)):
        ws.send(message)
        session.expect(message)
    session.close()


def echo_ping_out(session):
    """The server answers a ping."""
    session.open()
    round_trip(session)
    session.close()


def echo_ping_in(session):
    """The server's ping is answered."""
    session.open("ping")
    session.expect("pong")
    session.close()


def echo_close_out(session):
    """The server hears the code and the reason of the client's Close."""
    session.open()
    session.close(4001, "bye")
    session.open("told")
    session.expect("4001 bye")
    session.close()


def echo_close_in(session):
    """The code and the reason of the server's Close are told."""
    ws = session.open("close?code=4002&reason=enough")
    ws.send("close, please")
    session.expect_status(-6)
    session.expect_close(4002, "enough")


def echo_subprotocol(session):
    """The server chooses one of the offered subprotocols; without an offer there is none."""
    for offered, chosen in ((("x", "chat"), "chat"), ((), None)):
        ws = session.open("", offered)
        if ws.protocol != chosen:
            raise Failed(f"the subprotocol is {ws.protocol}")
        session.close()


# libwebsockets' test server: it sends text to all, in pieces of up to 4096 bytes


def mirror_text(session):
    """Text comes back as it is."""
    ws = session.open("", (MIRROR,))
    ws.send(TEXT)
    session.expect(TEXT)
    session.close()


def mirror_fragments_out(session):
    """Messages that are sent in fragments arrive as a whole, each fragment as a message."""
    ws = session.open("", (MIRROR,))
    in_fragments(ws, b"0123456789" * 10, websocket.TEXT, 3)
    session.expect_all("0123456789" * 10)
    session.close()


def mirror_large(session, size):
    """A large message comes back in pieces."""
    ws = session.open("", (MIRROR,))
    message = "0123456789abcdef" * (size // 16)
    ws.send(message)
    session.expect_all(message)
    session.close()


def mirror_ping_out(session):
    """The server answers a ping."""
    session.open("", (MIRROR,))
    round_trip(session)
    session.close()


def mirror_close_out(session):
    """The server echoes the code and the reason of the client's Close."""
    session.open("", (MIRROR,))
    session.close(4001, "bye")
    session.expect_close(4001, "bye")


def mirror_close_in(session):
    """The code and the reason of the server's Close are told."""
    ws = session.open("", (COUNTER,))
    session.expect("0")
    ws.send("closeme\n")
    session.expect_status(-6)
    session.expect_close(1001, "seeya")


def mirror_subprotocol(session):
    """The server chooses one of the offered subprotocols."""
    ws = session.open("", ("x", MIRROR))
    if ws.protocol != MIRROR:
        raise Failed(f"the subprotocol is {ws.protocol}")
    session.close()


# A broker: MQTT 3.1.1 in binary messages, whose borders mean nothing


def packet(kind, body):
    """Return an MQTT packet."""
    size = len(body)
    length = b""
    while True:
        length += bytes((size % 128 | (128 if size > 127 else 0),))
        size //= 128
        if not size:
            return bytes((kind,)) + length + body


CONNECT = packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ws")
CONNACK = b"\x20\x02\x00\x00"
SUBSCRIBE = packet(0x82, b"\x00\x01\x00\x01t\x00")
SUBACK = b"\x90\x03\x00\x01\x00"


def mqtt_open(session):
    """Connect to the broker and subscribe to what this program publishes."""
    ws = session.open("mqtt", ("mqtt",))
    ws.send(CONNECT)
    session.expect_all(CONNACK, "CONNACK")
    ws.send(SUBSCRIBE)
    session.expect_all(SUBACK, "SUBACK")
    return ws


def mqtt_large(session, size):
    """What is published comes back."""
    ws = mqtt_open(session)
    message = packet(0x30, b"\x00\x01t" + pattern(size))
    ws.send(message)
    session.expect_all(message)
    session.close()


def mqtt_binary(session):
    """What is published comes back, small."""
    mqtt_large(session, 100)


def mqtt_fragments_out(session):
    """A packet may come in fragments."""
    ws = mqtt_open(session)
    message = packet(0x30, b"\x00\x01t" + pattern(1000))
    in_fragments(ws, message, websocket.BINARY, 5)
    session.expect_all(message)
    session.close()


def mqtt_ping_out(session):
    """The broker answers a ping, and MQTT's own."""
    ws = mqtt_open(session)
    round_trip(session)
    ws.send(b"\xc0\x00")
    session.expect(b"\xd0\x00", "PINGRESP")
    session.close()


def mqtt_close_out(session):
    """The broker echoes the code and the reason of the client's Close."""
    mqtt_open(session)
    session.close(4001, "bye")
    session.expect_close(4001, "bye")


def mqtt_subprotocol(session):
    """The broker chooses one of the offered subprotocols."""
    ws = session.open("mqtt", ("x", "mqtt"))
    if ws.protocol != "mqtt":
        raise Failed(f"the subprotocol is {ws.protocol}")
    session.close()


SIZES = {"64 KiB": 64 * KIB, "1 MiB": KIB * KIB}


def play(session, kind, case):
    """Play a case; return "yes" or what went wrong."""
    try:
        if case in SIZES:
            globals()[f"{kind}_large"](session, SIZES[case])
        else:
            globals()[f"{kind}_{case.replace(' ', '_')}"](session)
        return "yes"
    except (Failed, OSError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        session.leave()


def main(url, kind, ca, *cases):
    """Play the cases."""
    session = Session(url, ca)
    for case in cases:
        print(json.dumps({"case": case, "told": play(session, kind, case)}))


main(*sys.argv[1:])
