"""Lets a callback of micropython.schedule act at the n-th moment of a call.

    schedule_program.py URL CALL ACTION TURN... [wrong:OWNER]

The callback schedules itself again, so that it comes at each moment at which the interpreter can run one. CALL is one
of CALLS, ACTION one of ACTIONS. Turn 0 never comes: it tells how many moments there are. Tells for each turn [moments,
statuses, the path of the far client's connection and those of the near one, what is wrong]; the last is "" or what was
seen. With "wrong:" and the name that `_owner` has in the client as the last argument the near client does not refuse a
send: a fault that must be found.
"""

import errno
import sys

from plain import tell

import utime
import uwebsocket_client as websocket
from micropython import schedule

URL, CALL, ACTION = sys.argv[1:4]
_PATIENCE_MS = 500 if sys.argv[-1].startswith("wrong:") else 5000
SMALL = b"a message of the callback"
LARGE = b"0123456789abcdef" * 1250  # more than one write of each port


class Ticker:
    """The callback: acts once, at the moment `turn`."""

    def __init__(self, turn, act):
        self.count = 0
        self.on = self.pending = False
        self._turn = turn
        self._act = act

    def start(self):
        """Come at each moment from now on."""
        self.on = True
        self._again()

    def _again(self):
        self.pending = True
        schedule(self._tick, 0)

    def _tick(self, _):
        self.pending = False
        if self.on:
            self.count += 1
            if self.count == self._turn:
                self._act()
            self._again()

    def stop(self):
        """Come no more; returns when the last one has come."""
        self.on = False
        while self.pending:
            utime.sleep_ms(0)


class Side:
    """A client, and what became of it. `name`: of its connections on the server."""

    def __init__(self, name):
        self.name = name
        self.paths = []
        self.closes = []
        self.messages = 0
        self.ws = websocket.createClient()
        self.ws.config({"ping_interval_ms": 0, "close_timeout_ms": _PATIENCE_MS})
        self.ws.on("receive", self._received)
        self.ws.on("close", self._closed)

    def _received(self, ws, message, opcode):
        self.messages += 1

    def _closed(self, ws, status):
        self.closes.append(status)

    def connect(self):
        """Connect; the server knows each connection by its path."""
        self.paths.append("echo?{}-{}".format(self.name, len(self.paths)))
        try:
            self.ws.connect(URL + self.paths[-1])
        except OSError:
            self.paths.pop()
            raise

    def until(self, condition):
        """Poll until the condition holds; return whether it did."""
        end = utime.ticks_add(utime.ticks_ms(), _PATIENCE_MS)
        while not condition():
            self.ws.poll(10)
            if utime.ticks_diff(end, utime.ticks_ms()) < 0:
                return False
        return True

    def open(self):
        """Connect, and poll until that has succeeded or failed."""
        self.connect()
        self.until(lambda: self.ws.connected or self.closes)

    def receive(self):
        """Poll until a message has come."""
        self.until(lambda: self.messages or self.closes)

    def close(self):
        """Close, and poll until that is told."""
        self.ws.close()
        self.until(lambda: self.closes)

    def finish(self):
        """Close, and poll until all is told; return whether it was."""
        self.ws.close()
        return self.until(lambda: not self.ws.poll())


# Name -> (whether the client is open before, the call)
CALLS = {
    "open": (False, lambda near: near.open()),
    "send-small": (True, lambda near: near.ws.send(SMALL)),
    "send-large": (True, lambda near: near.ws.send(LARGE)),
    "receive": (True, lambda near: near.receive()),
    "close": (True, lambda near: near.close()),
}
# Name -> (whether it is done with the far client, what is done, the errors that may come out of it)
ACTIONS = {
    "near-send": (False, lambda side: side.ws.send(SMALL), (errno.EALREADY, errno.ENOTCONN)),
    "near-close": (False, lambda side: side.ws.close(), ()),
    "near-connect": (False, lambda side: side.connect(), (errno.EALREADY,)),
    "near-poll": (False, lambda side: side.ws.poll(), ()),
    "far-send": (True, lambda side: side.ws.send(SMALL), ()),
    "far-poll": (True, lambda side: side.ws.poll(), ()),
    "far-connect": (True, lambda side: side.connect(), (errno.EALREADY,)),
}


def number(error):
    """Return the errno of an OSError, None of another exception."""
    return error.errno if isinstance(error, OSError) else None


def play(turn, wrong):
    """Play the call with the action at the moment `turn`; `wrong`: the name of `_owner`, or ""."""
    problems = []
    near = Side("near-{}-{}-{}".format(CALL, ACTION, turn))
    far = Side("far-{}-{}-{}".format(CALL, ACTION, turn))
    is_far, action, allowed = ACTIONS[ACTION]
    far.open()
    opened, call = CALLS[CALL]
    if opened:
        near.open()
        if CALL == "receive":
            near.ws.send(SMALL)

    def act():
        owner = getattr(near.ws, wrong) if wrong else None
        try:
            if wrong:
                setattr(near.ws, wrong, 0)
            action(far if is_far else near)
        except Exception as error:
            if number(error) not in allowed:
                problems.append("the callback met " + repr(error))
        if wrong:
            setattr(near.ws, wrong, owner)

    ticker = Ticker(turn, act)
    ticker.start()
    try:
        call(near)
    except Exception as error:
        # what the callback has done before the call began
        before = {"near-close": errno.ENOTCONN, "near-connect": errno.EALREADY}.get(ACTION)
        if before is None or number(error) != before:
            problems.append("the program met " + repr(error))
    finally:
        ticker.stop()
    for side in (near, far):
        if not side.finish():
            problems.append(side.name + " is alive after close()")
        if side.ws.connected or len(side.closes) != len(side.paths):
            problems.append("{} told close {} times, of {}".format(side.name, len(side.closes), len(side.paths)))
        if [status for status in side.closes if status]:
            problems.append("{} ended with {}".format(side.name, side.closes))
    side = Side(near.name + "-next")
    side.open()
    if side.ws.connected:
        side.ws.send(SMALL)
        side.receive()
    if not side.messages or not side.finish() or side.closes != [0]:
        problems.append("the next connection is not whole")
    return [ticker.count, near.paths, far.paths, "; ".join(problems)]


turns = sys.argv[4:]
wrong = turns.pop()[6:] if turns[-1].startswith("wrong:") else ""
for turn in turns:
    tell(turn, play(int(turn), wrong))
