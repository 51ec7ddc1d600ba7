"""The scripted server, seen by the `websockets` client and by plain sockets."""

import errno
import socket
import ssl

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidHandshake, InvalidStatus
from websockets.sync.client import connect

from servers import steps, tls, wire
from servers.raw import RawServer
from servers.scenarios import SCENARIOS, SCRIPTS

_REQUEST = "GET /{} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
_GOOD = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
_LOWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


@pytest.fixture(scope="module")
def scripted():
    with RawServer(SCRIPTS) as server:
        yield server


def _open(server, target):
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    sock.sendall(_REQUEST.format(target).encode())
    return sock


def _exchange(script, sends=b"", then_fin=True):
    """Play one script to a plain socket; return all bytes that came, and the record."""
    with RawServer({"x": script}) as server, _open(server, "x") as sock:
        sock.sendall(sends)
        if then_fin:
            sock.shutdown(socket.SHUT_WR)
        data = bytearray()
        while part := sock.recv(1 << 16):
            data += part
        sock.close()
        return bytes(data), server.record("x")


_SENT = [
    ("correct-reply", [steps.Reply()], _GOOD),
    ("dropped-header", [steps.Reply(headers={"Upgrade": None})], _GOOD.replace(b"Upgrade: websocket\r\n", b"")),
    ("changed-header", [steps.Reply(headers={"Upgrade": "h2c"})], _GOOD.replace(b": websocket", b": h2c")),
    ("other-status", [steps.Reply("HTTP/1.1 404 No")], _GOOD.replace(b"101 Switching Protocols", b"404 No")),
    ("more-lines", [steps.Reply(lines=b"a:b\r\n")], _GOOD[:-2] + b"a:b\r\n\r\n"),
    ("lower-case", [steps.Recase("lower")], _LOWER),
    ("raw", [steps.Raw(b"\0\1"), steps.Raw(b"\2")], b"\0\1\2"),
    ("frame", [steps.Frame(wire.TEXT, b"hi", rsv=1)], b"\x91\x02hi"),
    ("close", [steps.Close(1001, b"x")], b"\x88\x03\x03\xe9x"),
    ("empty-close", [steps.Close()], b"\x88\x00"),
    ("together", [steps.Together((steps.Raw(b"a"), steps.Frame(wire.PING)))], b"a\x89\x00"),
    ("times", [steps.Times(3, steps.Raw(b"ab"))], b"ababab"),
    ("split", [steps.Split(steps.Raw(b"abcdef"), (2, 3))], b"abcdef"),
    ("drip", [steps.Drip(steps.Raw(b"abcdef"))], b"abcdef"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "expected"), [pytest.param(*rest, id=name) for name, *rest in _SENT])
def test_step_that_sends_puts_its_bytes_on_the_wire(script, expected):
    data, record = _exchange(script)
    assert data == expected
    assert record.trouble is None


def test_split_arrives_in_its_parts():
    with (
        RawServer({"x": [steps.Split(steps.Raw(b"abcdef"), (2,), pause_ms=100)]}) as server,
        _open(server, "x") as sock,
    ):
        assert (sock.recv(100), sock.recv(100)) == (b"ab", b"cdef")


def test_record_holds_the_request_and_every_frame():
    frames = wire.frame(wire.TEXT, b"one", key=b"abcd") + wire.frame(wire.CLOSE, b"\x03\xe8", key=b"efgh")
    data, record = _exchange([steps.Reply()], frames, then_fin=False)
    assert data == _GOOD + b"\x88\x02\x03\xe8"
    assert record.target == "/x" and record.header("HOST") == "x" and record.header("absent") is None
    assert [(came.opcode, came.payload, came.key) for came in record.frames] == [
        (1, b"one", b"abcd"),
        (8, b"\x03\xe8", b"efgh"),
    ]
    assert (record.close_code, record.first, record.ending) == (1000, "server", "fin")


def test_record_of_client_that_leaves_first_says_so():
    _, record = _exchange([steps.Reply(), steps.Listen(1000)])
    assert (record.first, record.ending, record.close_code) == ("client", "fin", None)


def test_record_of_client_that_resets_says_so():
    with RawServer({"x": [steps.Reply(), steps.Listen(1000)]}) as server:
        sock = _open(server, "x")
        assert sock.recv(1)
        sock.close()  # the rest of the reply is unread: RST
        record = server.record("x")
    assert (record.first, record.ending) == ("client", "rst")


def test_record_of_fault_in_a_script_names_it():
    _, record = _exchange([steps.Raw("not bytes")])
    assert "TypeError" in record.trouble


def test_record_of_unknown_target_is_none():
    with RawServer({}) as server:
        assert server.record("nobody", timeout_s=0) is None


def test_reset_reaches_the_client_as_reset():
    with RawServer({"x": [steps.Reset()]}) as server, _open(server, "x") as sock:
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        assert server.record("x").ending == "reset"


def test_endless_ends_with_the_client():
    with RawServer({"x": [steps.Endless(steps.Raw(b"x" * 100))]}) as server:
        sock = _open(server, "x")
        sock.recv(1000)
        sock.close()
        assert server.record("x").first == "client"


