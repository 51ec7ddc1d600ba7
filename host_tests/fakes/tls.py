"""Scripted TLS: the two libraries of the firmware over a FakeSocket, and the server's end of what they speak.

No real cryptography: a record has TLS's five-byte header, then its content xored with a pad that depends on its number
and direction, then a checksum. So a record that is lost, doubled, cut or changed does not pass, as in TLS.

What the libraries do is in docs/ports.md, axTLS; docs/ports.md, mbedTLS. What would corrupt, hang or crash a board is a
BoardCrash.
"""

import ast
import random
import zlib
from dataclasses import dataclass, field

from mp_runtime import EAGAIN, POLLIN, POLLNVAL, POLLOUT, PortError, Stream, buffer_view

from .peer import Peer

ALERT, HANDSHAKE, DATA = 21, 22, 23
CLOSE_NOTIFY = 0
HEADER_SIZE = 5
LARGEST_RECORD = 16384

# The certificates that a context can be given to trust: of the CA that has signed the server's, and of another one
AUTHORITY, OTHER_AUTHORITY = b"the authority", b"another authority"

_VERSION = b"\x03\x03"
_CHECKSUM_SIZE = 4
_HELLO, _CERTIFICATE, _FINISHED, _TICKET = b"hello", b"certificate", b"finished", b"ticket"
_READY = POLLIN | POLLOUT

# axTLS
_AXTLS_RECEIVES = 5067
_AXTLS_SENDS = 1024
_AXTLS_HEAP = 12000
_AXTLS_BLOCK = 5400
_AXTLS_KEEPS = 8500
_CONN_LOST, _RECORD_OVERFLOW, _INVALID_HMAC, _INVALID_VERSION = -256, -257, -262, -263
_AXTLS_NAMES = {
    _CONN_LOST: "CONN_LOST", _RECORD_OVERFLOW: "RECORD_OVERFLOW", _INVALID_HMAC: "INVALID_HMAC",
    _INVALID_VERSION: "INVALID_VERSION",
}  # fmt: skip

# mbedTLS
_MODES = {"CERT_NONE": 0, "CERT_OPTIONAL": 1, "CERT_REQUIRED": 2}
_MBEDTLS_SENDS = 4096
_IDF_STARVED = 31 * 1024
_IDF_KEEPS = 26 * 1024
_REFUSED, _INVALID_MAC, _INVALID_RECORD, _CONNECTION_EOF, _FATAL_ALERT = -0x2700, -0x7180, -0x7200, -0x7280, -0x7780


@dataclass(frozen=True)
class Tls:
    """How a server speaks TLS; `board.listen(..., tls=Tls(...))`.

    `answer` is what it does to the client's hello: "certificate", the good answer, "alert", "plain" (HTTP), "never",
    "fin", "reset", "garbage"; `after_ms` how late. `names` are those of its certificate, `fault` what is wrong with it
    ("expired"...). `client_certificate` is the one that it asks for. `record` is the largest plaintext that it sends in
    one record; `pieces` the largest part of a record in one TCP segment, None for no cuts, random from `seed`, with
    pauses of up to `pause_ms` between.
    """

    answer: str = "certificate"
    after_ms: int = 0
    names: tuple = ("server.local",)
    fault: str | None = None
    client_certificate: bytes | None = None
    record: int = LARGEST_RECORD
    pieces: int | None = None
    pause_ms: int = 0
    seed: int = 0


@dataclass
class Records:
    """One direction of a connection: makes records, or takes them apart; `cipher` tells both directions apart."""

    cipher: int
    number: int = 0
    buffer: bytearray = field(default_factory=bytearray)

    def seal(self, kind, content):
        """Return a record."""
        sealed = self._crypt(content + self._checksum(content))
        self.number += 1
        return bytes((kind,)) + _VERSION + len(sealed).to_bytes(2, "big") + sealed

    @property
    def wanted(self):
        """How many bytes are missing of the header, or of the record."""
        if len(self.buffer) < HEADER_SIZE:
            return HEADER_SIZE - len(self.buffer)
        return HEADER_SIZE + self.announced - len(self.buffer)

    @property
    def announced(self):
        """The length that the header tells."""
        return int.from_bytes(self.buffer[3:HEADER_SIZE], "big")

    def header_is_good(self):
        """Tell whether the header is that of a record."""
        return self.buffer[0] in (ALERT, HANDSHAKE, DATA) and self.buffer[1:3] == _VERSION

    def open(self):
        """Return (kind, content) of the complete record, content None where the checksum is wrong."""
        kind = self.buffer[0]
        plain = self._crypt(self.buffer[HEADER_SIZE:])
        self.buffer.clear()
        content, checksum = plain[:-_CHECKSUM_SIZE], plain[-_CHECKSUM_SIZE:]
        good = checksum == self._checksum(content)
        self.number += 1
        return kind, content if good else None

    def _crypt(self, data):
        pad = random.Random(self.number << 8 | self.cipher).randbytes(len(data))
        return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")

    def _checksum(self, content):
        return zlib.crc32(content, self.number).to_bytes(_CHECKSUM_SIZE, "big")


