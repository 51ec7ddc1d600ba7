"""config() of the client: when it applies, and that a call that fails changes nothing."""

import sys
import types

import pytest

from servers import wire
from support.client_session import Session, each
from uwebsocket_client import createClient


def _requested(session, name):
    """Return the value of a header in each request that the server got."""
    session.board.advance(1000)
    return [peer.request().header(name) for peer in session.server.peers]


@each()
@pytest.mark.parametrize("bad", [{"ping_limit": 0}, {"unknown": 1}, {"protocols": "x"}], ids=str)
def test_config_that_is_refused_changes_nothing(firmware, bad):
    with Session(firmware, {"headers": {"X": "before"}, "protocols": ("a",)}) as session:
        with pytest.raises(ValueError, match=next(iter(bad))):
            session.ws.config({"headers": {"X": "after"}, **bad})
        session.open()
        assert _requested(session, "X") == ["before"]
        assert _requested(session, "Sec-WebSocket-Protocol") == ["a"]


@each()
def test_config_updates_the_keys_it_names_and_leaves_the_others(firmware):
    with Session(firmware, {"headers": {"X": "1"}, "protocols": ("a",)}) as session:
        session.ws.config({"headers": {"Y": "2"}})
        session.ws.config({})
        session.open()
        assert (_requested(session, "X"), _requested(session, "Y")) == ([None], ["2"])
        assert _requested(session, "Sec-WebSocket-Protocol") == ["a"]


@each()
def test_config_dict_that_is_changed_afterwards_was_copied(firmware):
    headers = {"X": "1"}
    protocols = ["a"]
    with Session(firmware, {"headers": headers, "protocols": protocols}) as session:
        headers["X"] = "2\r\nSmuggled: 1"
        protocols.append("b")
        session.open()
        assert _requested(session, "X") == ["1"]
        assert _requested(session, "Smuggled") == [None]
        assert _requested(session, "Sec-WebSocket-Protocol") == ["a"]


@each()
def test_config_of_an_open_connection_applies_from_the_next_connect_on(firmware):
    with Session(firmware, {"max_message": 5}) as session:
        peer = session.open()
        session.ws.config({"max_message": 10, "headers": {"X": "1"}})
        peer.frame(wire.TEXT, "123456")
        assert session.finish() == -8
        session.open().frame(wire.TEXT, "123456")
        session.until(lambda: session.messages)
        assert _requested(session, "X") == [None, "1"]


@each()
def test_config_while_connecting_applies_from_the_next_connect_on(firmware):
    with Session(firmware, {"max_message": 5}) as session:
        session.connect()
        session.ws.config({"max_message": 10})
        session.until(lambda: session.ws.connected)
        session.server.peers[-1].frame(wire.TEXT, "123456")
        assert session.finish() == -8


@each()
def test_config_of_one_client_is_not_that_of_another(firmware):
    with Session(firmware, {"headers": {"X": "1"}}) as session:
        session.open()
        other = session.client()
        other.connect("ws://10.0.0.2/")
        session.until(lambda: (other.poll(), other.connected)[1])
        assert _requested(session, "X") == ["1", None]
        other.close()
        session.ws.close()
        session.until(lambda: not other.poll())


@each()
@pytest.mark.parametrize("wrong", [{"X": "a\r\nY: b"}, {"Upgrade": "x"}, [], None, {"X": 1}], ids=repr)
def test_headers_function_that_returns_what_config_refuses_raises_and_opens_nothing(firmware, wrong):
    with Session(firmware, {"headers": lambda: wrong}) as session:
        with pytest.raises(ValueError, match="header"):
            session.connect()
        session.until(lambda: not session.poll())
        assert not session.ws.connected and not session.server.peers and not session.board.open_sockets()


@pytest.mark.parametrize("tls", [{"ca": b"der"}, {"ca": b"der", "verify": True}], ids=["ca", "verify"])
def test_verification_on_a_firmware_that_cannot_is_refused(tls):
    with Session(("esp8266", (1, 28))) as session:
        with pytest.raises(ValueError, match="tls.*cannot verify"):
            session.ws.config({"tls": tls})
        session.ws.config({"tls": {"ca": b"der", "verify": False}})


def test_compression_without_its_module_is_import_error_and_changes_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "uwebsocket_deflate", None)
    with pytest.raises(ImportError):
        createClient().config({"compression": True})


def test_compression_with_its_module_is_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, "uwebsocket_deflate", types.ModuleType("uwebsocket_deflate"))
    createClient().config({"compression": True})
