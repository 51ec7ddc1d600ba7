"""axTLS on the scripted ESP8266: how long anything may take, and what it is given."""

from base64 import b64encode

import pytest

from fakes import Tls
from servers import wire
from support.client_session import each
from support.tls_session import AXTLS, TlsSession

QUIET = {"ping_interval_ms": 0}


def full(session, send_timeout_ms=2000):
    """Open a connection whose send buffer is full; return the peer, which reads no more."""
    peer = session.open()
    session.board.advance(1000)
    peer.stop_reading()
    connection = session.board.open_sockets()[0].connection
    for _ in range(100):
        if connection.free < 120:
            break
        session.ws.send(bytes(min(connection.free - 100, 900)))
    return peer


def a_ping_of_the_server(session, peer):
    for _ in range(3):
        peer.frame(wire.PING, b"x" * 100)
        session.board.advance(20)


def a_ping_that_is_due(session, peer):
    session.board.advance(3100)


def the_servers_close(session, peer):
    peer.close_frame(1000, "x" * 100)
    session.board.advance(20)


def a_broken_rule(session, peer):
    peer.send(b"\xff\xff")
    session.board.advance(20)


@each(AXTLS)
@pytest.mark.parametrize(
    "cause", [a_ping_of_the_server, a_ping_that_is_due, the_servers_close, a_broken_rule], ids=lambda one: one.__name__
)
def test_poll_that_must_write_into_a_full_buffer_takes_no_time(firmware, cause):
    with TlsSession(firmware, {"ping_interval_ms": 3000, "send_timeout_ms": 9000}) as session:
        peer = full(session)
        for _ in range(4):
            cause(session, peer)
            began = session.board.clock.now
            session.ws.poll(0)
            session.ws.poll(50)
            assert session.board.clock.now - began <= 50


@each(AXTLS)
def test_close_into_a_full_buffer_takes_no_time_and_ends_in_time(firmware):
    with TlsSession(firmware, QUIET | {"send_timeout_ms": 9000, "close_timeout_ms": 1500}) as session:
        full(session)
        began = session.board.clock.now
        session.ws.close(4000, "x" * 100)
        assert session.board.clock.now == began
        assert session.finish() == 0
        assert session.ended_ms - began <= 1510


@each(AXTLS)
@pytest.mark.parametrize("size", [1, 200, 1000, 20000])
def test_send_into_a_full_buffer_takes_send_timeout_and_no_longer(firmware, size):
    with TlsSession(firmware, QUIET | {"send_timeout_ms": 4000}) as session:
        full(session)
        with pytest.raises(OSError) as caught:
            for _ in range(10):
                began = session.board.clock.now
                session.ws.send(bytes(size))
        assert caught.value.errno == session.number("ETIMEDOUT")
        assert session.board.clock.now - began <= 4010
        assert session.finish() == -103


@each(AXTLS)
@pytest.mark.parametrize("pause_ms", [3000, 9500, 15000])
def test_server_that_pauses_is_no_error(firmware, pause_ms):
    with TlsSession(firmware, QUIET | {"send_timeout_ms": 20000}) as session:
        peer = full(session)
        session.board.clock.after(pause_ms, peer.resume_reading)
        message = bytes(range(250)) * 20
        session.ws.send(message)
        session.ws.send(b"end")
        assert session.ws.connected
        assert session.frames()[-2:] == [(wire.BINARY, message), (wire.BINARY, b"end")]


@each(AXTLS)
def test_time_of_a_send_is_counted_from_its_call_however_long_the_one_before_took(firmware):
    with TlsSession(firmware, QUIET | {"send_timeout_ms": 4000}) as session:
        peer = full(session)
        for _ in range(3):
            session.board.clock.after(3500, peer.resume_reading)
            session.ws.send(b"x" * 5000)
            peer.stop_reading()
            connection = session.board.open_sockets()[0].connection
            session.board.advance(1000)
            while connection.free > 120:
                session.ws.send(bytes(min(connection.free - 100, 900)))
        assert session.ws.connected


@each(AXTLS)
def test_write_that_lwip_loses_after_10_s_is_minus_101_over_axtls_too(firmware):
    with TlsSession(firmware, QUIET | {"send_timeout_ms": 60000}) as session:
        session.open()
        session.board.memory_short(60000)
        with pytest.raises(OSError):
            session.ws.send(b"lost")
            session.ws.send(b"after it")
        assert session.finish() == -101


AFTER = {"alert": lambda peer: peer.alert(20), "garbage": lambda peer: peer.raw(bytes(range(100, 200)))}


@each(AXTLS)
@pytest.mark.parametrize("what", AFTER)
@pytest.mark.parametrize("who", ["client", "server"])
def test_alert_or_garbage_while_close_frames_are_exchanged_is_no_exception(firmware, what, who):
    with TlsSession(firmware, QUIET | {"close_timeout_ms": 1000}) as session:
        peer = session.open()
        if who == "client":
            session.ws.close()
        else:
            peer.close_frame()
        session.idle(100)
        AFTER[what](peer)
        assert session.finish() == (0 if who == "client" else -6)


def pem(*blocks):
    """Return a PEM file of blocks, (name, content)."""
    return b"".join(
        b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (name, b64encode(content), name) for name, content in blocks
    )


CERTIFICATES = pem((b"CERTIFICATE", b"mine"), (b"CERTIFICATE", b"of the authority"))
# The file of a key -> what axTLS is given
KEYS = {
    "one block": (pem((b"RSA PRIVATE KEY", b"the key")), b"the key"),
    "parameters first": (pem((b"EC PARAMETERS", b"curve"), (b"EC PRIVATE KEY", b"the key")), b"the key"),
    "DER": (b"the key", b"the key"),
}


@each(AXTLS)
@pytest.mark.parametrize("name", KEYS)
def test_axtls_is_given_the_last_block_of_a_key_and_the_first_of_a_certificate(firmware, name):
    given, taken = KEYS[name]
    with TlsSession(firmware, {"tls": {"cert": CERTIFICATES, "key": given}}, script=Tls()) as session:
        library = session.board.import_module("tls" if firmware[1] >= (1, 23) else "ssl")
        found = []
        load = library.SSLContext.load_cert_chain

        def load_cert_chain(context, cert, key):
            found.append((bytes(cert), bytes(key)))
            load(context, cert, key)

        library.SSLContext.load_cert_chain = load_cert_chain
        session.open()
        assert found == [(b"mine", taken)]
