"""A callback while the client is at rest or waits in poll(): what it asks for is done, at once."""

import pytest

from scenes import SCENES
from servers import wire
from torture import LARGE, SMALL, TRANSPORTS, Run

SCENE = SCENES["idle"]
WAIT_MS = 200
AT_MS = 50


@pytest.fixture(params=TRANSPORTS)
def run(request):
    with Run(request.param) as run:
        run.near.open()
        yield run


def meanwhile(run, action):
    """Call `action()` from a callback while the program waits in poll(); return what it returned, and for how long."""
    told = []
    run.board.clock.after(AT_MS, lambda: run.board.interrupt(lambda _: told.append(action()), None))
    began = run.board.clock.now
    run.near.poll(WAIT_MS)
    took = run.board.clock.now - began
    assert told, "the callback did not run"
    return told[0], took


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_callback_send_while_poll_waits_sends(run, size):
    error, _ = meanwhile(run, lambda: run.near.send(size))
    assert error is None
    run.verdict(SCENE)
    assert not run.problems


def test_callback_ping_while_poll_waits_sends(run):
    error, _ = meanwhile(run, lambda: run.near.send(SMALL, wire.PING))
    assert error is None
    run.verdict(SCENE)
    assert not run.problems


def test_callback_close_while_poll_waits_closes(run):
    error, _ = meanwhile(run, run.near.close)
    assert error is None
    run.rest()
    assert run.near.statuses == [0]
    run.verdict(SCENE)
    assert not run.problems


def test_callback_connect_while_poll_waits_raises_ealready(run):
    error, _ = meanwhile(run, run.near.connect)
    assert run.is_errno(error, "EALREADY")
    run.verdict(SCENE)
    assert not run.problems


def test_callback_poll_while_poll_waits_leaves_the_wait(run):
    alive, took = meanwhile(run, run.near.poll)
    assert alive is True
    assert took == WAIT_MS
    run.verdict(SCENE)
    assert not run.problems


def test_callback_connect_while_reconnect_waits_takes_its_place(run):
    scene = SCENES["waiting"]
    run.near.ws.config(scene.options | {"reconnect_min_ms": 5000, "reconnect_max_ms": 5000})
    run.near.close()
    run.rest()
    run.near.open()
    run.near.peer.close()
    run.until(lambda: run.near.statuses == [0, -99])
    error, _ = meanwhile(run, run.near.connect)
    assert error is None
    assert run.until(lambda: run.near.ws.connected, 1000)
    run.verdict(scene)
    assert not run.problems
