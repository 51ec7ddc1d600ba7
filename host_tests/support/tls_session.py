"""A client that talks wss on a scripted board: what the tests of TLS share."""

from fakes import Tls
from fakes.tls import AUTHORITY
from support.client_session import Session

NAME, ADDRESS, PORT = "server.local", "10.0.0.2", 443
URL = f"wss://{NAME}/"
VERIFIED = {"tls": {"ca": AUTHORITY}}

# The client blocks in one call on axTLS: in its handshake, and while it reads before it writes
AXTLS = [("esp8266", version) for version in ((1, 22), (1, 24), (1, 27), (1, 28))]
MBEDTLS = [
    ("esp32", (1, 22)), ("esp32", (1, 23)), ("esp32", (1, 25)), ("esp32", (1, 28)),
    ("unix", (1, 27)), ("unix", (1, 28)),
]  # fmt: skip


class TlsSession(Session):
    """A Session whose server, at `URL`, speaks TLS as `script` says."""

    def __init__(self, firmware, config=(), *, script=None, upgrade=True, **more):
        super().__init__(firmware, config, **more)
        self.axtls = firmware[0] == "esp8266"
        self.board.hosts[NAME] = ADDRESS
        self.server = self.board.listen(ADDRESS, PORT, upgrade=upgrade, tls=script or Tls())

    def connect(self, url=URL):
        """Begin to connect."""
        super().connect(url)

    def open(self, url=URL):
        """Connect until the connection is open; return the server's TlsPeer."""
        return super().open(url)

    def poll(self, timeout_ms=0):
        """Poll once; where the library does not block, see to it that this takes no longer than asked."""
        return self.ws.poll(timeout_ms) if self.axtls else super().poll(timeout_ms)
