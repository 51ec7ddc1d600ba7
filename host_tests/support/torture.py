"""What the torturers share: a board with two clients, everything that is done with them, and what must hold.

A `Run` is one board. Its `near` client is the one that is tortured, its `far` client another one, with a server of
its own. `verdict()` ends a run: it lets everything come to rest and returns what was wrong, by the contract alone.
"""

import random
import traceback
from pathlib import Path

import fakes
from _wsconfig import KEYS
from fakes.board import DEVICE
from servers import wire
from support import states

TRANSPORTS = {
    "esp8266": ("esp8266", False), "esp8266-axtls": ("esp8266", True), "esp32": ("esp32", False),
    "esp32-mbedtls": ("esp32", True), "unix": ("unix", False), "unix-mbedtls": ("unix", True),
}  # fmt: skip
OPTIONS = {
    "background": False, "connect_timeout_ms": 3000, "close_timeout_ms": 500, "send_timeout_ms": 2000,
    "reconnect_min_ms": 100, "reconnect_max_ms": 400,
}  # fmt: skip
SMALL, LARGE = 20, 9000  # bytes of a message: one write; more than the send buffer of a board has
EVENTS = ("connection", "receive", "pong", "close")

_STEP_MS = 20
_REST_MS = 120  # what is on its way arrives, a delayed acknowledgement too
_ANSWERED = b"answer"  # a message that begins so is sent back


class Message:
    """A message that was given to send(), and how that ended: "sent", or the error that send() raised."""

    def __init__(self, payload, opcode, fin=True):
        self.payload = payload
        self.opcode = opcode
        self.fin = fin
        self.outcome = "interrupted"


class Side:
    """A client and its server; `connects` counts the calls of connect() that were accepted."""

    def __init__(self, run, name, address, tls, options):
        self._run = run
        self.name = name
        host = f"{name}.test"
        run.board.hosts[host] = address
        self.url = f"{'wss' if tls else 'ws'}://{host}/"
        self.connects = 0
        self.unsure = 0  # calls of connect() that were interrupted
        self.asked = set()  # which of the statuses must be 0, for close() came before
        self.statuses = []
        self.received = []
        self.messages = []
        self.options = {}  # by index, those that were changed during the run
        self.inside = None  # the event whose handler runs
        self.serving = True
        port = 443 if tls else 80
        script = fakes.Tls() if tls else None
        self.server = run.board.listen(address, port, upgrade=True, on_connect=self._serve, tls=script)
        self.ws = run.make_client(self)
        self.ws.config(OPTIONS | options)
        for event in EVENTS:
            self.ws.on(event, self._noting(event))

    # What a program or a callback does; each returns the error, None for none

    def send(self, size, opcode=wire.BINARY, fin=True, tag=None):
        """Send a message of random bytes, `tag` before them."""
        payload = (tag or b"") + self._run.random.randbytes(size)
        message = Message(payload, opcode, fin)
        self.messages.append(message)
        return self._noted(message, lambda: self.ws.send(payload, opcode, fin))

    def connect(self):
        """Begin to connect."""
        try:
            error = self._noted(None, lambda: self.ws.connect(self.url))
        except BaseException:
            self.unsure += 1
            raise
        self.connects += error is None
        return error

    def close(self, *arguments):
        """Close; what is not over yet is then told with 0, unless a callback that comes meanwhile ends it before."""
        surely = self._run.board.scheduler.running and self.ws._connection
        ends = len(self.statuses) + self._untold() if surely else None
        error = self._noted(None, lambda: self.ws.close(*arguments))
        if error is None and ends is not None:
            self.asked.add(ends)
        return error

    def config(self, key, value):
        """Change an option; it must be so at the end."""
        error = self._noted(None, lambda: self.ws.config({key: value}))
        if error is None:
            self.options[KEYS.index(key)] = value
        return error

    def poll(self, timeout_ms=0):
        """Poll; return whether the client is alive."""
        return self.ws.poll(timeout_ms)

    # What is told

    @property
    def peer(self):
        """The server's end of the newest connection."""
        return self.server.peers[-1]

    def open(self):
        """Connect until messages can be sent."""
        self.connect()
        self._run.until(lambda: self.ws.connected)

    # Inside

    def _untold(self):
        # the connections that are over, and whose "close" is not told
        count, one = self.ws._unmade, self.ws._ended
        while one:
            count, one = count + 1, one._ended
        return count

    def _noted(self, message, call):
        outcome = "sent"
        try:
            call()
        except (OSError, ValueError) as error:
            outcome = noted(error)
            return outcome
        except BaseException:
            outcome = "interrupted"
            raise
        finally:
            if message:
                message.outcome = outcome
        return None

    def _noting(self, event):
        def handler(ws, *content):
            if self.inside:
                self._run.problem(f'"{event}" came inside the handler of "{self.inside}"')
            if ws is not self.ws:
                self._run.problem(f'"{event}" came for another client')
            self.inside = event
            try:
                if event == "close":
                    self.statuses.append(content[0])
                elif event == "receive":
                    self.received.append(bytes(content[0]) if not isinstance(content[0], str) else content[0].encode())
                action = self._run.in_handler.pop((self.name, event), None)
                if action:
                    action()
            finally:
                self.inside = None

        return handler

    def _serve(self, peer):
        peer.answered = 0
        peer.on_data = self._answer

    def _answer(self, peer):
        # what any server does: it echoes what asks for it, and answers a Close frame, then closes TCP
        if not self.serving or b"\r\n\r\n" not in peer.received():
            return
        frames = peer.frames()
        for frame in frames[peer.answered :]:
            if frame.opcode == wire.CLOSE:
                peer.frame(wire.CLOSE, frame.payload[:2])
                peer.fin()
            elif frame.opcode == wire.PING:
                peer.frame(wire.PONG, frame.payload)
            elif frame.payload.startswith(_ANSWERED):
                peer.frame(frame.opcode, frame.payload)
        peer.answered = len(frames)


