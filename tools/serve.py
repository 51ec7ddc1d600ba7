"""Run a WebSocket server to try programs with, ws:// and wss://, until Ctrl-C; the path of the URL says what it does.

    / and what is not named here        sends every message back
    /fragments?size=4096                sends every message back in fragments of that many bytes
    /close?code=4000&reason=bye         closes after the first message
    /hello?count=3&size=10&text=1       sends messages of its own, then echoes
    /count                              answers every message with its length and SHA-256
    /board, /ota, /api/websocket ...    serve the examples: see docs/examples.md

http://.../dashboard is a page for a browser, which draws what boards send to /board.

The CA of the wss:// server is made once and stays in build/serve/ca.pem, for the board: make deploy ARGS="--file ...".
"""

import argparse
import contextlib
import ipaddress
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

from common import certificates, echo_server, rigs

FOLDER = rigs.BUILD / "serve"
_ELSEWHERE = ("192.0.2.1", 9)  # nothing is sent there: which of our addresses would be used is asked


def own_address():
    """Return this computer's address in its network, 127.0.0.1 where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return "127.0.0.1"
        return probe.getsockname()[0]


def issued(host, folder):
    """Return the certificates for `host` in `folder`, made now where they are not there."""
    folder = folder / host
    names = ("ca.pem", "server.pem", "server-key.pem")
    if not all((folder / name).exists() for name in names):
        folder.mkdir(parents=True, exist_ok=True)
        certificates.issue(folder, host, certificates.NAME)
    return certificates.Certificates(*(folder / name for name in names))


@contextlib.contextmanager
def serving(host, port, tls=None):
    """Serve on all addresses of this computer in a thread; gives the URL with `host`."""
    server = echo_server.start("0.0.0.0", port, tls)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield echo_server.address(server, tls).replace("0.0.0.0", host)
    finally:
        server.shutdown()
        thread.join()


def _port(text):
    port = int(text)
    if not 0 <= port < 1 << 16:
        raise ValueError
    return port


def main(argv=None):
    """Serve until Ctrl-C; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", help="this computer's address, as boards see it (default: found by itself)")
    parser.add_argument("--port", type=_port, default=8080, help="of ws://, 0 for any (default: 8080)")
    parser.add_argument("--tls-port", type=_port, default=8443, help="of wss://, 0 for any (default: 8443)")
    options = parser.parse_args(argv)
    host = options.host or own_address()
    try:
        ipaddress.ip_address(host)
    except ValueError:
        print(f"serve: {host!r} is no address (try: --host 192.168.1.10)", file=sys.stderr)
        return 1
    found = issued(host, FOLDER)
    ca = Path(shutil.copy(found.ca, FOLDER / "ca.pem"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            serving(host, options.port) as url,
            serving(host, options.tls_port, found.server_context()) as tls_url,
            contextlib.suppress(KeyboardInterrupt),
        ):
            print(f"serving {url} and {tls_url}; Ctrl-C ends")
            print(f'its CA for a board: make deploy ARGS="--file {ca.relative_to(rigs.ROOT)}"')
            print(f"its page for a browser: {url.replace('ws:', 'http:')}dashboard", flush=True)
            threading.Event().wait()
    except OSError as error:
        print(f"serve: {error.strerror} (try: --port 0 --tls-port 0)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