def test_echo_gives_back_data_frames_and_answers_pings():
    sent = [(wire.TEXT, b"a"), (wire.PING, b"p"), (wire.BINARY, b"b" * 70000), (wire.CLOSE, b"\x03\xe8")]
    data, _ = _exchange([steps.Reply(), steps.Echo()], b"".join(wire.frame(*part, key=b"1234") for part in sent), False)
    expected = [(wire.PONG if opcode == wire.PING else opcode, payload) for opcode, payload in sent]
    assert data == _GOOD + b"".join(wire.frame(*part) for part in expected)


def test_answer_pings_sends_as_many_pongs():
    data, _ = _exchange([steps.AnswerPings(2)], wire.frame(wire.PING, b"p", key=b"1234") * 3)
    assert data == wire.frame(wire.PONG, b"p") * 2


def test_stuff_reads_only_when_the_client_takes_nothing():
    flood = 10_000_000
    script = [steps.Pause(300), steps.Stuff(steps.Times(flood // 10, steps.Raw(b"x" * 10)), patience_ms=50)]
    with RawServer({"x": script}) as server, _open(server, "x") as sock:
        sock.settimeout(5)
        sending = wire.frame(wire.BINARY, b"y" * (1 << 24), key=b"1234")
        sock.sendall(sending)  # more than the buffers hold: done only when the server has read
        came = 0
        while came < flood:
            came += len(sock.recv(1 << 20))
        sock.shutdown(socket.SHUT_WR)
        assert [len(frame.payload) for frame in server.record("x").frames] == [1 << 24]


def test_closed_port_refuses(scripted):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", scripted.closed_port), timeout=5)


def test_full_port_never_answers(scripted):
    with pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", scripted.full_port), timeout=0.3)


def test_multicast_address_of_scenario_is_unreachable_at_once():
    with pytest.raises(OSError) as raised:
        socket.create_connection(("224.0.0.1", 80), timeout=5)
    assert raised.value.errno == errno.ENETUNREACH


def test_unresolvable_host_of_scenario_fails():
    with pytest.raises((socket.gaierror, UnicodeError)):
        socket.getaddrinfo(b"a" * 64 + b".invalid", 80)


_HANDSHAKES = {
    "reply-404": InvalidStatus,
    "reply-without-upgrade": InvalidHandshake,
    "reply-wrong-connection": InvalidHandshake,
    "reply-wrong-accept": InvalidHandshake,
    "reply-subprotocol-not-asked-for": InvalidHandshake,
    "reply-extension-not-offered": InvalidHandshake,
}


@pytest.mark.parametrize(("name", "error"), _HANDSHAKES.items(), ids=list(_HANDSHAKES))
def test_bad_reply_is_refused_by_websockets_too(scripted, name, error):
    with pytest.raises(error):
        connect(scripted.url(name), compression=None, close_timeout=1)


_ENDS = [
    name for name, scenario in SCENARIOS.items()
    if scenario.status in (-202, -207, -15) and not scenario.data and not scenario.config
    # That library takes lengths in any form.
    and not name.startswith("length-") and name not in ("ping-in-longer-form", "frame-bad-byte-by-byte")
]  # fmt: skip


@pytest.mark.parametrize("name", _ENDS)
def test_scenario_against_the_rules_fails_websockets_with_the_same_code(scripted, name):
    with connect(scripted.url(name), compression=None, close_timeout=1, max_size=1 << 64) as client:
        with pytest.raises(ConnectionClosedError):
            while True:
                client.recv(5)
    assert scripted.record(name).close_code == SCENARIOS[name].sent


_TALKS = [
    name for name, scenario in SCENARIOS.items()
    if scenario.status == -6 and scenario.received and not scenario.config and scenario.heap is None
    # The one takes too long, the other has more fragments than that library takes.
    and name not in ("message-one-byte-a-second", "flood-of-empty-fragments")
]  # fmt: skip


@pytest.mark.parametrize("name", _TALKS)
def test_scenario_within_the_rules_brings_websockets_the_same_messages(scripted, name):
    expected = SCENARIOS[name].received
    with connect(scripted.url(name), compression=None, close_timeout=1) as client:
        came = [client.recv(5) for _ in expected]
    assert [(wire.TEXT, part.encode()) if isinstance(part, str) else (wire.BINARY, part) for part in came] == list(
        expected
    )
    assert scripted.record(name).close_code == SCENARIOS[name].sent


def test_close_notify_to_a_client_that_has_gone_is_no_trouble():
    script = [steps.Reply(), steps.Pause(300), tls.CloseNotify(), steps.Fin()]
    with tls.Authority() as authority, tls.TlsServer({"x": script}, authority.context()) as server:
        trust = ssl.create_default_context(cafile=authority.file("ca.pem"))
        with trust.wrap_socket(socket.create_connection((tls.ADDRESS, server.port)), server_hostname=tls.HOST) as sock:
            sock.sendall(_REQUEST.format("x").encode())
            assert sock.recv(1) == b"H"
            socket.socket.shutdown(sock, socket.SHUT_WR)
            assert server.record("x").trouble is None