class Run:
    """One board with the clients `near` and `far`; `in_handler[name of a side, event]` is called once there."""

    def __init__(self, transport, options=(), *, seed=0, wrong=None):
        """Switch the board on; `options`: of both clients; `wrong`: see wrong_clients."""
        port, tls = TRANSPORTS[transport]
        self.board = fakes.board(port, spin_limit=3000)
        self.random = random.Random(seed)
        self.plain = not tls
        self.problems = []
        self.in_handler = {}
        self.wrong = wrong
        self.module = states.watched(self.board.load("uwebsocket_client"))
        self.near = Side(self, "near", "10.0.0.2", tls, dict(options))
        self.far = Side(self, "far", "10.0.0.3", False, dict(options))
        self.sides = (self.near, self.far)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.board.forgive()

    def make_client(self, side):
        """Return a new client, wrong on purpose where that is asked for."""
        if self.wrong and side.name == "near":
            return self.wrong(self.module.WebSocketClient, self)()
        return self.module.createClient()

    def problem(self, text):
        """Note what must not be."""
        self.problems.append(text)

    def callback(self, action):
        """Call `action()` as a Timer would: no other callback meanwhile; what it raises is a problem."""
        scheduler = self.board.scheduler
        scheduler.running = True
        try:
            action()
        except Exception as error:
            self.problem(f"the callback met {shown(error)}")
        finally:
            scheduler.running = False

    def is_errno(self, error, *names):
        """Tell whether an error is an OSError of one of these numbers."""
        numbers = self.board.profile.numbers
        return isinstance(error, OSError) and error.errno in [numbers[name] for name in names]

    def until(self, condition, timeout_ms=10000):
        """Poll both clients until `condition()`; a problem where that takes longer. Returns whether it came."""
        end = self.board.clock.now + timeout_ms
        while not condition():
            if self.board.clock.now > end:
                return False
            self.poll_all()
        return True

    def poll_all(self):
        """Poll each client once, and let a little time pass."""
        for side in self.sides:
            if side.connects or side.unsure:
                try:
                    side.poll()
                except Exception as error:
                    self.problem(f"{side.name}: poll() raised {shown(error)}")
        self.board.advance(_STEP_MS)

    def rest(self):
        """Poll until each client is either open or closed, and nothing is on its way any more."""
        ends = self.board.clock.now + 30000
        still = 0
        while still < _REST_MS:
            moving = False
            for side in self.sides:
                if side.connects or side.unsure:
                    try:
                        moving |= side.poll() and not side.ws.connected
                    except Exception as error:
                        moving = True
                        self.problem(f"{side.name}: poll() raised {shown(error)}")
                        if len(self.problems) > 9:
                            return
            still = 0 if moving else still + _STEP_MS
            self.board.advance(_STEP_MS)
            if self.board.clock.now > ends:
                self.problem("neither open nor closed after 30 s")
                return

    def operate(self, scene, moments):
        """Do what is tortured, and return the error that the program met, None for none."""
        with moments:
            try:
                return scene.operate(self)
            except (Exception, KeyboardInterrupt) as error:
                return noted(error)
            except (fakes.BoardCrash, fakes.Stuck) as crash:
                self.problem(repr(crash))
                self.board.forgive()
                return None

    # The verdict

    def verdict(self, scene, statuses=(), again=True):
        """Come to rest, and note what is wrong; then see that both clients can be used `again`.

        `statuses`: what may end the tortured connection, beside what the scene says and the program's close().
        """
        try:
            self._judge(scene, {0, *scene.statuses, *statuses}, again)
        except (fakes.BoardCrash, fakes.Stuck) as crash:
            self.problem(repr(crash))
            self.board.forgive()
        except Exception as error:
            self.problem(f"a foreign exception: {shown(error)}")

    def _judge(self, scene, statuses, again):
        self.near.serving = self.far.serving = True
        self.in_handler.clear()
        for peer in self.near.server.peers:
            peer.resume_reading()
        self.rest()
        if self.near.ws.connected and scene.news:
            self._check_news(scene.news)
        self._check_background()
        for side in self.sides:
            if side.connects or side.unsure:
                self._end(side, scene)
        self._check_statuses(scene, statuses)
        for side in self.sides:
            self._check_wire(side)
        left = self.board.open_sockets()
        if left:
            self.problem(f"{len(left)} sockets left open")
        for side in self.sides:
            if again and not self.problems and (side.connects or side.unsure):
                self._again(side)
        for error in self.board.printed:
            self.problem(f"the background printed {shown(error)}")

    def _check_news(self, news):
        """See that an open connection has lost nothing that came, and has answered the ping."""
        if self.near.received != news:
            self.problem(f"near: {len(self.near.received)} of {len(news)} messages came, and the connection is open")
        pongs = sum(frame.opcode == wire.PONG for frame in self.near.peer.frames())
        if pongs != 1:
            self.problem(f"near: {pongs} pongs for one ping, and the connection is open")

    def _check_background(self):
        """See that the background serves each client that is to be served."""
        board = self.board.modules.get("_wsboard")
        for side in self.sides:
            wanted = side.ws._options[KEYS.index("background")] is not False and side.ws._state
            if board and wanted and side.ws not in board._clients:
                self.problem(f"{side.name}: forgotten by the background")

    def _end(self, side, scene):
        if side.ws.connected:
            if scene.fragment and side is self.near and side.messages[-1].outcome != "sent":
                # the last fragment may have gone out or not: then it is time for it
                side.send(SMALL, wire.CONTINUATION)
            self._echo(side, "the open connection")
        for _ in range(3):
            if side.poll():
                side.close()
                self.rest()
        if side.poll() or side.ws.connected:
            self.problem(f"{side.name}: alive after close()")

    def _echo(self, side, what):
        side.received.clear()
        error = side.send(SMALL, tag=_ANSWERED)
        if error:
            self.problem(f"{side.name}: {what} does not send: {error!r}")
        elif not self.until(lambda: side.received or not side.ws.connected, 3000) or not side.received:
            self.problem(f"{side.name}: {what} has no echo")
        elif side.received != [side.messages[-1].payload]:
            self.problem(f"{side.name}: {what} has a wrong echo")

    def _again(self, side):
        del side.statuses[:], side.messages[:]
        side.asked.clear()
        side.connects = side.unsure = 0
        before = len(side.server.peers)
        error = side.connect()
        if error:
            self.problem(f"{side.name}: cannot connect again: {error!r}")
            return
        if not self.until(lambda: side.ws.connected, 5000):
            self.problem(f"{side.name}: does not open again, told {side.statuses}")
            return
        self._echo(side, "the next connection")
        side.close()
        self.rest()
        if side.statuses != [0]:
            self.problem(f"{side.name}: the next connection told {side.statuses}")
        if self.board.open_sockets():
            self.problem("a socket of the next connection is left open")
        self._check_wire(side, before)

    def _check_statuses(self, scene, statuses):
        for side in self.sides:
            allowed = statuses if side is self.near else {0}
            connects = side.connects
            if scene.reconnects and side is self.near:
                # one for each connection; a close() while the next one is awaited tells nothing more
                connects = min(max(len(side.statuses), len(side.server.peers)), len(side.server.peers) + 1)
            wrong = [side.statuses[i] for i in side.asked if side.statuses[i : i + 1] not in ([], [0])]
            if wrong:
                self.problem(f'{side.name}: "close" told {wrong} after close()')
            lost = {i: value for i, value in side.options.items() if side.ws._config[i] != value}
            if lost:
                self.problem(f"{side.name}: lost of its configuration: {lost}")
            if not connects <= len(side.statuses) <= connects + side.unsure:
                self.problem(f'{side.name}: "close" told {side.statuses} for {connects} connections')
            elif not allowed.issuperset(side.statuses):
                self.problem(f'{side.name}: "close" told {side.statuses}, not one of {sorted(allowed)}')

    def _check_wire(self, side, first=0):
        """Check every frame of the client: whole, masked, in order, and each message exactly once."""
        arrived = []
        closed = False
        for peer in side.server.peers[first:]:
            if b"\r\n\r\n" not in peer.received():
                continue
            whole, tail = _frames(peer.received().partition(b"\r\n\r\n")[2])
            wrong = faulty(whole)
            if wrong:
                self.problem(f"{side.name}: on the wire: {wrong}")
                return
            if tail and not any(_begins(tail, message) for message in side.messages):
                self.problem(f"{side.name}: on the wire: {len(tail)} bytes of no message at the end")
            closed = bool(whole) and whole[-1].opcode == wire.CLOSE
            arrived += whole
        found = [(frame.opcode, frame.payload, frame.fin) for frame in arrived
                 if frame.opcode not in (wire.CLOSE, wire.PING, wire.PONG)]  # fmt: skip
        sent = [(message.opcode, message.payload, message.fin) for message in side.messages]
        for frame in found:
            if frame not in sent:
                self.problem(f"{side.name}: on the wire: a frame of {len(frame[1])} bytes that nobody sent")
            elif found.count(frame) > 1:
                self.problem(f"{side.name}: on the wire: a message twice")
        for message, frame in zip(side.messages, sent, strict=True):
            if frame in found:
                if self.is_errno(message.outcome, "EALREADY"):
                    self.problem(f"{side.name}: a message whose send() raised EALREADY has arrived")
            elif message.outcome == "sent" and closed and frame[0] < 8:
                self.problem(f"{side.name}: a message of {len(frame[1])} bytes is lost, though its send() returned")


