"""Steps from one state of the client to another that docs/design.md does not have are found."""

import pytest

import fakes
from support import states


@pytest.fixture
def module():
    """The client on a board of its own."""
    return states.watched(fakes.board("esp8266").load("uwebsocket_client"))


def test_table_has_the_states_of_the_client(module):
    assert set(states.names(module)) == set(range(7))


def test_step_of_the_table_is_taken(module):
    ws = module.createClient()
    ws._enter(module._OPENING)
    ws._enter(module._OPEN)
    assert ws.connected


def test_step_that_the_table_has_not_is_refused(module):
    with pytest.raises(AssertionError, match="open after closed"):
        module.createClient()._enter(module._OPEN)


def test_watching_twice_is_watching_once(module):
    watched = module.WebSocketClient._enter
    assert states.watched(module).WebSocketClient._enter is watched
