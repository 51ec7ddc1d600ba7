"""MicroPython's `tls` as mbedTLS makes it (MicroPython 1.28 and later), on CPython's `ssl`.

The handshake advances in reads and writes, which give None where they would block. Facts of the library that are not
CPython's: OSError(-29312) for an end within the handshake, ValueError for a certificate that is not accepted, the
number of the first error again from every later call, poll flags that tell of decrypted bytes.
"""

import contextlib
import ssl as _host
import tempfile
from pathlib import Path

import uselect
from mp_runtime import EAGAIN, POLLIN, POLLNVAL, POLLOUT, PortError, Stream

MBEDTLS_VERSION = f"Mbed TLS, played by {_host.OPENSSL_VERSION}"
PROTOCOL_TLS_CLIENT = 0
CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = 0, 1, 2

BAD_CERTIFICATE = -0x2700
INVALID_MAC = -0x7180
INVALID_RECORD = -0x7200
CONNECTION_EOF = -0x7280
FATAL_ALERT = -0x7780

_RECORD = 16384
_KEY_NAMES = ("PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY")
_READY = POLLIN | POLLOUT


def _is_pem(data):
    return b"-----BEGIN " in bytes(data)


def _pem(data, name):
    """Return DER as PEM of that name, PEM as it is."""
    if _is_pem(data):
        return bytes(data)
    text = _host.DER_cert_to_PEM_cert(bytes(data))
    return text.replace("CERTIFICATE", name).encode()


class SSLContext:
    """What all connections of a kind share: certificates and whether servers are verified."""

    def __init__(self, protocol):
        """Make a context of a client; `verify_mode` is CERT_REQUIRED, unlike in MicroPython's `ssl`."""
        if protocol != PROTOCOL_TLS_CLIENT:
            raise ValueError("the shim has no server's side")
        self._context = _host.SSLContext(_host.PROTOCOL_TLS_CLIENT)
        # MicroPython's library neither asks for new certificates' extensions nor for a security level.
        self._context.verify_flags &= ~getattr(_host, "VERIFY_X509_STRICT", 0)
        self.verify_mode = CERT_REQUIRED

    def load_verify_locations(self, cadata):
        """Trust the certificates of a PEM text or one of DER, as bytes; ValueError where there is none."""
        try:
            self._context.load_verify_locations(cadata=bytes(cadata).decode() if _is_pem(cadata) else bytes(cadata))
        except (_host.SSLError, ValueError):
            raise ValueError("invalid cert") from None

    def load_cert_chain(self, cert, key):
        """Take the client's own certificate and its key, PEM or DER as bytes; ValueError for others."""
        for name in _KEY_NAMES:
            with tempfile.TemporaryDirectory() as folder:
                files = Path(folder, "cert.pem"), Path(folder, "key.pem")
                files[0].write_bytes(_pem(cert, "CERTIFICATE"))
                files[1].write_bytes(_pem(key, name))
                with contextlib.suppress(_host.SSLError):
                    return self._context.load_cert_chain(*files)
        raise ValueError("invalid key")

    def wrap_socket(self, sock, *, server_side=False, do_handshake_on_connect=True, server_hostname=None):
        """Return the SSLSocket over a connected socket."""
        if server_side:
            raise ValueError("the shim has no server's side")
        if self.verify_mode == CERT_REQUIRED and server_hostname is None:
            raise ValueError("CERT_REQUIRED requires server_hostname")
        self._context.check_hostname = False
        self._context.verify_mode = _host.VerifyMode(self.verify_mode)
        self._context.check_hostname = self.verify_mode == CERT_REQUIRED
        wrapped = SSLSocket(self._context, sock, server_hostname)
        if do_handshake_on_connect:
            wrapped.shake_hands()
        return wrapped


