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
from torture import LARGE, SMALL, TRANSPORTS, Run, shown
from torturers import Outcome, faults
from wrong_clients import doubled_close, forgotten_message, leaked_socket, nested_poll_raises, unguarded_send


def _sends(side, size, opcode=wire.BINARY):
    def act(run, scene):
        one = getattr(run, side)
        was_open = one.ws.connected
        error = one.send(size, opcode)
        if error is None or (side == "near" and run.is_errno(error, "EALREADY")):
            return
        if not was_open and run.is_errno(error, "ENOTCONN"):
            return
        if side == "near" and scene.statuses and run.is_errno(error, "ENOTCONN"):
            return  # found dead
        if scene.fragment and isinstance(error, ValueError):
            return
        run.problem(f"{side}: the callback's send() raised {shown(error)}")

    return act


def _connects(side):
    def act(run, scene):
        error = getattr(run, side).connect()
        may_be_refused = side == "near" or run.far.connects
        if error is not None and not (may_be_refused and run.is_errno(error, "EALREADY")):
            run.problem(f"{side}: the callback's connect() raised {shown(error)}")

    return act


def _closes(side, *arguments):
    def act(run, scene):
        error = getattr(run, side).close(*arguments)
        if error is not None:
            run.problem(f"{side}: the callback's close() raised {shown(error)}")

    return act


def _configures(run, scene):
    error = run.near.config("protocols", ("chat",))
    if error is not None:
        run.problem(f"near: the callback's config() raised {shown(error)}")


def _leaves_with(run, scene):
    began = run.board.clock.now
    with run.far.ws:
        pass
    if run.board.clock.now > began and run.far.poll():
        run.problem("far: the callback left its with block, waited, and has not closed")


def _polls(*sides):
    def act(run, scene):
        for side in sides:
            getattr(run, side).poll()

    return act


def _sends_and_connects(run, scene):
    _sends("near", SMALL)(run, scene)
    _connects("near")(run, scene)


def _closes_and_connects(run, scene):
    _closes("near")(run, scene)
    _connects("near")(run, scene)


ACTIONS = {
    "near-send": _sends("near", SMALL),
    "near-send-large": _sends("near", LARGE),
    "near-ping": _sends("near", SMALL, wire.PING),
    "near-close": _closes("near"),
    "near-close-with-code": _closes("near", 4001, "callback"),
    "near-config": _configures,
    "near-connect": _connects("near"),
    "near-close-connect": _closes_and_connects,
    "near-send-connect": _sends_and_connects,
    "both-poll": _polls("near", "far"),
    "far-send": _sends("far", SMALL),
    "far-send-large": _sends("far", LARGE),
    "far-close": _closes("far"),
    "far-connect": _connects("far"),
    "far-leaves-with": _leaves_with,
    "far-opens": _polls("far"),
}
# At how many of the moments each is played: the smaller shares are drawn from the seed
SHARES = {
    "near-send-connect": 1, "near-close": 1,
    "near-close-with-code": 0.1, "near-config": 0.1, "far-leaves-with": 0.05,
    "near-send": 0.1, "near-connect": 0.1, "near-send-large": 0.1, "near-ping": 0.1, "near-close-connect": 0.2,
    "both-poll": 0.1, "far-send": 0.05, "far-send-large": 0.05, "far-close": 0.05, "far-connect": 0.1, "far-opens": 0.1,
}  # fmt: skip
# Short, and the places that matter are few
EVERY_MOMENT = {"close-with-code": 20, "config": 20, "waits-for": 20}
# Less of what is no board, is a port that differs little here, blocks in each call, is long, or is much like another
RARE = {
    "unix": 0.1, "unix-mbedtls": 0.05, "esp8266": 0.5, "esp32-mbedtls": 0.5, "esp8266-axtls": 0.2,
    "waiting": 0.2, "news-answered": 0.2, "background-opening": 0.4, "background-send": 0.4, "full-news": 0.5,
    "full-ping-due": 0.4, **EVERY_MOMENT,
}  # fmt: skip
# What the program may then meet: the callback has closed before, or connected
CAUSED = {
    "near-close": ("ENOTCONN",), "near-close-with-code": ("ENOTCONN",),
    "near-close-connect": ("ENOTCONN", "EALREADY"), "near-connect": ("EALREADY",),
    "near-send-connect": ("EALREADY",),
}  # fmt: skip
FAR_IS_OPEN = ("far-leaves-with", "far-send", "far-send-large", "far-close", "both-poll")


def play(transport, scene_name, action, turn, wrong=None):
    """Play a scene with an action at moment `turn`; return the Outcome."""
    scene = SCENES[scene_name]
    with Run(transport, scene.options, wrong=wrong) as run:
        if action in FAR_IS_OPEN:
            run.far.open()
        elif action == "far-opens":
            run.far.connect()
        scene.prepare(run)
        moments = Moments(run.board, CALLBACKS, turn, lambda: run.callback(lambda: ACTIONS[action](run, scene)))
        error = run.operate(scene, moments)
        if moments.happened:
            if error is not None and not run.is_errno(error, *CAUSED.get(action, ())):
                run.problem(f"the program met {shown(error)}")
            run.verdict(scene, again=not turn % 3)
        return Outcome(moments.count, moments.place, run.problems)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_callback_at_every_moment_keeps_the_contract(transport, scene, torturer):
    share = RARE.get(transport, 1) * RARE.get(scene, 1)
    torturer.check("callbacks", play, transport, scene, SHARES, share)


@pytest.mark.parametrize("transport", ["esp8266", "esp32"])
def test_two_clients_that_begin_in_the_background_at_once_are_both_served(transport, torturer):
    torturer.check("callbacks", play, transport, "background-first", {"far-connect": 1})


@pytest.mark.parametrize("transport", ["esp8266", "esp32"])
def test_with_left_at_every_moment_while_another_client_loads_its_modules(transport, torturer):
    torturer.check("callbacks", play, transport, "connect", {"far-leaves-with": 1})


@pytest.mark.parametrize(
    ("scene", "action", "wrong", "told"),
    [
        ("send-large", "near-send", unguarded_send, "on the wire"),
        ("send-large", "near-send", forgotten_message, "is lost, though its send() returned"),
        ("connect", "near-connect", leaked_socket, "left open"),
        ("close", "near-close", doubled_close, '"close" told [0, 0]'),
        ("news-answered", "both-poll", nested_poll_raises, "the callback met RuntimeError"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_callback_torturer_finds_a_fault_put_in_on_purpose(scene, action, wrong, told):
    assert any(told in problem for problem in faults(play, "esp32", scene, action, wrong))
