"""Watches that a client goes from one state to the next only as the table in docs/design.md says."""

import functools
import re

from common import rigs

_DESIGN = rigs.ROOT / "docs" / "design.md"
_ROW = re.compile(r"^\| (\w+) \|.*\| ([\w, ]+) \|$", re.MULTILINE)


@functools.cache
def may_follow():
    """Return {state: set of the states that may follow it}, as docs/design.md has them."""
    section = _DESIGN.read_text().partition("\n## States\n")[2].partition("\n## ")[0]
    states = {state: set(following.split(", ")) for state, following in _ROW.findall(section) if state != "state"}
    assert set.union(*states.values()) == set(states), "a state that may follow is none of the table"
    return states


def names(module):
    """Return {number: state} of the module uwebsocket_client."""
    return {getattr(module, f"_{state.upper()}"): state for state in may_follow()}


def watched(module):
    """Return the module uwebsocket_client, whose clients from now on raise `AssertionError` for another step."""
    enter = module.WebSocketClient._enter
    state_of = names(module)

    def checked(self, state):
        before, after = state_of[self._state], state_of[state]
        assert after in may_follow()[before], f"{after} after {before}"
        enter(self, state)

    if not hasattr(enter, "__wrapped__"):
        module.WebSocketClient._enter = functools.wraps(enter)(checked)
    return module
