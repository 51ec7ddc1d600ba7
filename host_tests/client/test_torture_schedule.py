"""Torture on real MicroPython: a callback of micropython.schedule at moments of a call, and what is on the wire then.

The scripted boards of test_torture_callbacks.py take the moments from the byte code of CPython; here the interpreter
itself runs the callback wherever it can.
"""

import random

import pytest

from common.private_names import REPLACED
from programs import MICROPYTHONS, told
from servers.raw import RawServer
from servers.steps import Echo, Reply
from torture import faulty

CALLS = ("open", "send-small", "send-large", "receive", "close")
ACTIONS = ("near-send", "near-close", "near-connect", "near-poll", "far-send", "far-poll", "far-connect")
HEAP = {"micropython32": "256k", "micropython64": "512k"}
SMALL = b"a message of the callback"
LARGE = b"0123456789abcdef" * 1250
_DRAWN = 10  # moments of one call with one action, beside the first ones
_FIRST = 4
_AT_ONCE = 40  # turns of one program


@pytest.fixture(scope="module")
def server():
    with RawServer({"echo": (Reply(), Echo())}) as server:
        yield server


def on_the_wire(server, path):
    """Return what is wrong with the frames of a connection, "" for nothing."""
    record = server.record(path, timeout_s=0)
    if record is None:
        return ""  # it ended before the request
    problem = faulty(record.frames) or record.trouble
    if problem:
        return f"{path}: {problem}"
    odd = [frame.payload[:20] for frame in record.frames if frame.opcode < 8 and frame.payload not in (SMALL, LARGE)]
    return f"{path}: a message that nobody sent: {odd}" if odd else ""


def faults(server, folder, interpreter, call, action, seed, everything=False, *more):
    """Play a call with an action at drawn moments, or at all; return how many runs there were, and what went wrong."""

    def played(turns):
        arguments = server.url(""), call, action, *map(str, turns), *more
        return told(interpreter, "schedule_program.py", *arguments, heap=HEAP[interpreter], before=folder)

    count = played([0])["0"][0]
    assert count > _FIRST, "the moments were not found"
    turns = list(range(1, count + 1))
    if not everything:
        draw = random.Random(f"{seed}/{interpreter}/{call}/{action}")
        turns = turns[:_FIRST] + draw.sample(turns[_FIRST:], min(_DRAWN, count - _FIRST))
    wrong = []
    for start in range(0, len(turns), _AT_ONCE):
        for turn, (_, near, far, problem) in played(turns[start : start + _AT_ONCE]).items():
            problems = [problem, *(on_the_wire(server, path) for path in (*near, *far))]
            if any(problems):
                wrong.append(f"moment {turn}: {'; '.join(filter(None, problems))}")
    return len(turns), wrong


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("interpreter", MICROPYTHONS)
def test_callback_at_a_moment_of_a_call_leaves_the_client_whole(server, compiled, interpreter, call, action, torturer):
    runs, wrong = faults(server, compiled, interpreter, call, action, torturer.seed, torturer.everything)
    torturer.runs["schedule"] += runs
    assert not wrong, f"{len(wrong)} of {runs} runs went wrong, seed {torturer.seed}:\n" + "\n".join(wrong[:8])


def test_schedule_torturer_finds_a_fault_put_in_on_purpose(server, compiled):
    owner = REPLACED["_owner"]  # as it is called where the client is compiled
    _, wrong = faults(server, compiled, "micropython64", "send-large", "near-send", 0, False, f"wrong:{owner}")
    assert any("the program met" in problem for problem in wrong)
