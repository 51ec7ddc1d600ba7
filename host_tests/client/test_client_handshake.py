"""The opening handshake on each port: what a server may answer, what is told of it, and which address is tried."""

from types import SimpleNamespace

import pytest

from fakes import Tls
from fakes.tls import OTHER_AUTHORITY
from mp_runtime import PortError
from servers import wire
from support.client_session import FIRMWARE, HOST, PORT, URL, Session, each
from support.tls_session import ADDRESS, MBEDTLS, TlsSession
from support.tls_session import PORT as TLS_PORT

EAFNOSUPPORT = 97  # of the unix port, without a name in MicroPython's errno
OTHER_HOST = "10.0.0.9"
NAME = "server.example"
EARLY_MS = 500  # far less than connect_timeout_ms

EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nUpgrade: h2c\r\n\r\n"


def cookies(size):
    """Return header lines of `size` bytes in all, as (name, value)."""
    return [("X-Cookie", "c" * (min(size - start, 1000) - len("X-Cookie: \r\n"))) for start in range(0, size, 1000)]


# What comes before a right 101, its further headers -> it opens
GOOD = {
    "100": (b"HTTP/1.1 100 Continue\r\n\r\n", ()),
    "103 with headers, twice": (2 * EARLY_HINTS, ()),
    "199 without a phrase": (b"HTTP/1.1 199\r\n\r\n", ()),
    "16 KiB of headers that do not matter": (b"", cookies(16000)),
    "a header of 8 KiB": (b"", [("Content-Security-Policy", "x" * 8000)]),
    "a header named as a part of one that matters": (b"", [("Accept", "x"), ("Sec-WebSocket", "y")]),
}

# The whole answer -> status, http_status, what ws.error tells
REFUSED = {
    "HTTP/1.0 101": (b"HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", -7, None, "HTTP/1.1"),
    "HTTP/1.0 404": (b"HTTP/1.0 404 Not Found\r\n\r\n", -7, None, "HTTP/1.1"),
    "HTTP/2": (b"HTTP/2 101 Switching Protocols\r\n\r\n", -7, None, "HTTP/1.1"),
    "alert of TLS": (b"\x15\x03\x01\x00\x02\x02\x46", -7, None, "HTTP/1.1"),
    "page of an old server": (b"<html>", -7, None, "HTTP/1.1"),
    "101 without headers": (b"HTTP/1.1 101 Yes\r\n\r\n", -7, None, "missing header upgrade"),
    "101 without Sec-WebSocket-Accept": (
        b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        -7, None, "missing header sec-websocket-accept",
    ),
    "wrong Sec-WebSocket-Accept": (
        b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: x\r\n", -7, None, "sec-websocket-accept",
    ),
    "subprotocol that was not offered": (
        b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Protocol: x\r\n", -7, None, "sec-websocket-protocol",
    ),
    "extension that was not offered": (
        b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Extensions: x\r\n", -7, None, "sec-websocket-extensions",
    ),
    "header that matters of more than 512 bytes": (
        b"HTTP/1.1 101 Yes\r\nUpgrade: websocket" + 600 * b" " + b"\r\n", -7, None, "upgrade",
    ),
    "more than 16 KiB of headers": (b"HTTP/1.1 101 Yes\r\n" + 170 * (b"X: " + 95 * b"x" + b"\r\n"), -7, None, "16 KiB"),
    "more than 16 KiB of interim replies": (320 * EARLY_HINTS, -7, None, "16 KiB"),
    "404": (b"HTTP/1.1 404 Not Found\r\n\r\n", -17, 404, "HTTP/1.1 404 Not Found"),
    "404 after 103": (EARLY_HINTS + b"HTTP/1.1 404 Not Found\r\n\r\n", -17, 404, "HTTP/1.1 404 Not Found"),
    "200 with a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", -17, 200, "HTTP/1.1 200 OK"),
    "426 with a phrase that is not UTF-8": (b"HTTP/1.1 426 \xe9\r\n\r\n", -17, 426, "HTTP/1.1 426 \xe9"),
}  # fmt: skip


@each(FIRMWARE)
@pytest.mark.parametrize("name", GOOD)
def test_reply_with_what_may_be_passed_over_opens(firmware, name):
    before, headers = GOOD[name]
    with Session(firmware, upgrade=False, spin_limit=100000) as session:
        peer = session.ask()
        peer.send(before)
        peer.upgrade(headers, extra=wire.frame(wire.TEXT, b"first"))
        session.until(lambda: session.messages)
        assert session.events == [("connection",), ("receive", "first", 1)]
        assert (session.ws.http_status, session.ws.error, session.ws.errno) == (None, None, None)


