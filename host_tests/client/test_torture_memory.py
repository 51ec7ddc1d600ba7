"""Torture: each allocation of every method fails once, in every state.

What an allocation is on MicroPython is told by `moments.ALLOCATIONS`. A MemoryError may come out of the program's own
connect() and send(), never out of poll() or close(). The connection goes on or ends with a status of lacking memory,
-199 where send() has written a part of a frame; one that the server has ended keeps its own status.

`pytest --torture memory/esp32/send-large/no-memory/57` replays one run.
"""

import pytest

from moments import ALLOCATIONS, Moments
from scenes import SCENES
from torture import TRANSPORTS, Run, shown
from torturers import Outcome, faults
from wrong_clients import doubled_close, wrong_status

SHORT_OF_MEMORY = (-8, -10, -11, -13, -16, -101)
# The program's own call, out of which a MemoryError may come
MAY_RAISE = (
    "connect", "background-first", "background-connect", "send-", "full-send", "background-send",
    "close-with-code", "config", "waits-for",
)  # fmt: skip


def _raise():
    raise MemoryError("memory allocation failed, allocating 64 bytes")


def play(transport, scene_name, action, turn, wrong=None):
    """Play a scene in which the allocation of moment `turn` fails; return the Outcome."""
    scene = SCENES[scene_name]
    with Run(transport, scene.options, wrong=wrong) as run:
        scene.prepare(run)
        moments = Moments(run.board, ALLOCATIONS, turn, _raise)
        error = run.operate(scene, moments)
        if moments.happened:
            # a handler's own send() raises it too
            own = scene_name.startswith(MAY_RAISE) or any(one.outcome == "interrupted" for one in run.near.messages)
            if isinstance(error, MemoryError) and own:
                error = None
            if error is not None and not (scene_name.startswith(MAY_RAISE) and run.is_errno(error, "ENOTCONN")):
                run.problem(f"the program met {shown(error)}")
            statuses = () if scene.statuses and not scene.reconnects else SHORT_OF_MEMORY
            run.verdict(scene, (*statuses, -199) if own else statuses)
        return Outcome(moments.count, moments.place, run.problems)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_failing_allocation_at_every_moment_leaves_the_client_whole(transport, scene, torturer):
    # some scenes may get along without an allocation; test_memory_torturer_finds... sees that they are found
    torturer.check("memory", play, transport, scene, {"no-memory": 1}, least=0)


@pytest.mark.parametrize(
    ("scene", "wrong", "told"),
    [
        ("closed-by-server", wrong_status, '"close" told [-101]'),
        ("send-large", doubled_close, '"close" told ['),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_memory_torturer_finds_a_fault_put_in_on_purpose(scene, wrong, told):
    assert any(told in problem for problem in faults(play, "esp32", scene, "no-memory", wrong))