def noted(error):
    """Return an error without its traceback, which would keep the frames that it names, and their views of buffers."""
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(DEVICE))]
    if places:
        error.place = f" at {Path(places[-1].filename).name}:{places[-1].lineno}"
    return error.with_traceback(None)


def shown(error):
    """Return an error with where in the device code it was raised, for the text of a problem."""
    return repr(error) + getattr(noted(error), "place", "")


def _frames(data):
    """Return the whole frames of `data` and the bytes that follow them."""
    found = []
    data = bytearray(data)
    while one := wire.parse(data):
        found.append(one[0])
        del data[: one[1]]
    return found, bytes(data)


def faulty(frames):
    """Return what a strict server refuses in these frames, None for nothing."""
    inside = closed = False
    for frame in frames:
        if closed:
            return "a frame after the Close frame"
        if frame.key is None or frame.rsv or not frame.shortest or frame.opcode not in (0, 1, 2, 8, 9, 10):
            return f"no frame of a client: {frame.opcode=} {frame.rsv=} {len(frame.payload)} bytes"
        if frame.opcode > 7:
            if not frame.fin or len(frame.payload) > 125:
                return "a control frame that is too large, or a fragment"
            closed = frame.opcode == wire.CLOSE
        elif inside == (frame.opcode != wire.CONTINUATION):
            return "a fragment out of order"
        else:
            inside = not frame.fin
    return None


def _begins(tail, message):
    """Tell whether `tail` is a part of the frame of `message`."""
    first = message.opcode | message.fin << 7
    size = len(message.payload)
    form = wire.shortest_form(size)
    head = wire.frame(message.opcode, b"", announced=size, fin=message.fin, key=b"\0\0\0\0")[: 2 + form]
    if tail[: len(head)] != head[: len(tail)] or tail[0] != first:
        return False
    key, body = tail[len(head) : len(head) + 4], tail[len(head) + 4 :]
    return not body or wire.mask(body, key) == message.payload[: len(body)]
