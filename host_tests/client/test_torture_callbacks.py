"""Torture: a callback at every moment of every method, in every state.

A board runs the callbacks of its timers, pins and sockets between two byte codes of the program. Here each call of the
client is repeated, once for each such moment, and in each the callback does something with the same or with another
client. What must hold is the contract's table "Who may call what, when".

`pytest --torture callbacks/esp32/send-large/near-close/57` replays one run.
"""

import pytest

from moments import CALLBACKS, Moments
from scenes import SCENES
from servers import wire
from torture import LARGE, SMALL, TRANSPORTS, Run
from torturers import Outcome


def _sends(side, size, opcode=wire.BINARY):
    def act(run, scene):
        one = getattr(run, side)
        was_open = one.ws.connected
        error = one.send(size, opcode)
        if error is None or (side == "near" and run.is_errno(error, "EALREADY")):
            return
        if not was_open and run.is_errno(error, "ENOTCONN"):
            return
        if scene.fragment and isinstance(error, ValueError):
            return
        run.problem(f"{side}: the callback's send() raised {error!r}")

    return act


def _connects(side):
    def act(run, scene):
        error = getattr(run, side).connect()
        if error is not None and not (side == "near" and run.is_errno(error, "EALREADY")):
            run.problem(f"{side}: the callback's connect() raised {error!r}")

    return act


def _closes(side):
    def act(run, scene):
        error = getattr(run, side).close()
        if error is not None:
            run.problem(f"{side}: the callback's close() raised {error!r}")

    return act


def _polls(side):
    def act(run, scene):
        getattr(run, side).poll()

    return act


ACTIONS = {
    "near-send": _sends("near", SMALL),
    "near-send-large": _sends("near", LARGE),
    "near-ping": _sends("near", SMALL, wire.PING),
    "near-close": _closes("near"),
    "near-connect": _connects("near"),
    "near-poll": _polls("near"),
    "far-send": _sends("far", SMALL),
    "far-send-large": _sends("far", LARGE),
    "far-close": _closes("far"),
    "far-connect": _connects("far"),
    "far-poll": _polls("far"),
}
FAR_IS_OPEN = ("far-send", "far-send-large", "far-close", "far-poll")


def play(transport, scene_name, action, turn, wrong=None):
    """Play a scene with an action at moment `turn`; return the Outcome."""
    scene = SCENES[scene_name]
    with Run(transport, scene.options, wrong=wrong) as run:
        if action in FAR_IS_OPEN:
            run.far.open()
        scene.prepare(run)
        moments = Moments(run.board, CALLBACKS, turn, lambda: run.callback(lambda: ACTIONS[action](run, scene)))
        error = run.operate(scene, moments)
        if moments.happened:
            caused = {"near-close": "ENOTCONN", "near-connect": "EALREADY"}.get(action)
            if error is not None and not (caused and run.is_errno(error, caused)):
                run.problem(f"the program met {error!r}")
            run.verdict(scene)
        return Outcome(moments.count, moments.place, run.problems)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_callback_at_every_moment_keeps_the_contract(transport, scene, torturer):
    torturer.check("callbacks", play, transport, scene, ACTIONS)