class SSLSocket(Stream):
    """TLS over a socket, which is the raw one of `usocket`. It has no settimeout, as on the firmware."""

    def __init__(self, context, sock, server_hostname):
        self._raw = sock
        self._incoming = _host.MemoryBIO()
        self._outgoing = _host.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._poller = uselect.poll()
        self._poller.register(sock)
        self._unsent = b""  # of records
        self._written = None  # what the program wrote, while a part of its record is unsent
        self._ready = False  # the handshake is over
        self._over = False  # close_notify came
        self._needs = 0  # the direction that the library waits for
        self._error = None
        self._forgotten = False  # a failed handshake has let the raw socket go

    def recv(self, size):
        """Return up to `size` bytes; None where nothing is there yet, unlike a plain socket."""
        buffer = bytearray(size)
        try:
            count = self._receive(memoryview(buffer))
        except PortError as error:
            if error.errno != EAGAIN:
                raise
            return None
        return bytes(buffer[:count])

    def setblocking(self, flag):
        """Change the raw socket."""
        self._raw.setblocking(flag)

    def close(self):
        """Close the raw socket too, without a farewell; not after a handshake that has failed."""
        if not self._forgotten:
            self._raw.close()

    def shake_hands(self):
        """Go through the handshake; for ever where the server does not answer."""
        while not self._ready:
            with contextlib.suppress(BlockingIOError):
                self._call(self._handshake)
            self._raw_flags(_READY, 1)

    def poll_flags(self, mask):
        """Return which of the flags in `mask` are true now, and POLLERR, POLLHUP, POLLNVAL."""
        if self._error is not None or self._raw.fileno() < 0:
            return POLLNVAL
        asked = mask & _READY
        if self._needs and asked:
            found = self._raw_flags(mask & ~_READY | self._needs)
            return found | asked if found & self._needs else found
        pending = POLLIN if mask & POLLIN and self._ready and self._decrypted() else 0
        return pending | self._raw_flags(mask)

    # Inside

    def _raw_flags(self, mask, timeout_ms=0):
        self._poller.modify(self._raw, mask)
        return sum(flags for _, flags in self._poller.ipoll(timeout_ms))

    def _decrypted(self):
        """Tell whether a read would give bytes that were taken from TCP before."""
        return self._tls.pending() > 0

    def _receive(self, view):
        return self._call(self._read, view)

    def _transmit(self, view):
        return self._call(self._write, bytes(view[:_RECORD]))

    def _call(self, operation, *arguments):
        """Let an operation run; its errors come out as the firmware's, and stay."""
        if self._error is not None:
            raise PortError(self._error)
        self._needs = 0
        try:
            return operation(*arguments)
        except BlockingIOError:
            raise PortError(EAGAIN) from None
        except PortError as error:
            self._error = error.errno
            self._forget()
            raise
        except _host.SSLCertVerificationError as error:
            self._error = BAD_CERTIFICATE
            self._say_why()
            self._forget()
            raise ValueError(f"\n{error.verify_message}\n") from None
        except _host.SSLEOFError:
            self._error = CONNECTION_EOF
        except _host.SSLError as error:
            reason = error.reason or ""
            self._error = (
                FATAL_ALERT if "ALERT" in reason
                else INVALID_MAC if "MAC" in reason or "DECRYPTION" in reason
                else INVALID_RECORD
            )  # fmt: skip
            self._say_why()
        self._forget()
        raise PortError(self._error)

    def _forget(self):
        self._forgotten = not self._ready and self._error != CONNECTION_EOF

    def _say_why(self):
        """Let the alert out that tells the server of a failure."""
        with contextlib.suppress(PortError, BlockingIOError):
            self._flush()

    def _take(self):
        """Give the library what TCP has; BlockingIOError where it has nothing."""
        data = bytearray(_RECORD)
        try:
            count = self._raw._receive(memoryview(data))
        except PortError as error:
            if error.errno != EAGAIN:
                raise
            raise BlockingIOError from None
        if count:
            self._incoming.write(data[:count])
        else:
            self._incoming.write_eof()

    def _flush(self):
        """Write the library's records; BlockingIOError where a part is left."""
        self._unsent += self._outgoing.read()
        while self._unsent:
            try:
                count = self._raw._transmit(memoryview(self._unsent))
            except PortError as error:
                if error.errno != EAGAIN:
                    raise
                self._needs = POLLOUT
                raise BlockingIOError from None
            self._unsent = self._unsent[count:]

    def _handshake(self):
        while not self._ready:
            try:
                self._tls.do_handshake()
            except _host.SSLWantReadError:
                self._flush()
                self._needs = POLLIN
                self._take()
                self._needs = 0
            else:
                self._flush()
                self._ready = True

    def _read(self, view):
        self._handshake()
        while True:
            try:
                if not self._over:
                    count = self._tls.read(len(view), view)
                    self._over = not count
                    return count
            except _host.SSLWantReadError:
                pass
            except _host.SSLEOFError:
                return 0
            if self._over and self._incoming.eof:
                return 0
            self._take()

    def _write(self, data):
        self._handshake()
        if self._written is not None:
            if data != self._written:
                raise RuntimeError("tls: other data than before the None: mbedTLS would drop it")
        else:
            self._written = data
            self._tls.write(data)
        self._flush()
        self._written = None
        return len(data)
