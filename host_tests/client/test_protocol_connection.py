"""Connection of _wsprotocol: what is written, in which order, and what an interrupted write leaves."""

import pytest

from _wsprotocol import Connection
from servers import wire

_IN, _OUT, _HUP = 1, 4, 16
_BINARY = 0x82


class _Socket:
    """A socket that takes what `takes` says, one number for each write, then everything."""

    def __init__(self, takes=()):
        self.takes = list(takes)
        self.sent = bytearray()

    def write(self, buffer, start, n):
        """Take some of it; raise what stands in place of a number."""
        taken = self.takes.pop(0) if self.takes else n
        if isinstance(taken, BaseException):
            raise taken
        self.sent += buffer[start : start + min(n, taken or 0)]
        return taken and min(n, taken)


def _connection(takes=(), tls=False):
    connection = Connection()
    connection.raw = connection.socket = _Socket(takes)
    if tls:
        connection.raw = _Socket()
    connection.buffer = connection.out_buf = bytearray(144)
    connection.maxsize = 968
    connection.waiting = False
    return connection


def _frames(connection):
    rest = bytes(connection.socket.sent)
    found = []
    while rest:
        frame, size = wire.parse(rest)
        found.append((frame.opcode, frame.payload))
        rest = rest[size:]
    return found


def _send(connection, payload):
    view = memoryview(payload)
    connection.more = True
    done = 0
    while connection.more:
        done = connection.fill(_BINARY, view, done)
        while not connection.flush(False):
            pass


@pytest.mark.parametrize("takes", [(), (1,) * 40, (None, 3, None, None, 5)], ids=["whole", "bytes", "pauses"])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 128, 129, 484, 485, 968, 969, 5000])
def test_frame_written_in_any_steps_arrives_whole(size, takes):
    payload = bytes(i & 255 for i in range(size))
    connection = _connection(takes)
    _send(connection, payload)
    assert _frames(connection) == [(wire.BINARY, payload)]
    assert connection.buffer is connection.out_buf and not connection.torn


@pytest.mark.parametrize("close", [b"", b"\x03\xe8"], ids=["empty", "code"])
def test_control_frames_that_wait_go_out_pong_first_and_nothing_after_the_close(close):
    connection = _connection()
    connection.ping, connection.close, connection.pong = True, close, b""
    assert connection.flush(True)
    assert _frames(connection) == [(wire.PONG, b""), (wire.CLOSE, close)]
    connection.pong = b"late"
    assert connection.flush(True)
    assert len(_frames(connection)) == 2 and connection.close is False and not connection.waiting


def test_control_frames_wait_while_a_message_is_under_way():
    connection = _connection()
    connection.pong = b"p"
    payload = bytes(2000)
    _send(connection, payload)
    assert _frames(connection) == [(wire.BINARY, payload)]
    assert connection.flush(True)
    assert _frames(connection)[1:] == [(wire.PONG, b"p")]


@pytest.mark.parametrize(
    ("takes", "tls", "torn"),
    [((None,), False, False), ((3, None), False, True), ((None,), True, True)],
    ids=["nothing-taken", "a-part-taken", "nothing-taken-by-tls"],
)
def test_write_without_room_shows_whether_a_part_of_the_frame_is_out(takes, tls, torn):
    connection = _connection(takes, tls)
    connection.more = True
    connection.fill(_BINARY, memoryview(b"abc"), 0)
    assert not connection.flush(False)
    assert (connection.torn, connection.waiting) == (torn, True)
    assert connection.flush(False)
    assert _frames(connection) == [(wire.BINARY, b"abc")]


def test_write_that_is_interrupted_is_unsure():
    connection = _connection([KeyboardInterrupt()])
    connection.fill(_BINARY, memoryview(b"abc"), 0)
    with pytest.raises(KeyboardInterrupt):
        connection.flush(False)
    assert connection.torn is None


def test_write_of_a_dead_session_raises_a_reset():
    connection = _connection([0])
    connection.fill(_BINARY, memoryview(b"abc"), 0)
    with pytest.raises(OSError):
        connection.flush(False)


@pytest.mark.parametrize(
    ("pending", "held", "task", "flags"),
    [
        (False, False, "task", _IN), (False, False, None, _IN), (True, False, "task", _IN | _OUT),
        (True, False, None, _OUT), (True, True, "task", _IN), (True, True, None, _IN),
    ],
)  # fmt: skip
def test_mask_is_made_of_what_is_waited_for(pending, held, task, flags):
    connection = _connection()
    connection.waiting, connection.locked, connection.task = pending, held, task
    assert connection.mask() == flags | _HUP


def test_connection_without_a_poller_waits_for_nothing():
    connection = _connection()
    connection.ready = False
    connection.wait(_IN, 1000)
    assert not connection.ready


def test_connection_released_twice_or_without_a_socket_is_released():
    connection = Connection()
    connection.release()
    connection.release()
    assert connection.socket is connection.raw is connection.poller is None


class _Poller:
    def __init__(self):
        self.flags = None
        self.full = True

    def modify(self, pollable, flags):
        if self.full:
            raise MemoryError
        self.flags = flags

    def ipoll(self, timeout_ms):
        return ()


def test_wait_that_found_no_memory_for_its_flags_sets_them_the_next_time():
    connection = Connection()
    connection.poller = poller = _Poller()
    with pytest.raises(MemoryError):
        connection.wait(_IN, 0)
    poller.full = False
    connection.wait(_IN, 0)
    assert poller.flags == _IN
