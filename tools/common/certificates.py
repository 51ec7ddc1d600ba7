"""Throw-away certificates for servers on loopback."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

NAME = "localhost"


@dataclass(frozen=True)
class Certificates:
    """Files of a CA's certificate, of a server's certificate that it has signed, and of the server's key, all PEM."""

    ca: Path
    server: Path
    key: Path

    def server_context(self):
        """Return the TLS context of a server."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.server, self.key)
        return context


def issue(folder, *names):
    """Write new certificates for hosts, by name or address (default: `NAME`), into `folder`."""
    authority = trustme.CA()
    certificate = authority.issue_cert(*(names or [NAME]))
    found = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server-key.pem")
    authority.cert_pem.write_to_path(found.ca)
    found.server.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(found.key)
    return found