def _is_pem(data):
    return data is not None and data.startswith(b"-----BEGIN ")


def _records():
    """Return the records of both directions: the client's, the server's."""
    return Records(1), Records(2)


class TlsPeer(Peer):
    """A server's end of TLS: what it sends goes out in records, what came is plaintext, `segments` are records.

    `hello` is what the client said first: {"name": server name or None, "certificate": bytes or None, "tickets":
    whether it takes session tickets}; `alerts` are the numbers of the client's alerts.
    """

    def __init__(self, clock, connection, upgrade, script):
        super().__init__(clock, connection, upgrade)
        self.script = script
        self.hello = None
        self.alerts = []
        self._random = random.Random(script.seed)
        self._from_client, self._to_client = _records()

    # What it does

    def send(self, data, after_ms=0):
        """Send plaintext, in records as the script cuts them."""
        for start in range(0, len(data), self.script.record):
            self.record(DATA, data[start : start + self.script.record], after_ms)

    def record(self, kind, content, after_ms=0):
        """Send one record, cut into segments as the script asks."""
        sealed = self._to_client.seal(kind, bytes(content))
        largest = self.script.pieces or len(sealed)
        while sealed:
            size = self._random.randint(1, largest) if self.script.pieces else largest
            self.raw(sealed[:size], after_ms)
            sealed = sealed[size:]
            after_ms = self._ready_ms - self._clock.now + self._random.randint(0, self.script.pause_ms)

    def records(self, *contents, after_ms=0):
        """Send several records of plaintext in one piece, on top of what TCP does."""
        self.raw(b"".join(self._to_client.seal(DATA, content) for content in contents), after_ms)

    def raw(self, data, after_ms=0):
        """Send bytes below TLS."""
        super().send(data, after_ms)

    def alert(self, number, after_ms=0):
        """Send an alert."""
        self.record(ALERT, bytes((1 if number == CLOSE_NOTIFY else 2, number)), after_ms)

    def close_notify(self, after_ms=0):
        """Say that nothing more will come."""
        self.alert(CLOSE_NOTIFY, after_ms)

    # The wire's side

    def segment(self, data):
        """A segment came: take the records in it."""
        records = self._from_client
        while data:
            size = records.wanted
            records.buffer += data[:size]
            data = data[size:]
            if len(records.buffer) > HEADER_SIZE and not records.wanted:
                kind, content = records.open()
                if content is None:
                    raise AssertionError("a record of the client is damaged, or one before it was lost")
                self._took(kind, content)

    # Inside

    def _took(self, kind, content):
        if kind == DATA:
            super().segment(content)
        elif kind == ALERT:
            self.alerts.append(content[1])
        elif content.startswith(_HELLO):
            self.hello = ast.literal_eval(content[len(_HELLO) :].decode())
            getattr(self, f"_answer_{self.script.answer}")(self.script.after_ms)
        else:
            self.record(HANDSHAKE, _FINISHED)
            if self.hello["tickets"]:
                self.record(HANDSHAKE, _TICKET)

    def _answer_certificate(self, after_ms):
        asked = self.script.client_certificate
        if asked is not None and self.hello["certificate"] != asked:
            self.alert(40, after_ms)
            return
        told = "\n".join([self.script.fault or "", *self.script.names])
        self.record(HANDSHAKE, _CERTIFICATE + told.encode(), after_ms)

    def _answer_alert(self, after_ms):
        self.alert(40, after_ms)

    def _answer_plain(self, after_ms):
        self.raw(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", after_ms)
        self.close(after_ms)

    def _answer_garbage(self, after_ms):
        self.raw(bytes(range(200, 256)), after_ms)

    def _answer_never(self, after_ms):
        pass

    def _answer_fin(self, after_ms):
        self.close(after_ms)

    def _answer_reset(self, after_ms):
        self.reset(after_ms)


class _Socket(Stream):
    """What both libraries' sockets share: the handshake's messages and the records."""

    def __init__(self, board, raw, context, server_hostname):
        self._board = board
        self._raw = raw
        self._context = context
        self._name = server_hostname
        self._to_server, self._from_server = _records()
        self._plain = bytearray()

    def setblocking(self, flag):
        """Change the raw socket."""
        self._raw.setblocking(flag)

    def _hand_over(self, view):
        count = min(len(view), len(self._plain))
        view[:count] = self._plain[:count]
        del self._plain[:count]
        return count

    def _hello(self):
        said = {"name": self._name, "certificate": self._context.certificate, "tickets": self._tickets}
        return self._to_server.seal(HANDSHAKE, _HELLO + repr(said).encode())


class AxTlsSocket(_Socket):
    """axTLS's SSLSocket. One buffer serves both directions, and nothing checks whether that goes well."""

    _tickets = False

    def __init__(self, board, raw, context, server_hostname):
        super().__init__(board, raw, context, server_hostname)
        self._blocking = True
        self._ready = False
        self._dead = False  # reads and writes give 0
        self._closed = False
        if _is_pem(context.certificate):
            raise ValueError("invalid cert")
        if board.mem_free < _AXTLS_HEAP or not board.has_block(_AXTLS_BLOCK):
            board.crash("axTLS: no memory for a connection, which it does not check")
        self._send(self._hello())
        while not self._ready:
            error = self._advance()
            if error is not None:
                error = error or board.profile.numbers["ENOTCONN"]
                raise PortError(error, *self._named(error))
        board.mem_free -= _AXTLS_KEEPS

    def setblocking(self, flag):
        """Change the raw socket and the socket's own flag."""
        super().setblocking(flag)
        self._blocking = bool(flag)

    def close(self):
        """Say farewell, which waits for room, then close the raw socket."""
        if self._closed:
            return
        self._closed = True
        self._board.mem_free += _AXTLS_KEEPS
        self._send(self._to_server.seal(ALERT, bytes((1, CLOSE_NOTIFY))))
        self._raw.close()

    # Inside

    def _receive(self, view):
        if self._closed:
            raise PortError(self._board.profile.numbers["EBADF"])
        while not self._plain:
            error = 0 if self._dead else self._advance()
            if error in (0, _CONN_LOST):
                return 0
            if error:
                raise PortError(error, *self._named(error))
            if not self._plain and not self._blocking:
                raise PortError(EAGAIN)
        return self._hand_over(view)

    def _transmit(self, view):
        if self._closed:
            raise PortError(self._board.profile.numbers["EBADF"])
        if self._dead:
            return 0
        if self._plain:
            self._board.crash(f"axTLS: a write over {len(self._plain)} decrypted bytes that nobody has read")
        if self._from_server.buffer:
            self._board.crash("axTLS: a write over a part of a record")
        for start in range(0, len(view), _AXTLS_SENDS):
            if not self._send(self._to_server.seal(DATA, bytes(view[start : start + _AXTLS_SENDS]))):
                return 0
        return len(view)

    def _send(self, record):
        """Send a record, as the raw socket's time-out allows; False where that has ended the session."""
        while record and not self._dead:
            try:
                record = record[self._raw._transmit(memoryview(record)) :]
            except PortError as error:
                if error.errno == EAGAIN:
                    self._board.crash("axTLS: a write spins, for the raw socket does not block")
                self._dead = True
        return not self._dead

    def _advance(self):
        """Read on: one call of axTLS. Return None for progress, 0 for close_notify, else the number of the error."""
        records = self._from_server
        piece = bytearray(records.wanted)
        try:
            count = self._raw._receive(memoryview(piece))
        except PortError as error:
            if error.errno == EAGAIN:
                return EAGAIN
            count = 0
        if not count:
            return self._died(_CONN_LOST)
        records.buffer += piece[:count]
        if len(records.buffer) < HEADER_SIZE:
            return None
        if not records.header_is_good():
            return self._died(_INVALID_VERSION)
        if records.announced - _CHECKSUM_SIZE > _AXTLS_RECEIVES:
            return self._died(_RECORD_OVERFLOW)
        return None if records.wanted else self._took(*records.open())

    def _took(self, kind, content):
        if content is None:
            return self._died(_INVALID_HMAC)
        if kind == ALERT:
            return self._died(-content[1])  # 0 for close_notify
        if kind == DATA:
            self._plain += content
        elif content.startswith(_CERTIFICATE):  # whatever it says
            self._send(self._to_server.seal(HANDSHAKE, _FINISHED))
        else:
            self._ready = True
        return None

    def _died(self, error):
        self._dead = True
        return error

    def _named(self, error):
        return [_AXTLS_NAMES[error]] if self._board.version >= (1, 28) and error in _AXTLS_NAMES else []


class MbedTlsSocket(_Socket):
    """mbedTLS's SSLSocket: everything may give None, the handshake advances in reads and writes."""

    _tickets = True

    def __init__(self, board, raw, context, server_hostname):
        super().__init__(board, raw, context, server_hostname)
        self._starved = board.idf_free is not None and board.idf_free < _IDF_STARVED
        if board.idf_free is not None:
            if board.idf_free < _IDF_KEEPS:
                raise PortError(board.profile.numbers["ENOMEM"])
            board.idf_free -= _IDF_KEEPS
        self._unsent = self._hello()
        self._written = None  # the plaintext whose record is not sent as a whole
        self._stage = "hello"
        self._needs = 0
        self._error = None
        self._over = self._ended = False
        self._closed = False
        if board.version >= (1, 25):
            self.recv = self._read_once

    def close(self):
        """Close the raw socket, without a farewell; not after a handshake that has failed, which has let it go."""
        if self._closed:
            return
        self._closed = True
        if self._board.idf_free is not None:
            self._board.idf_free += _IDF_KEEPS
        if self._stage == "ready" or self._error in (None, _CONNECTION_EOF):
            self._raw.close()

    def shake_hands(self):
        """Go through the handshake, which has no time-out."""

        def done():
            try:
                self._call(self._handshake)
            except BlockingIOError:
                return False
            return True

        self._board.wait(None, done)

    def poll_flags(self, mask):
        """Return the poll flags: of the raw socket, but for what the library knows better."""
        if self._closed or self._error is not None:
            return POLLNVAL
        asked = mask & _READY
        if self._needs and asked:
            found = self._raw.poll_flags(mask & ~_READY | self._needs)
            return found | asked if found & self._needs else found
        pending = POLLIN if mask & POLLIN and self._plain else 0
        if pending and mask == POLLIN:
            return POLLIN
        return pending | self._raw.poll_flags(mask)

    # Inside

    def _read_once(self, size):
        """Read what is there: one call of the library; None for nothing."""
        buffer = bytearray(size)
        try:
            count = self._receive(memoryview(buffer))
        except PortError as error:
            if error.errno != EAGAIN:
                raise
            return None
        return bytes(buffer[:count])

    def _receive(self, view):
        return self._call(self._read, view)

    def _transmit(self, view):
        return self._call(self._write, bytes(view[:_MBEDTLS_SENDS]))

    def _call(self, operation, *arguments):
        if self._error is not None:
            raise PortError(self._error)
        if self._closed:
            raise PortError(self._board.profile.numbers["EINVAL"])
        self._needs = 0
        shaking = self._stage != "ready"
        try:
            return operation(*arguments)
        except BlockingIOError:
            raise PortError(EAGAIN) from None
        except ValueError:
            self._error = _REFUSED
            raise
        except PortError as error:
            number = error.errno
            if number > 0:  # the raw socket's: it comes out as it is only from the handshake before 1.28
                self._error = -number if self._board.version < (1, 28) else number
                number = number if shaking else self._error
            else:
                self._error = number
            raise PortError(number) from None

    def _flush(self):
        while self._unsent:
            try:
                self._unsent = self._unsent[self._raw._transmit(memoryview(self._unsent)) :]
            except PortError as error:
                if error.errno != EAGAIN:
                    raise
                self._needs = POLLOUT
                raise BlockingIOError from None

    def _take(self):
        """Read one record from TCP and return (kind, content), None at the end; BlockingIOError for a part."""
        records = self._from_server
        while len(records.buffer) < HEADER_SIZE or records.wanted:
            piece = bytearray(records.wanted)
            try:
                count = self._raw._receive(memoryview(piece))
            except PortError as error:
                if error.errno != EAGAIN:
                    raise
                raise BlockingIOError from None
            if not count:
                return None
            records.buffer += piece[:count]
            if len(records.buffer) == HEADER_SIZE:
                if not records.header_is_good() or records.announced > LARGEST_RECORD + _CHECKSUM_SIZE:
                    raise PortError(_INVALID_RECORD)
        kind, content = records.open()
        if content is None:
            raise PortError(_INVALID_MAC)
        if kind == ALERT and content[1] != CLOSE_NOTIFY:
            raise PortError(_FATAL_ALERT)
        return kind, content

    def _handshake(self):
        while self._stage != "ready":
            self._flush()
            if self._stage == "finished":
                self._stage = "ready"
                return
            self._needs = POLLIN
            if self._starved:
                raise BlockingIOError
            took = self._take()
            if took is None:
                raise PortError(_CONNECTION_EOF)
            self._needs = 0
            content = took[1]
            if self._stage == "hello":
                self._verify(content[len(_CERTIFICATE) :].decode().split("\n"))
                self._unsent = self._to_server.seal(HANDSHAKE, _FINISHED)
                self._stage = "certificate"
            else:
                self._stage = "finished"

    def _verify(self, told):
        fault, *names = told
        if self._context.verify_mode == 0:
            return
        text = fault or self._context.refuses(names, self._name)
        if text:
            self._unsent = self._to_server.seal(ALERT, bytes((2, 42)))
            self._flush()
            raise ValueError(f"\n{text}\n")

    def _read(self, view):
        self._handshake()
        while not self._plain:
            if self._ended:
                return 0
            took = self._take()
            if took is None:
                self._ended = True
                return 0
            kind, content = took
            if kind == ALERT:
                if not self._over:
                    self._over = True
                    return 0
            elif kind == DATA:
                self._plain += content
            else:  # a session ticket
                raise BlockingIOError
        return self._hand_over(view)

    def _write(self, data):
        self._handshake()
        if self._written is not None:
            if data != self._written:
                self._board.crash("mbedTLS: other data than before the None, which it would drop")
        else:
            self._written = data
            self._unsent = self._to_server.seal(DATA, data)
        self._flush()
        self._written = None
        return len(data)


class _Context:
    """What both libraries' SSLContext share."""

    def __init__(self, board):
        self._board = board
        self.certificate = None

    def load_cert_chain(self, cert, key):
        """Take the client's own certificate; neither is looked at now."""
        self.certificate = bytes(buffer_view(cert))


def _axtls(board):
    """Return what the module of axTLS has."""

    class SSLContext(_Context):
        """axTLS's: it cannot verify."""

        def __init__(self, protocol):
            super().__init__(board)

        @property
        def verify_mode(self):
            """CERT_NONE, whatever is stored."""
            return 0

        @verify_mode.setter
        def verify_mode(self, value):
            pass

        def wrap_socket(self, sock, *, server_side=False, do_handshake_on_connect=True, server_hostname=None):
            """Return the SSLSocket, whose handshake blocks as the raw socket's time-out says."""
            return _wrap_axtls(board, self, sock, server_hostname, do_handshake_on_connect)

    return {"SSLContext": SSLContext, "PROTOCOL_TLS_CLIENT": 0, "PROTOCOL_TLS_SERVER": 1, "CERT_NONE": 0}


def _wrap_axtls(board, context, sock, server_hostname, shake_hands):
    board.enter("wrap_socket")
    if not shake_hands:
        board.crash("axTLS: without the handshake, early writes go out in clear text")
    return AxTlsSocket(board, sock, context, server_hostname)


def _mbedtls(board):
    """Return what the module of mbedTLS has."""

    class SSLContext(_Context):
        """mbedTLS's: it verifies unless told otherwise."""

        def __init__(self, protocol):
            super().__init__(board)
            self.verify_mode = 2
            self._trusted = []

        def load_verify_locations(self, cadata):
            """Trust a CA: AUTHORITY or OTHER_AUTHORITY; anything else is no certificate."""
            if bytes(cadata) not in (AUTHORITY, OTHER_AUTHORITY):
                raise ValueError("invalid cert")
            self._trusted.append(bytes(cadata))

        def wrap_socket(self, sock, *, server_side=False, do_handshake_on_connect=True, server_hostname=None):
            """Return the SSLSocket."""
            board.enter("wrap_socket")
            if self.verify_mode == 2 and server_hostname is None:
                raise ValueError("CERT_REQUIRED requires server_hostname")
            wrapped = MbedTlsSocket(board, sock, self, server_hostname)
            if do_handshake_on_connect:
                wrapped.shake_hands()
            return wrapped

        def refuses(self, names, asked):
            """Return why a certificate of these names is not accepted, None for one that is."""
            if AUTHORITY not in self._trusted:
                return "The certificate is not correctly signed by the trusted CA"
            literal = asked.replace(".", "").isdigit()
            if asked not in names or (literal and board.version < (1, 25)):
                return "The certificate Common Name (CN) does not match with the expected CN"
            return None

    names = {"SSLContext": SSLContext, "PROTOCOL_TLS_CLIENT": 0, "PROTOCOL_TLS_SERVER": 1} | _MODES
    return names if board.version < (1, 22) else names | {"MBEDTLS_VERSION": "Mbed TLS 3.6.2"}


def library(board):
    """Return (name, content) of the firmware's TLS module: `tls` from 1.23 on, `ssl` before."""
    content = (_axtls if board.profile.name == "esp8266" else _mbedtls)(board)
    return "tls" if board.version >= (1, 23) else "ssl", content
