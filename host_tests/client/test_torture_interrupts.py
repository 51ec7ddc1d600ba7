"""Torture: Ctrl-C at every moment of every method, in every state.

MicroPython raises KeyboardInterrupt where its byte code jumps and in calls that wait. It must come out of the call, and
the client goes on or, where a part of a frame is out, ends with -199 and sends nothing more.

`pytest --torture interrupts/esp32/send-large/ctrl-c/57` replays one run.
"""

import pytest

from moments import JUMPS, Moments
from scenes import SCENES
from torture import TRANSPORTS, Run, shown
from torturers import Outcome, faults
from wrong_clients import sends_on, swallowed_interrupt

INTERRUPTED = (-199,)
# Nothing is half done while poll() waits
UNHARMED = {"idle": "poll()", "closing": "poll()", "waiting": "sleep()"}

# Of these only a sample is played: no board; long
RARE = {"unix": 0.3, "unix-mbedtls": 0.1, "waiting": 0.3, "full-news": 0.5, "full-ping-due": 0.5}


def _raise():
    raise KeyboardInterrupt


def play(transport, scene_name, action, turn, wrong=None):
    """Play a scene with Ctrl-C at moment `turn`; return the Outcome."""
    scene = SCENES[scene_name]
    with Run(transport, scene.options, wrong=wrong) as run:
        scene.prepare(run)
        moments = Moments(run.board, JUMPS, turn, _raise)
        error = run.operate(scene, moments)
        if moments.happened:
            if not isinstance(error, KeyboardInterrupt):
                run.problem(f"the program met {shown(error) if error else None} instead of Ctrl-C")
            unharmed = moments.place == UNHARMED.get(scene_name)
            run.verdict(scene, () if unharmed else INTERRUPTED)
        return Outcome(moments.count, moments.place, run.problems)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_interrupt_at_every_moment_leaves_the_client_whole(transport, scene, torturer):
    share = RARE.get(transport, 1) * RARE.get(scene, 1)
    torturer.check("interrupts", play, transport, scene, {"ctrl-c": 1}, share)


@pytest.mark.parametrize(
    ("scene", "wrong", "told"),
    [
        ("send-large", sends_on, "on the wire"),
        ("idle", swallowed_interrupt, "instead of Ctrl-C"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_interrupt_torturer_finds_a_fault_put_in_on_purpose(scene, wrong, told):
    assert any(told in problem for problem in faults(play, "esp32", scene, "ctrl-c", wrong))
