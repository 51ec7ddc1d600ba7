"""Clients that are wrong on purpose: a torturer that does not find what is wrong with them is of no use.

Each function takes the class of the client and the Run, and returns a class with the fault. What it breaks is what the
contract says, not how the client does it.
"""

from servers import wire

_KEY = b"\1\2\3\4"


def _write(run, message, opcode):
    """Write a frame past the client."""
    for sock in run.board.open_sockets():
        if sock.state == "connected":
            sock.write(wire.frame(opcode, bytes(message), key=_KEY))
            return


def unguarded_send(base, run):
    """send() writes even where another frame is half out."""

    class Client(base):
        def send(self, message, opcode=None, fin=True):
            if run.board.scheduler.running:
                _write(run, message, opcode)
            else:
                base.send(self, message, opcode, fin)

    return Client


def forgotten_message(base, run):
    """send() returns, and nothing was sent, while the client is busy."""

    class Client(base):
        def send(self, message, opcode=None, fin=True):
            if not run.board.scheduler.running:
                base.send(self, message, opcode, fin)

    return Client


def leaked_socket(base, run):
    """connect() leaves a socket behind when a callback calls it."""

    class Client(base):
        def connect(self, url):
            if run.board.scheduler.running:
                run.board.new_socket()
            base.connect(self, url)

    return Client


def _telling(base, tell):
    """Return a class that has `tell(handler, ws, status)` in the place of the handler of "close"."""

    class Client(base):
        def on(self, event, handler):
            base.on(self, event, (lambda ws, status: tell(handler, ws, status)) if event == "close" else handler)

    return Client


def doubled_close(base, run):
    """ "close" is told twice."""

    def tell(handler, ws, status):
        handler(ws, status)
        handler(ws, status)

    return _telling(base, tell)


def wrong_status(base, run):
    """A connection that the server has ended is told as one that lacked memory."""
    return _telling(base, lambda handler, ws, status: handler(ws, -101 if status in (-6, -99) else status))


def nested_poll_raises(base, run):
    """poll() raises when a callback calls it while the client is busy."""

    class Client(base):
        def poll(self, timeout_ms=0):
            if run.board.scheduler.running:
                raise RuntimeError("busy")
            return base.poll(self, timeout_ms)

    return Client


def sends_on(base, run):
    """send() goes on with the next message after Ctrl-C in the middle of a frame."""

    class Client(base):
        def send(self, message, opcode=None, fin=True):
            try:
                base.send(self, message, opcode, fin)
            except KeyboardInterrupt:
                _write(run, b"more", wire.BINARY)
                raise

    return Client


def swallowed_interrupt(base, run):
    """poll() keeps Ctrl-C to itself."""

    class Client(base):
        def poll(self, timeout_ms=0):
            try:
                return base.poll(self, timeout_ms)
            except KeyboardInterrupt:
                return True

    return Client