@each(FIRMWARE)
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("listens", [False, True], ids=["", "with a header handler"])
def test_reply_that_does_not_upgrade_is_told_at_once_with_its_reason(firmware, name, listens):
    reply, status, http_status, error = REFUSED[name]
    with Session(firmware, upgrade=False, spin_limit=100000) as session:
        if listens:
            session.ws.on("header", lambda ws, name, value: None)
        peer = session.ask()
        asked = session.board.clock.now
        peer.send(reply)
        peer.fin(after_ms=EARLY_MS // 2 if listens else 60000)
        session.until(lambda: session.statuses)
        assert session.ended_ms - asked < EARLY_MS
        assert session.finish() == status
        assert session.ws.http_status == http_status and error in session.ws.error


# The headers that a server sends -> what is told of them
TOLD = {
    "names in any case": ([("Set-Cookie", "a=b"), ("SERVER", "x/1.0")], [("set-cookie", "a=b"), ("server", "x/1.0")]),
    "the same twice": ([("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")], [("set-cookie", "a=b"), ("set-cookie", "c=d")]),
    "a value with colons": ([("Location", "http://h:8080/a:b")], [("location", "http://h:8080/a:b")]),
    "an empty value": ([("X-Empty", "")], [("x-empty", "")]),
    "a long value": ([("X-Long", "x" * 3000)], [("x-long", "x" * 3000)]),
}


@each(FIRMWARE)
@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize("status", [101, 301, 429])
def test_header_lines_are_told_before_connection_or_close(firmware, name, status):
    sent, told = TOLD[name]
    with Session(firmware, upgrade=False) as session:
        session.on("header")
        peer = session.ask()
        if status == 101:
            peer.upgrade(sent)
            session.until(lambda: session.ws.connected)
            last = ("connection",)
        else:
            lines = [f"HTTP/1.1 {status} Not now", *(f"{name}: {value}" for name, value in sent), "", ""]
            peer.send("\r\n".join(lines).encode())
            assert session.finish() == -17
            last = ("close", -17)
        found = [event[1:] for event in session.events if event[0] == "header"]
        assert [one for one in found if one[0] not in ("upgrade", "connection", "sec-websocket-accept")] == told
        assert all(isinstance(part, str) for one in found for part in one)
        assert session.events[-1] == last and len(session.events) == len(found) + 1


@each()
@pytest.mark.parametrize(("reply", "name", "value"), [
    (b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\n\r\n", "retry-after", "120"),
    (b"HTTP/1.1 301 Moved Permanently\r\nLocation: ws://10.0.0.9/new\r\n\r\n", "location", "ws://10.0.0.9/new"),
    (b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n", "www-authenticate", "Basic"),
])  # fmt: skip
def test_header_of_a_refusal_that_comes_byte_by_byte_is_told(firmware, reply, name, value):
    with Session(firmware, upgrade=False) as session:
        session.on("header")
        peer = session.ask()
        for i in range(len(reply)):
            peer.send(reply[i : i + 1], after_ms=i)
        assert session.finish() == -17
        assert session.events == [("header", name, value), ("close", -17)]


@each()
def test_header_of_an_interim_reply_is_not_told(firmware):
    with Session(firmware, upgrade=False) as session:
        session.on("header")
        peer = session.ask()
        peer.send(EARLY_HINTS)
        peer.upgrade()
        session.until(lambda: session.ws.connected)
        assert {event[1] for event in session.events if event[0] == "header"} == {
            "upgrade", "connection", "sec-websocket-accept",
        }  # fmt: skip


@each(FIRMWARE)
@pytest.mark.parametrize("status", [101, 301])
def test_close_in_a_header_handler_ends_the_attempt_with_0(firmware, status):
    with Session(firmware, {"close_timeout_ms": 500}, upgrade=False) as session:
        session.on("header", lambda ws, name, value: ws.close())
        peer = session.ask()
        if status == 101:
            peer.upgrade()
        else:
            peer.send(b"HTTP/1.1 301 Moved\r\nLocation: /\r\nX: y\r\n\r\n")
        assert session.finish() == 0
        assert [event[0] for event in session.events] == ["header", "close"]


@each()
@pytest.mark.parametrize("status", [101, 301])
def test_call_in_a_header_handler_does_what_the_state_allows(firmware, status):
    with Session(firmware, {"close_timeout_ms": 500}, upgrade=False) as session:
        numbers = []

        def call(ws, name, value):
            for method, argument in ((ws.send, "x"), (ws.connect, URL)):
                with pytest.raises(OSError) as caught:
                    method(argument)
                numbers.append(caught.value.errno)
            ws.config({"ping_interval_ms": 1000})
            ws.on("header", None)

        session.ws.on("header", call)
        peer = session.ask()
        if status == 101:
            peer.upgrade([("X", "y")])
            session.until(lambda: session.ws.connected)
            peer.frame(wire.TEXT, "works")
            session.until(lambda: session.messages)
        else:
            peer.send(b"HTTP/1.1 301 Moved\r\nLocation: /\r\nX: y\r\n\r\n")
            assert session.finish() == -17
        assert numbers == [session.number("ENOTCONN"), session.number("EALREADY")]


@each(FIRMWARE)
@pytest.mark.parametrize("status", [101, 301])
def test_exception_in_a_header_handler_comes_out_and_the_rest_is_read(firmware, status):
    with Session(firmware, {"close_timeout_ms": 500}, upgrade=False) as session:
        failures = iter([True])

        def fail(ws, name, value):
            if next(failures, False):
                raise ZeroDivisionError

        session.on("header", fail)
        peer = session.ask()
        if status == 101:
            peer.upgrade()
        else:
            peer.send(b"HTTP/1.1 301 Moved\r\nLocation: /\r\nX: y\r\n\r\n")
        with pytest.raises(ZeroDivisionError):
            session.idle(1000)
        session.until(lambda: session.ws.connected or session.statuses)
        assert session.events[-1] == (("connection",) if status == 101 else ("close", -17))
        assert sum(event[0] == "header" for event in session.events) == (3 if status == 101 else 2)


# ws.error


def no_name(session):
    session.connect("ws://nowhere.example/")


def no_link(session):
    session.board.wifi_lost()
    session.board.advance(1000)
    session.connect()


def no_answer(session):
    session.board.blackhole(HOST, PORT)
    session.connect()


def no_reply(session):
    session.ask()


def half_a_reply(session):
    session.ask().send(b"HTTP/1.1 101 Switching")


def no_room(session):
    session.board.listen(HOST, PORT, on_connect=lambda peer: peer.stop_reading())
    session.ws.config({"headers": {"X-Large": "x" * 400000}})
    session.connect()


SHORT = {"connect_timeout_ms": 3000}
# What goes wrong -> status, what ws.error tells
FAILURES = [
    pytest.param(enter, status, told, id=enter.__name__)
    for enter, status, told in (
        (no_name, -5, "nowhere.example"),
        (no_answer, -18, "TCP"),
        (no_room, -18, "request"),
        (no_reply, -18, "reply"),
        (half_a_reply, -18, "reply"),
    )
]


@each()
@pytest.mark.parametrize(("enter", "status", "told"), FAILURES)
def test_error_tells_what_the_status_does_not(firmware, enter, status, told):
    with Session(firmware, SHORT, upgrade=False) as session:
        enter(session)
        assert session.finish() == status
        assert told in session.ws.error
        session.ws.config({"headers": {}})
        session.server = session.board.listen(HOST, PORT, upgrade=True)
        session.open()
        assert session.ws.error is None and session.ws.errno is None


@each([("esp8266", (1, 28))])
def test_error_tells_that_the_wifi_is_down(firmware):
    with Session(firmware, SHORT) as session:
        no_link(session)
        assert session.finish() == -104
        assert "Wi-Fi" in session.ws.error


@each(MBEDTLS)
def test_error_tells_the_reason_of_tls(firmware):
    with TlsSession(firmware, {"tls": {"ca": OTHER_AUTHORITY}}) as session:
        session.connect()
        assert session.finish() == -128
        assert "not correctly signed" in session.ws.error


@each([("esp8266", (1, 28)), *MBEDTLS])
def test_error_tells_that_tls_did_not_end_in_time(firmware):
    with TlsSession(firmware, SHORT, script=Tls(answer="never")) as session:
        session.connect()
        assert session.finish() == -18
        assert "TLS" in session.ws.error


# A ws:// URL to a port that speaks TLS


@each()
def test_port_that_speaks_tls_refuses_ws_early_with_minus_7(firmware):
    with TlsSession(firmware) as session:
        session.connect(f"ws://{ADDRESS}:{TLS_PORT}/")
        session.until(lambda: session.server.peers)
        peer = session.server.peers[-1]
        began = session.board.clock.now
        peer.raw(b"\x15\x03\x03\x00\x02\x02\x46")
        session.until(lambda: session.statuses)
        assert session.ended_ms - began < EARLY_MS
        assert session.finish() == -7


# The request


@each(FIRMWARE)
def test_request_of_a_2_kib_url_goes_out_right_in_several_writes(firmware):
    target = "/" + "path/" * 100 + "?token=" + "0123456789abcdef" * 96
    with Session(firmware) as session:
        peer = session.open(f"ws://user:secret@{HOST}{target}")
        request = peer.request()
        assert request.target == target and len(target) > 2000
        names = [name for name, _ in request.headers]
        assert sorted(names) == sorted(set(names)) and request.header("Host") == HOST
        assert request.header("Authorization") == "Basic dXNlcjpzZWNyZXQ="
        assert session.board.calls["write"] > 1
        peer.frame(wire.TEXT, "works")
        session.until(lambda: session.messages)


@each()
@pytest.mark.parametrize(("config", "offered"), [
    ({"protocols": ("chat", "superchat")}, "chat, superchat"),
    ({"headers": {"Sec-WebSocket-Protocol": "chat,superchat"}}, "chat, superchat"),
    ({"protocols": ("chat",), "headers": {"sec-websocket-protocol": "superchat"}}, "chat, superchat"),
    ({"protocols": ["mqtt"]}, "mqtt"),
], ids=["protocols", "header", "both", "one"])  # fmt: skip
def test_subprotocols_are_offered_joined_by_comma_and_space(firmware, config, offered):
    with Session(firmware, config, upgrade=False) as session:
        peer = session.ask()
        peer.upgrade([("Sec-WebSocket-Protocol", offered.split(", ")[-1])])
        session.until(lambda: session.ws.connected)
        assert [value for name, value in peer.request().headers if name == "Sec-WebSocket-Protocol"] == [offered]
        assert session.ws.protocol == offered.split(", ")[-1]


# userinfo -> status, or the header that it becomes
USERS = {
    "user:pass": "Basic dXNlcjpwYXNz",
    "us%65r:p%40ss": "Basic dXNlcjpwQHNz",
    "user": "Basic dXNlcjo=",
    "!$&'()*+,;=-._~:a": "Basic ISQmJygpKissOz0tLl9+OmE=",
    "user:a@b": -4,
    "a<b": -4,
    "a>b": -4,
    'a"b': -4,
    "a\\b": -4,
    "a b": -4,
    "a%zz": -4,
    "\u00e9": -4,
}


@each()
@pytest.mark.parametrize("user", USERS)
def test_userinfo_becomes_authorization_or_is_refused(firmware, user):
    expected = USERS[user]
    with Session(firmware) as session:
        url = f"ws://{user}@{HOST}/"
        if expected == -4:
            session.connect(url)
            assert session.finish() == -4 and not session.server.peers
        else:
            assert session.open(url).request().header("Authorization") == expected


@each()
@pytest.mark.parametrize("key", ["ca", "cert", "key"])
def test_pem_as_str_is_a_value_error_that_says_so(firmware, key):
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with Session(firmware) as session:
        tls = {"cert": b"x", "key": b"x"} if key != "ca" else {}
        with pytest.raises(ValueError, match=f"{key}.*PEM.*bytes"):
            session.ws.config({"tls": tls | {key: pem}})
        session.open()


@each()
@pytest.mark.parametrize("other", [False, True], ids=["alone", "beside another that can"])
def test_verify_is_refused_where_the_library_that_is_used_cannot(firmware, other):
    with Session(firmware) as session:
        session.board.modules["tls"] = SimpleNamespace(PROTOCOL_TLS_CLIENT=0)
        if other:
            session.board.modules["ssl"] = SimpleNamespace(PROTOCOL_TLS_CLIENT=0, CERT_REQUIRED=2, CERT_NONE=0)
        with pytest.raises(ValueError, match="cannot verify"):
            session.ws.config({"tls": {"ca": b"authority"}})


# Addresses


def two_addresses(session):
    session.board.hosts[NAME] = (OTHER_HOST, HOST)


@each([("unix", (1, 28))])
@pytest.mark.parametrize("first", ["refuses", "has no socket", "is silent", "resets"])
def test_first_address_that_fails_leaves_nothing_to_the_connection_by_the_second(firmware, first):
    with Session(firmware, {"connect_timeout_ms": 4000}) as session:
        two_addresses(session)
        if first == "has no socket":
            session.board.fail("socket", PortError(EAFNOSUPPORT))
        elif first == "is silent":
            session.board.blackhole(OTHER_HOST, PORT)
        elif first == "resets":
            session.board.fail("connect", "ECONNRESET")
        else:
            session.board.refuse(OTHER_HOST, PORT)
        session.connect(f"ws://{NAME}/")
        session.until(lambda: session.ws.connected)
        assert session.board.clock.now <= (2100 if first == "is silent" else 100)
        assert (session.ws.errno, session.ws.error) == (None, None)
        assert len(session.board.open_sockets()) == 1
        session.ws.close()
        assert session.finish() == 0
        assert (session.ws.errno, session.ws.error) == (None, None)


@each([("unix", (1, 28))])
@pytest.mark.parametrize("addresses", [1, 2, 3])
def test_silent_addresses_share_the_time_and_end_with_minus_18(firmware, addresses):
    with Session(firmware, {"connect_timeout_ms": 3000}) as session:
        found = [f"10.0.0.{20 + i}" for i in range(addresses)]
        session.board.hosts[NAME] = found
        for one in found:
            session.board.blackhole(one, PORT)
        session.connect(f"ws://{NAME}/")
        assert session.finish() in (-18, -103)
        assert session.ended_ms == 3000
        assert session.board.calls["connect"] == addresses


@each([("unix", (1, 28))])
def test_sockets_that_fail_for_all_addresses_are_told_by_the_last(firmware):
    with Session(firmware) as session:
        two_addresses(session)
        session.board.fail("socket", PortError(EAFNOSUPPORT))
        session.board.fail("socket", "ENOMEM")
        session.connect(f"ws://{NAME}/")
        assert session.finish() == -101


@each([("unix", (1, 28))])
def test_attempt_after_a_failure_begins_with_the_next_address(firmware):
    with Session(firmware, {"reconnect": True, "reconnect_min_ms": 100}, upgrade=False) as session:
        two_addresses(session)
        asked = []

        def refuse(host):
            def answer(peer):
                if peer.received().endswith(b"\r\n\r\n"):
                    asked.append(host)
                    peer.send(b"HTTP/1.1 503 Busy\r\n\r\n")

            return lambda peer: setattr(peer, "on_data", answer)

        for host in (OTHER_HOST, HOST):
            session.board.listen(host, PORT, on_connect=refuse(host))
        session.connect(f"ws://{NAME}/")
        session.until(lambda: len(asked) == 4, 60000)
        assert asked == [OTHER_HOST, HOST, OTHER_HOST, HOST]


# config() while a reconnect is under way

CHANGES = {
    "headers": ({"headers": {"X-Token": "A"}}, {"headers": {"X-Token": "B"}}, "X-Token", "A", "B"),
    "function": ({"headers": lambda: {"X-Token": "A"}}, {"headers": lambda: {"X-Token": "B"}}, "X-Token", "A", "B"),
    "protocols": ({"protocols": ("a",)}, {"protocols": ("b",)}, "Sec-WebSocket-Protocol", "a", "b"),
}


@each()
@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("state", ["open", "waiting", "opening again"])
def test_config_while_a_reconnect_is_under_way_reaches_the_next_connect_only(firmware, name, state):
    before, after, header, old, new = CHANGES[name]
    with Session(firmware, {"reconnect": True} | before) as session:
        peer = session.open()
        if state != "open":
            peer.reset()
            session.until(lambda: session.statuses)
        if state == "opening again":
            session.until(lambda: session.board.open_sockets())
        session.ws.config(after)
        if state == "open":
            peer.reset()
        session.until(lambda: len(session.server.peers) == 2 and session.ws.connected)
        assert session.server.peers[1].request().header(header) == old
        session.server.peers[1].reset()
        session.until(lambda: len(session.statuses) == 2)
        session.ws.connect(URL)
        session.until(lambda: session.ws.connected)
        assert session.server.peers[-1].request().header(header) == new
