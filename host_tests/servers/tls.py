"""The raw server behind TLS: good and bad certificates, and handshakes that go wrong."""

import contextlib
import socket
import ssl
import struct
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from . import raw

HOST, ADDRESS = "localhost", "127.0.0.1"
OTHER_NAME = "other.example"

_HANDSHAKE_S = 10
_DAY = timedelta(days=1)
_HTTP = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Under:
    """A step: send bytes on TCP, below TLS."""

    data: bytes

    def run(self, connection):
        connection.send_under(self.data)


@dataclass(frozen=True)
class CloseNotify:
    """A step: say in TLS that nothing more will come; TCP stays open."""

    def run(self, connection):
        connection.close_notify()


class Authority:
    """A CA of its own, and what it has signed; files are PEM unless they end in .der, and last as long as this."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory()
        self._authority = trustme.CA()
        self._other = trustme.CA()
        self._write("ca", self._authority.cert_pem)
        self._write("other-ca", self._other.cert_pem)
        both = self._other.cert_pem.bytes() + self._authority.cert_pem.bytes()
        self.file("both-cas.pem").write_bytes(both)
        mine = self._authority.issue_cert("client.example")
        self._write("client", mine.cert_chain_pems[0])
        mine.private_key_pem.write_to_path(self.file("client-key.pem"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def file(self, name):
        """Return the path of a file."""
        return Path(self._folder.name, name)

    def context(self, kind="good"):
        """Return the TLS context of a server of that kind, one of CERTIFICATES."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _KINDS[kind](self, context)
        return context

    # Inside

    def _write(self, name, certificate):
        certificate.write_to_path(self.file(f"{name}.pem"))
        self.file(f"{name}.der").write_bytes(ssl.PEM_cert_to_DER_cert(certificate.bytes().decode()))

    def _good(self, context):
        self._authority.issue_cert(HOST, ADDRESS).configure_cert(context)

    def _tls_1_2(self, context):
        self._good(context)
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    def _intermediate(self, context):
        self._authority.create_child_ca().issue_cert(HOST).configure_cert(context)

    def _wrong_name(self, context):
        self._authority.issue_cert(OTHER_NAME).configure_cert(context)

    def _expired(self, context):
        self._dated(context, -2, -1)

    def _not_yet_valid(self, context):
        self._dated(context, 1, 2)

    def _dated(self, context, first, last):
        now = datetime.now(UTC)
        issued = self._authority.issue_cert(HOST, not_before=now + first * _DAY, not_after=now + last * _DAY)
        issued.configure_cert(context)

    def _wrong_ca(self, context):
        self._other.issue_cert(HOST).configure_cert(context)

    def _self_signed(self, context):
        with self._other.private_key_pem.tempfile() as key:
            context.load_cert_chain(self.file("other-ca.pem"), key)

    def _asks_for_certificate(self, context):
        self._good(context)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.file("ca.pem"))


_KINDS = {
    "good": Authority._good, "tls-1.2": Authority._tls_1_2, "intermediate": Authority._intermediate,
    "wrong-name": Authority._wrong_name, "expired": Authority._expired, "not-yet-valid": Authority._not_yet_valid,
    "wrong-ca": Authority._wrong_ca, "self-signed": Authority._self_signed,
    "asks-for-certificate": Authority._asks_for_certificate,
}  # fmt: skip
CERTIFICATES = tuple(_KINDS)


class TlsConnection(raw.Connection):
    """One client behind TLS; FIN and RST come without a close_notify."""

    def fin(self):
        """Send FIN; TLS goes on reading, which `SSLSocket.shutdown` would end."""
        self._first("server")
        try:
            socket.socket.shutdown(self._sock, socket.SHUT_WR)
        except OSError as error:
            self._ended(error)

    def close_notify(self):
        """Say that nothing more will come; what the client sends is read on. It may have gone meanwhile, or before."""
        self._sock.settimeout(0)
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLEOFError, ConnectionError):
            self._sock.unwrap()

    def send_under(self, data):
        """Send bytes on TCP, below TLS."""
        socket.socket.send(self._sock, data)


class TlsServer(raw.RawServer):
    """Serves scripts over TLS; `names` are the server names that clients have asked for, in order."""

    def __init__(self, scripts, context):
        super().__init__(scripts)
        self.names = []
        self._context = context
        context.sni_callback = self._note_name

    def url(self, target, host=HOST):
        """Return the URL of a script, with its query."""
        return f"wss://{host}:{self.port}/{target}"

    def _note_name(self, _sock, name, _context):
        self.names.append(name)

    def _connection(self, sock):
        sock.settimeout(_HANDSHAKE_S)
        try:
            return TlsConnection(self._context.wrap_socket(sock, server_side=True))
        except OSError:
            sock.close()
            return None


def _answer_plain(sock):
    sock.send(_HTTP)
    sock.shutdown(socket.SHUT_WR)


def _answer_garbage(sock):
    sock.send(bytes(range(256)))


def _answer_fin(sock):
    sock.shutdown(socket.SHUT_WR)


def _answer_reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def _answer_never(sock):
    pass


_ANSWERS = {
    "plain": _answer_plain, "garbage": _answer_garbage, "fin": _answer_fin, "reset": _answer_reset,
    "never": _answer_never,
}  # fmt: skip
HANDSHAKES = tuple(_ANSWERS)


class BrokenServer(raw.RawServer):
    """Answers the client's first TLS message as one of HANDSHAKES, then waits for the client to go."""

    def __init__(self, answer):
        super().__init__({})
        self._answer = _ANSWERS[answer]

    def url(self, target="", host=HOST):
        """Return the URL."""
        return f"wss://{host}:{self.port}/{target}"

    def _connection(self, sock):
        sock.settimeout(_HANDSHAKE_S)
        with sock, contextlib.suppress(OSError):
            sock.recv(1 << 16)
            self._answer(sock)
            while sock.fileno() >= 0 and sock.recv(1 << 16):
                pass
