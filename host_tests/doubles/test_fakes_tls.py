"""The scripted TLS libraries by themselves: what a program may not do to them, and what they give back."""

import pytest

import fakes
from fakes.tls import AUTHORITY, DATA
from mp_runtime import POLLIN, POLLNVAL, POLLOUT

HOST, PORT = "10.0.0.2", 443
NAME = "server.local"


class Connected:
    """A board with a plain connected socket to a server of TLS; `wrap()` gives the library's socket over it."""

    def __init__(self, port, version=fakes.NEWEST, **script):
        self.board = fakes.board(port, version)
        server = self.board.listen(HOST, PORT, tls=fakes.Tls(**script))
        self.raw = self.board.new_socket()
        self.raw.connect(self.board.getaddrinfo(HOST, PORT)[0][-1])
        self.peer = server.accept()

    def wrap(self, **more):
        tls = self.board.import_module("tls")
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_NONE
        return context.wrap_socket(self.raw, server_hostname=NAME, **more)

    def wrapped(self):
        """Return a non-blocking SSLSocket after its handshake."""
        sock = self.wrap()
        self.raw.setblocking(False)
        return sock

    def crashes(self, text):
        """Expect a crash for that reason."""
        return pytest.raises(fakes.BoardCrash, match=text)


def test_axtls_write_over_unread_bytes_crashes():
    one = Connected("esp8266")
    sock = one.wrapped()
    one.peer.send(b"0123456789")
    one.board.advance(50)
    assert sock.read(4) == b"0123"
    with one.crashes("decrypted bytes"):
        sock.write(b"x")


def test_axtls_write_over_half_a_record_crashes():
    one = Connected("esp8266")
    sock = one.wrapped()
    one.peer.raw(b"\x17\x03\x03\x00\x20half")
    one.board.advance(50)
    assert sock.read(4) is None
    with one.crashes("part of a record"):
        sock.write(b"x")


def test_axtls_write_without_room_crashes_unless_the_raw_socket_waits():
    one = Connected("esp8266")
    sock = one.wrapped()
    one.peer.stop_reading()
    with one.crashes("spins"):
        for _ in range(10):
            sock.write(bytes(1000))


def test_axtls_write_that_times_out_gives_0_for_ever():
    one = Connected("esp8266")
    sock = one.wrapped()
    one.peer.stop_reading()
    one.raw.settimeout(1)
    assert [sock.write(bytes(1000)) for _ in range(5)][-2:] == [0, 0]
    assert sock.read(1) == b""


def test_axtls_poll_does_not_see_decrypted_bytes():
    one = Connected("esp8266")
    sock = one.wrapped()
    one.peer.send(b"0123456789")
    one.board.advance(50)
    assert one.raw.poll_flags(POLLIN) == POLLIN
    sock.read(4)
    assert one.raw.poll_flags(POLLIN) == 0
    assert sock.read(6) == b"456789"


def test_axtls_own_flag_decides_how_many_reads_a_record_takes():
    one = Connected("esp8266")
    sock = one.wrapped()
    one.peer.send(b"0")
    one.board.advance(50)
    assert sock.read(1) == b"0"
    sock.setblocking(False)
    one.peer.send(b"1")
    one.board.advance(50)
    assert [sock.read(1), sock.read(1)] == [None, b"1"]


@pytest.mark.parametrize(("mem_free", "block"), [(11000, None), (25000, 5000)], ids=["all", "in-one-piece"])
def test_axtls_without_memory_crashes(mem_free, block):
    one = Connected("esp8266")
    one.board.mem_free, one.board.largest_block = mem_free, block
    with one.crashes("no memory"):
        one.wrap()


def test_axtls_without_the_handshake_crashes():
    with (one := Connected("esp8266")).crashes("clear text"):
        one.wrap(do_handshake_on_connect=False)


def test_axtls_has_only_the_methods_of_the_firmware():
    names = {name for name in dir(Connected("esp8266").wrapped()) if not name.startswith("_")}
    assert names == {"read", "readinto", "readline", "write", "setblocking", "close"}


