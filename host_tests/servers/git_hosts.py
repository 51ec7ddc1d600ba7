"""The web pages of Git hosts, behind a proxy on loopback that stands for all of them, with certificates of its own.

A program that is started with its `environment` and asks https://raw.githubusercontent.com/... is answered from here.
"""

import contextlib
import http.server
import os
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import trustme

_LOOK_S = 0.05


@dataclass(frozen=True)
class Hosts:
    """What runs: the addresses that were asked for, and the environment that leads here."""

    asked: list[str]
    environment: dict[str, str]


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        self.send_response(200)
        self.end_headers()
        host = self.path.partition(":")[0]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.authority.issue_cert(host).configure_cert(context)
        self.address = f"https://{host}"
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = (self.connection.makefile(mode) for mode in ("rb", "wb"))
        self.handle_one_request()

    def do_GET(self):
        address = self.address + self.path
        self.server.asked.append(address)
        content = self.server.pages.get(address)
        self.send_response(404 if content is None else 200)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def running(pages, folder):
    """Offer `pages`, {address: content}; gives Hosts. `folder` is for the certificate of the authority."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.authority, server.pages, server.asked = trustme.CA(), pages, []
        authority = Path(folder) / "authority.pem"
        server.authority.cert_pem.write_to_path(str(authority))
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        proxy = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(_LOOK_S,))
        thread.start()
        try:
            yield Hosts(server.asked, kept | {"https_proxy": proxy, "SSL_CERT_FILE": str(authority)})
        finally:
            server.shutdown()
            thread.join()
