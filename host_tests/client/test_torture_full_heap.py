"""Torture on real MicroPython, also on the virtual ESP8266: the heap is full but for n bytes while something happens.

The event may be lost for lack of memory, but a connection that the server has ended keeps its status, nothing but
MemoryError of the program's own calls comes out, "close" is told once, and with a free heap all goes on.
"""

import pytest

from programs import CHIP, MICROPYTHONS, told
from servers import wire
from servers.raw import RawServer
from servers.steps import Await, Close, Echo, Fin, Frame, Raw, Reply, Reset

HEAP = {"micropython32": "96k", "micropython64": "192k"}
STEP = {"micropython32": 16, "micropython64": 32, CHIP: 80}  # bytes of the heap's blocks; on the chip some of them
LAST = 1040

_SHORT = (-8, -10, -11, -13, -16, -101)
_OPEN = (Reply(), Await(wire.TEXT))
# Event -> (the server's steps, the statuses that may come of it; 0 is the program's close() of an open connection)
EVENTS = {
    "message": ((*_OPEN, Frame(wire.TEXT, "a message of one frame"), Echo()), (0, *_SHORT)),
    "large-message": ((*_OPEN, Frame(wire.BINARY, bytes(3000)), Echo()), (0, *_SHORT)),
    "fragments": (
        (*_OPEN, Frame(wire.TEXT, "one", fin=False), Frame(wire.CONTINUATION, bytes(900)), Echo()), (0, *_SHORT),
    ),
    "ping": ((*_OPEN, Frame(wire.PING, bytes(100)), Echo()), (0, *_SHORT)),
    "fin": ((*_OPEN, Fin()), (-99,)),
    "reset": ((*_OPEN, Reset()), (-109, -99)),
    "close-frame": ((*_OPEN, Close(1001, "going away"), Fin()), (-6,)),
    "garbage": ((*_OPEN, Raw(b"\x83\x01x"), Fin()), (-202,)),
    "closing": ((*_OPEN, Await(wire.CLOSE), Close(1000), Fin()), (0,)),
    "opening": ((Reply(), Echo()), (0, *_SHORT)),
    "opening-fin": ((Fin(),), (-99, *_SHORT)),
    "opening-refused": ((Reply("HTTP/1.1 404 Not Found"), Fin()), (-17, *_SHORT)),
}  # fmt: skip


@pytest.fixture(scope="module")
def url():
    scripts = {name: steps for name, (steps, _) in EVENTS.items()} | {"echo": (Reply(), Echo())}
    with RawServer(scripts) as server:
        yield server.url("")


def faults(interpreter, event, url, folder, *more):
    """Play an event with every amount of free heap; return how many runs there were, and what went wrong."""
    step = STEP[interpreter]
    arguments = url, event, "0", str(LAST), str(step), *more
    results = told(interpreter, "full_heap_program.py", *arguments, heap=HEAP.get(interpreter), before=folder)
    wrong = []
    for left in range(0, LAST, step):
        _, status, raised, problem = results[left]
        if problem or raised or status not in EVENTS[event][1]:
            raised = raised or "nothing"
            wrong.append(f"{left} bytes free: status {status}, poll() raised {raised}, {problem or 'usable'}")
    return len(results), wrong


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("interpreter", [*MICROPYTHONS, CHIP])
def test_event_with_a_full_heap_keeps_its_status(url, compiled, interpreter, event, torturer):
    runs, wrong = faults(interpreter, event, url, compiled)
    torturer.runs["full heap"] += runs
    assert not wrong, f"{len(wrong)} of {runs} runs went wrong:\n" + "\n".join(wrong[:8])


def test_full_heap_torturer_finds_a_fault_put_in_on_purpose(url, compiled):
    runs, wrong = faults("micropython64", "fin", url, compiled, "wrong")
    assert len(wrong) == runs