def test_bytearray_larger_than_the_largest_block_is_a_memory_error():
    with fakes.board("esp8266") as board:
        board.largest_block = 1000
        made = board.execute("small = bytearray(1000)\nis_one = isinstance(small, bytearray)")
        assert made["is_one"] and type(made["small"]) is bytearray
        with pytest.raises(MemoryError):
            board.execute("bytearray(1001)")


def test_mbedtls_handshake_advances_in_writes():
    one = Connected("esp32")
    one.raw.setblocking(False)
    sock = one.wrap(do_handshake_on_connect=False)
    assert sock.write(b"hello") is None
    while sock.write(b"hello") is None:
        one.board.advance(1)
    one.board.advance(50)
    assert one.peer.received() == b"hello"


def test_mbedtls_other_data_after_none_crashes():
    one = Connected("esp32")
    sock = one.wrapped()
    one.peer.stop_reading()
    while sock.write(b"first" * 100) is not None:
        pass
    with one.crashes("other data"):
        sock.write(b"other" * 100)


def test_mbedtls_large_write_goes_out_in_records_of_4096():
    one = Connected("esp32")
    sock = one.wrapped()
    assert sock.write(bytes(10000)) == 4096
    for size in (4096, 1808):
        one.board.advance(100)
        assert sock.write(bytes(size)) == size
    one.board.advance(100)
    assert [size for _, size in one.peer.segments] == [4096, 4096, 1808]


def test_mbedtls_poll_tells_of_decrypted_bytes():
    one = Connected("esp32")
    sock = one.wrapped()
    one.board.advance(50)
    assert sock.read(1) is None  # the session ticket
    one.peer.send(b"0123456789")
    one.board.advance(50)
    sock.read(4)
    assert one.raw.poll_flags(POLLIN) == 0
    assert sock.poll_flags(POLLIN | POLLOUT) == POLLIN | POLLOUT


def test_mbedtls_after_close_notify_gives_the_end_once():
    one = Connected("esp32")
    sock = one.wrapped()
    one.peer.close_notify()
    one.board.advance(50)
    assert [sock.read(1) for _ in range(4)] == [None, b"", None, None]


@pytest.mark.parametrize(("version", "number"), [((1, 23), -104), ((1, 28), 104)], ids=["1.23", "1.28"])
def test_mbedtls_after_an_error_repeats_it_and_polls_nval(version, number):
    one = Connected("esp32", version)
    sock = one.wrapped()
    one.peer.reset()
    one.board.advance(50)
    for _ in range(2):
        with pytest.raises(OSError) as raised:
            while sock.read(1) is None:
                pass
        assert raised.value.errno == number
    assert sock.poll_flags(POLLIN) == POLLNVAL


def test_mbedtls_verifies_unless_told_otherwise():
    one = Connected("esp32", names=("other.example",))
    tls = one.board.import_module("tls")
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(AUTHORITY)
    with pytest.raises(ValueError, match="requires server_hostname"):
        context.wrap_socket(one.raw)
    with pytest.raises(ValueError, match="^\n.*\n$"):
        context.wrap_socket(one.raw, server_hostname=NAME)


@pytest.mark.parametrize(
    ("port", "version", "name"),
    [("esp8266", (1, 22), "ssl"), ("esp8266", (1, 23), "tls"), ("esp32", (1, 22), "ssl"), ("esp32", (1, 28), "tls"),
     ("unix", (1, 28), "tls")],
)  # fmt: skip
def test_library_has_the_name_of_its_firmware(port, version, name):
    with fakes.board(port, version) as board:
        found = [one for one in ("tls", "ssl") if one in _importable(board)]
        assert found == [name]


def _importable(board):
    for name in ("tls", "ssl"):
        try:
            board.import_module(name)
        except ImportError:
            pass
    return board.modules


def test_record_that_was_changed_is_not_accepted():
    one = Connected("esp32")
    sock = one.wrapped()
    sealed = []
    raw, one.peer.raw = one.peer.raw, lambda data, after_ms=0: sealed.append(bytearray(data))
    one.peer.record(DATA, b"0123456789")
    sealed[0][7] ^= 1
    raw(sealed[0])
    one.board.advance(50)
    with pytest.raises(OSError) as raised:
        while sock.read(1) is None:
            pass
    assert raised.value.errno == -0x7180
