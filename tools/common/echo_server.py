"""A well-behaved WebSocket server on loopback; the path of the URL says what it does.

    / and what is not named here        sends every message back
    /fragments?size=4096                sends every message back in fragments of that many bytes
    /close?code=4000&reason=bye         closes after the first message
    /hello?count=3&size=10&text=1       sends messages of its own, then echoes
    /count                              answers every message with its length and SHA-256
    /ping                               pings, and sends "pong" as soon as the answer is there
    /told                               sends the code and the reason of the Close that the last client sent

and those of the examples, see tools/common/example_server.py.

Subprotocols: chat, superchat. Messages of up to 16 MiB, no compression.
"""

import argparse
import contextlib
import hashlib
import itertools
import logging
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

# Run as a program, this folder is on the path instead of the one above.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from common import example_server

SUBPROTOCOLS = ("chat", "superchat")
MAX_MESSAGE = 1 << 24
_CLOSE_S = 2


def _echo(connection):
    for message in connection:
        connection.send(message)


def _fragments(connection, size="4096"):
    size = int(size)
    for message in connection:
        connection.send([message[start : start + size] for start in range(0, len(message), size)] or [message])


def _close(connection, code="1000", reason=""):
    connection.recv()
    connection.close(int(code), reason)


def _hello(connection, count="1", size="10", text=""):
    data = (b"0123456789abcdef" * (int(size) // 16 + 1))[: int(size)]
    for _ in range(int(count)):
        connection.send(data.decode() if text else data)
    _echo(connection)


def _count(connection):
    for message in connection:
        data = message.encode() if isinstance(message, str) else message
        connection.send(f"{len(data)} {hashlib.sha256(data).hexdigest()}")


def _ping(connection):
    connection.ping("are you there?").wait()
    connection.send("pong")
    _echo(connection)


def _told(connection):
    # Whoever has been answered is not yet noted: that is done by another thread.
    late = time.monotonic() + _CLOSE_S
    while any(one.protocol.close_rcvd for one in tuple(_served)) and time.monotonic() < late:
        time.sleep(0.001)
    connection.send(_last_close[1])
    _echo(connection)


_PATHS = {
    "/fragments": _fragments,
    "/close": _close,
    "/hello": _hello,
    "/count": _count,
    "/ping": _ping,
    "/told": _told,
    **example_server.PATHS,
}
_numbers = itertools.count()
_served = set()  # the connections whose Close is not noted yet
_last_close = -1, ""  # the number of its connection, and what came


def _handle(connection):
    global _last_close
    number = next(_numbers)
    _served.add(connection)
    url = urlsplit(connection.request.path)
    try:
        with contextlib.suppress(ConnectionClosed):
            if url.path in _PATHS:
                _PATHS[url.path](connection, **dict(parse_qsl(url.query)))
            else:
                _echo(connection)
    finally:
        if connection.protocol.close_rcvd:
            _last_close = max(_last_close, (number, f"{connection.close_code} {connection.close_reason}"))
        _served.discard(connection)


def _select(connection, offered):
    """Choose the first subprotocol that is known; without one the connection stands all the same."""
    return next((name for name in offered if name in SUBPROTOCOLS), None)


def _quiet():
    logger = logging.getLogger("echo_server")
    logger.setLevel(logging.CRITICAL)
    return logger


class _Listener(socket.socket):
    """A listener that puts TLS over what it accepts; the handshake is done by the first read.

    websockets 17.4 stops to accept after a client that resets its connection early, when it puts TLS there itself.
    """

    tls = None

    def accept(self):
        while True:
            sock, address = super().accept()
            if self.tls is None:
                return sock, address
            with contextlib.suppress(OSError):
                return self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address
            sock.close()


def start(host="127.0.0.1", port=0, tls=None):
    """Return the server, bound; it serves in `serve_forever()` and ends with `shutdown()`.

    `tls` is the SSL context of a wss:// server.
    """
    listener = _Listener()
    listener.tls = tls
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return serve(_handle, sock=listener, subprotocols=SUBPROTOCOLS, select_subprotocol=_select, compression=None,
                 process_request=example_server.respond, max_size=MAX_MESSAGE, ping_interval=None,
                 close_timeout=_CLOSE_S, logger=_quiet())  # fmt: skip


def address(server, tls=None):
    """Return the URL of the server's root."""
    host, port = server.socket.getsockname()[:2]
    return f"{'wss' if tls else 'ws'}://{host}:{port}/"


@contextlib.contextmanager
def running(host="127.0.0.1", port=0, tls=None):
    """Serve in a thread; a context manager that gives the URL of the root. `tls`: see start()."""
    server = start(host, port, tls)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield address(server, tls)
    finally:
        server.shutdown()
        thread.join(_CLOSE_S)


def main(argv=None):
    """Serve until Ctrl-C; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (0.0.0.0: for boards on the network)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on, 0 for any (default: 8080)")
    options = parser.parse_args(argv)
    try:
        server = start(options.host, options.port)
    except OSError as error:
        print(f"echo_server: port {options.port}: {error.strerror} (try: --port 0)", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"serving {address(server)}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
