"""The moments at which something may happen between two byte codes of the device code.

A board interrupts a program where its byte code jumps, where a call has come back and within calls of the firmware; an
allocation may fail wherever one is made. These places are found by tracing the device code in CPython: the same
operation runs again and again, and each time something happens one moment later.

`JUMPS`, `CALLBACKS` and `ALLOCATIONS` are the kinds of moments; a kind is a function from a code object to the offsets
of the instructions before which it may happen, and whether calls of the firmware count too.
"""

import dis
import functools
import sys
from dataclasses import dataclass

from fakes.board import DEVICE

_DEVICE = str(DEVICE)
_CALLS = ("CALL", "CALL_FUNCTION_EX")
_WAITS = ("poll", "sleep", "getaddrinfo", "wrap_socket")  # calls of the firmware that look for Ctrl-C
# Instructions of CPython 3.11 that stand for what allocates on MicroPython: objects, closures, bound methods that are
# kept, large integers, slices, and new attributes. Every call counts, for its frame and what it makes.
_ALLOCATING = (
    "BUILD_TUPLE", "BUILD_LIST", "BUILD_MAP", "BUILD_CONST_KEY_MAP", "BUILD_SLICE", "BUILD_STRING", "LIST_EXTEND",
    "BINARY_OP", "BINARY_SUBSCR", "STORE_ATTR", "STORE_SUBSCR", "LOAD_ATTR", "MAKE_FUNCTION", "IMPORT_NAME", "GET_ITER",
    "LIST_TO_TUPLE", "FORMAT_VALUE", "CALL", "CALL_FUNCTION_EX", "RETURN_GENERATOR",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of moment: `offsets(code)`, and the calls of the firmware that count, None for all of them."""

    offsets: object
    firmware: tuple | None

    def counts(self, call):
        """Tell whether a call of the firmware is such a moment."""
        return self.firmware is None or call in self.firmware


def _is_jump(instruction):
    return "JUMP" in instruction.opname or instruction.opname == "FOR_ITER"


@functools.cache
def _jumps(code):
    return frozenset(one.offset for one in dis.get_instructions(code) if _is_jump(one))


@functools.cache
def _callbacks(code):
    found, after_call = set(), False
    for one in dis.get_instructions(code):
        if after_call or _is_jump(one):
            found.add(one.offset)
        after_call = one.opname in _CALLS
    return frozenset(found)


@functools.cache
def _allocations(code):
    return frozenset(one.offset for one in dis.get_instructions(code) if one.opname in _ALLOCATING)


JUMPS = Kind(_jumps, _WAITS)
CALLBACKS = Kind(_callbacks, None)
ALLOCATIONS = Kind(_allocations, ())


class Moments:
    """Counts the moments of the device code, and calls `act()` at one of them; a context manager.

    `turn` is the number of that moment, None for none: then `count` tells at the end how many there are. What `act`
    raises comes out of the device code there. `place` tells where that was, as "file:line" or the firmware's call.
    While a scheduled callback runs, or `act`, there are no moments: callbacks do not interrupt each other.
    """

    def __init__(self, board, kind, turn=None, act=None):
        self._board = board
        self._kind = kind
        self._turn = turn
        self._act = act
        self._enter = None
        self._before = None
        self._depth = 0
        self.count = 0
        self.place = None

    def __enter__(self):
        board, enter = self._board, self._board.enter
        self._enter = enter

        def entered(call):
            if self._kind.counts(call) and not board.scheduler.running and self._is_due():
                self._happen(f"{call}()")
            enter(call)

        board.enter = entered
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(self._before)
        self._board.enter = self._enter

    @property
    def happened(self):
        """Whether the moment has come."""
        return self.place is not None

    # Inside

    def _trace(self, frame, event, _):
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(_DEVICE):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        offsets = self._kind.offsets(code)
        scheduler = self._board.scheduler

        def opcode(frame, event, _):
            if event == "opcode" and frame.f_lasti in offsets and not scheduler.running and self._is_due():
                name = code.co_filename.rpartition("/")[2]
                self._happen(f"{name}:{frame.f_lineno or code.co_firstlineno}")
            return opcode

        return opcode

    def _is_due(self):
        if self.place is not None:
            return False
        self.count += 1
        return self._turn is not None and self.count > self._turn

    def _happen(self, place):
        self.place = place
        sys.settrace(None)
        self._act()
