"""Plays a batch of scenarios with one client, one after the other, on any interpreter.

    status_program.py BATCH.json

The batch is a list of jobs: {"name", "url", "config", "calls", "data", "budget_ms", "first"}. `calls` maps a moment
("start", "connection", "receive") to [method, argument, ...] lists; an argument {"pattern": n} stands for n bytes.
Prints one line of JSON for each job, then one with the file descriptors and the heap in use before and after them all.
Jobs marked `first` are played once more before counting begins: what is made once and kept is no leak.
"""

import binascii
import errno
import hashlib
import json
import sys

from usage import descriptors, heap

import utime
import uwebsocket_client as websocket

_DEFAULTS = {
    "protocols": (),
    "connect_timeout_ms": 10000,
    "close_timeout_ms": 5000,
    "send_timeout_ms": 10000,
    "ping_interval_ms": 30000,
    "ping_limit": 2,
    "max_message": None,
}
_POLL_MS = 50
_FLOOD_MESSAGES = 2000
_CHIP_FLOOD = 2048  # bytes of a message


def make(argument):
    """Return the argument of a call that JSON stands for."""
    if not isinstance(argument, dict):
        return argument
    size = argument["pattern"]
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def name_of(number):
    """Return the name of an errno, the number where it has none."""
    for name in ("ETIMEDOUT", "ENOTCONN", "EALREADY"):
        if getattr(errno, name) == number:
            return name
    return number


def hexdigest(digest):
    """Return the first 8 bytes of a hash in hexadecimal."""
    return binascii.hexlify(digest.digest()[:8]).decode()


class Player:
    """One client that plays job after job."""

    def __init__(self):
        self.ws = websocket.createClient()
        self.ws.on("connection", lambda ws: self.connected())
        self.ws.on("close", lambda ws, status: self.closes.append(status))

    def connected(self):
        """Count the connection and make the calls that are due then."""
        self.connections += 1
        self.protocol = self.ws.protocol
        self.call("connection")

    def receive(self, ws, message, opcode):
        """Note a whole message."""
        data = message.encode() if isinstance(message, str) else message
        self.note([opcode, type(message).__name__, len(data), hexdigest(hashlib.sha256(data))])
        self.call("receive")

    def piece(self, ws, chunk, opcode, final):
        """Note a message in pieces once it is complete."""
        if self.stream is None:
            self.stream = hashlib.sha256()
            self.size = 0
        self.stream.update(chunk)
        self.size += len(chunk)
        if final:
            self.note([opcode, "data", self.size, hexdigest(self.stream)])
            self.stream = None

    def note(self, message):
        """Note what came of a message; of the same once more, how often it came in a row."""
        if self.got and self.got[-1][:-1] == message:
            self.got[-1][-1] += 1
        else:
            self.got.append(message + [1])

    def call(self, moment):
        """Make the calls of that moment; what they raise is noted."""
        for name, *arguments in self.job["calls"].get(moment, ()):
            try:
                self.step(name, [make(argument) for argument in arguments])
            except OSError as error:
                self.raised.append(name_of(error.args[0]))  # CPython sets no errno for one argument

    def step(self, name, arguments):
        """Make one call."""
        if name == "sleep_ms":
            utime.sleep_ms(*arguments)
        elif name == "flood":
            message = bytearray(min(arguments[0], _CHIP_FLOOD) if sys.platform == "esp8266" else arguments[0])
            for _ in range(_FLOOD_MESSAGES):
                self.ws.send(message)
        else:
            getattr(self.ws, name)(*arguments)

    def play(self, job):
        """Play a job; return what happened."""
        ws = self.ws
        self.job = job
        self.closes, self.got, self.raised = [], [], []
        self.connections = 0
        self.protocol = self.stream = None
        ws.on("receive", None if job["data"] else self.receive)
        ws.on("data", self.piece if job["data"] else None)
        config = dict(_DEFAULTS)
        config.update(job["config"])
        ws.config(config)
        ws.connect(job["url"])
        self.call("start")
        longest = 0
        started = before = utime.ticks_ms()
        alive = True
        while alive and utime.ticks_diff(before, started) < job["budget_ms"]:
            alive = ws.poll(_POLL_MS)
            now = utime.ticks_ms()
            longest = max(longest, utime.ticks_diff(now, before))
            before = now
        took = utime.ticks_diff(before, started)
        late = [ws.poll() for _ in range(3)]
        result = {
            "name": job["name"],
            "closes": self.closes,
            "got": self.got,
            "raised": self.raised,
            "connections": self.connections,
            "protocol": self.protocol,
            "close_code": ws.close_code,
            "close_reason": ws.close_reason,
            "http_status": ws.http_status,
            "errno": ws.errno,
            "connected": ws.connected,
            "alive": [alive] + late,
            "longest_poll_ms": longest,
            "took_ms": took,
        }
        if alive:  # the next job needs the client at rest
            ws.close()
            while ws.poll(_POLL_MS):
                pass
        return result


def main(batch):
    """Play the jobs of a file."""
    with open(batch) as file:
        jobs = json.load(file)
    player = Player()
    for job in jobs:
        if job["first"]:
            print(json.dumps(player.play(job)))
    # What only some connections and arguments need is loaded, and plain modules keep it from then on.
    player.play(jobs[0])
    for job in jobs:
        if "protocols" in job["config"]:
            player.play(job)
            break
    player.ws.close(4000)
    before = descriptors(), heap()
    for job in jobs:
        print(json.dumps(player.play(job)))
    player.play(jobs[0])
    after = descriptors(), heap()
    print(json.dumps({"name": "", "fds": [before[0], after[0]], "heap": [before[1], after[1]]}))


main(sys.argv[1])
