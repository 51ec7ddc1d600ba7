"""The arguments of the client's methods, on every interpreter, and in every state on the scripted ports."""

import pytest

from common import rigs
from servers import wire
from support.client_session import Session, each
from support.programs import CHIP, told
from upy.argument_cases import CALLS, WRONG
from uwebsocket_client import createClient

_EACH = pytest.mark.parametrize("interpreter", [*rigs.INTERPRETERS, CHIP])
_WRONG_CALLS = [pytest.param(*case, id=case[0]) for case in CALLS if case[3] in WRONG]


def _told(interpreter):
    return told(interpreter, "argument_program.py")


@_EACH
@pytest.mark.parametrize("state", ["new", "to-tell", "told"])
@pytest.mark.parametrize(("name", "expected"), [pytest.param(case[0], case[3], id=case[0]) for case in CALLS])
def test_call_on_a_closed_client_raises_what_the_table_says(interpreter, state, name, expected):
    assert _told(interpreter)[f"{name} {state}"] == expected


@_EACH
@pytest.mark.parametrize(
    ("state", "statuses", "polled"),
    [("new", [], [False, False]), ("to-tell", [-1], [False, False]), ("told", [], [False, False])],
    ids=["new", "to-tell", "told"],
)
def test_calls_on_a_closed_client_change_nothing(interpreter, state, statuses, polled):
    if interpreter == CHIP and state == "to-tell":  # the background has told it before anybody listened
        statuses = []
    assert _told(interpreter)[f"then {state}"] == [statuses, polled, False, 1006, "", None, None]


@_EACH
def test_module_has_the_names_of_the_contract(interpreter):
    assert _told(interpreter)["names"] == [1, 2, True]


def test_close_code_of_every_value_is_taken_or_refused():
    ws = createClient()
    taken = set()
    for code in range(-10, 65546):
        try:
            ws.close(code)
        except ValueError:
            continue
        taken.add(code)
    assert taken == {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def _opening(session):
    session.connect()
    session.until(lambda: session.server.peers)


def _closing(session):
    session.open()
    session.ws.close()


def _ending(session):
    session.open().close_frame(1000)
    session.idle(200)


def _failed(session):
    session.open().reset()
    session.finish()


_STATES = {"opening": _opening, "open": Session.open, "closing": _closing, "ending": _ending, "failed": _failed}


@each()
@pytest.mark.parametrize("enter", _STATES.values(), ids=_STATES)
def test_wrong_arguments_in_any_state_are_refused_and_change_nothing(firmware, enter):
    with Session(firmware, upgrade=enter is not _opening) as session:
        enter(session)
        before = session.ws.connected, list(session.events)
        wrong = []
        for name, method, arguments, expected in (case.values for case in _WRONG_CALLS):
            try:
                getattr(session.ws, method)(*arguments)
            except (ValueError, TypeError) as error:
                if not isinstance(error, {"ValueError": ValueError, "TypeError": TypeError}[expected]):
                    wrong.append(name)
            else:
                wrong.append(name)
        assert wrong == []
        assert (session.ws.connected, session.events) == before
        if session.ws.connected:
            assert session.frames() == []
            session.ws.send("still good")
            assert session.frames() == [(wire.TEXT, b"still good")]


@each()
@pytest.mark.parametrize("replaced", [None, lambda *event: None], ids=["unregistered", "replaced"])
def test_handler_that_was_unregistered_or_replaced_is_not_called(firmware, replaced):
    with Session(firmware) as session:
        peer = session.open()
        session.ws.on("receive", replaced)
        peer.frame(wire.TEXT, "unheard")
        peer.frame(wire.PONG, "heard")
        session.until(lambda: session.events[-1] == ("pong", b"heard"))
        assert session.messages == []


@each()
def test_handler_that_is_refused_leaves_the_one_before(firmware):
    with Session(firmware) as session:
        peer = session.open()
        with pytest.raises(TypeError):
            session.ws.on("receive", 1)
        peer.frame(wire.TEXT, "heard")
        session.until(lambda: session.messages == ["heard"])
