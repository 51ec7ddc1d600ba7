"""The moments at which something may happen between two byte codes of the device code.

A board interrupts a program where its byte code jumps, where a call has come back and within calls of the firmware; an
allocation may fail wherever one is made. These places are found by tracing the device code in CPython: the same
operation runs again and again, and each time something happens one moment later.

`JUMPS`, `CALLBACKS` and `ALLOCATIONS` are the kinds of moments. All are supersets of what a board does: MicroPython
looks for callbacks and for Ctrl-C at jumps and in calls that wait (pending_exception_check in its virtual machine).
"""

import ast
import dis
import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType

from fakes.board import DEVICE

_DEVICE = str(DEVICE)
_CALLS = ("CALL", "CALL_FUNCTION_EX")
_WAITS = ("poll", "sleep", "getaddrinfo", "wrap_socket")  # calls of the firmware that look for Ctrl-C

# What always allocates on MicroPython, by the instructions of CPython 3.11. Calls of functions in byte code do not:
# without room in the heap their frames lie on the C stack (MicroPython's function objects).
_ALLOCATING = (
    "BUILD_TUPLE", "BUILD_LIST", "BUILD_MAP", "BUILD_CONST_KEY_MAP", "BUILD_SLICE", "BUILD_STRING", "LIST_EXTEND",
    "MAKE_FUNCTION", "IMPORT_NAME", "LIST_TO_TUPLE", "FORMAT_VALUE", "CALL_FUNCTION_EX",
)  # fmt: skip
# Functions and methods that make an object, by name
_MAKERS = {
    "bytearray", "bytes", "memoryview", "str", "tuple", "list", "dict", "urandom", "OSError", "ValueError", "TypeError",
    "EOFError", "RuntimeError", "__import__",
}  # fmt: skip
_MAKING_METHODS = {
    "encode", "decode", "from_bytes", "to_bytes", "socket", "getaddrinfo", "poll", "register", "split", "strip",
    "lower", "join", "format", "replace", "partition", "extend", "append", "items", "b2a_base64", "a2b_base64", "sha1",
    "digest", "SSLContext", "wrap_socket", "Timer", "WLAN", "stat",
}  # fmt: skip
_READING_METHODS = {"read", "recv", "readline"}  # with a size alone: they return what they have made
# So many attributes a MicroPython object holds before it needs a larger table (MicroPython's maps)
_FULL = (0, 2, 4, 6, 8, 10, 12, 17, 23, 29, 37, 47)


@dataclass(frozen=True)
class Kind:
    """A kind of moment.

    `places(code)` are the offsets of the instructions before which it may come, each with a `condition(frame)` or
    None; `firmware` the calls of the firmware that count, None for all of them.
    """

    places: object
    firmware: tuple | None

    def counts(self, call):
        """Tell whether a call of the firmware is such a moment."""
        return self.firmware is None or call in self.firmware


def _is_jump(instruction):
    return "JUMP" in instruction.opname or instruction.opname == "FOR_ITER"


@functools.cache
def _jumps(code):
    return {one.offset: None for one in dis.get_instructions(code) if _is_jump(one)}


@functools.cache
def _callbacks(code):
    found, after_call = {}, False
    for one in dis.get_instructions(code):
        if after_call or _is_jump(one):
            found[one.offset] = None
        after_call = one.opname in _CALLS
    return found


@functools.cache
def _syntax(path):
    """Return the nodes of a source file by their place, the names of its generator functions and of its constants."""
    nodes, generators, constants, functions, yields = {}, set(), set(), [], []
    for node in ast.walk(ast.parse(Path(path).read_text())):
        if isinstance(node, (ast.Call, ast.BinOp, ast.AugAssign, ast.Attribute, ast.Tuple)):
            nodes[type(node), node.lineno, node.col_offset, node.end_lineno, node.end_col_offset] = node
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            if getattr(node.value.func, "id", None) == "const":
                constants.update(target.id for target in node.targets)
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            yields.append(node.lineno)
        if isinstance(node, ast.FunctionDef):
            functions.append(node)
    for node in functions:
        if any(node.lineno <= line <= node.end_lineno for line in yields):
            generators.add(node.name)
    return nodes, generators, constants


def _is_text(node):
    """Tell whether an operand is surely bytes, str or a tuple."""
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, ast.Tuple) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))


def _attribute(node, condition):
    """Return whether an object in a local variable meets `condition(object, name of the attribute)`."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return None

    def holds(frame):
        found = frame.f_locals.get(node.value.id)
        return found is not None and condition(found, node.attr)

    return holds


def _is_new(found, name):
    attributes = getattr(found, "__dict__", None)
    return attributes is not None and name not in attributes and len(attributes) in _FULL


def _is_constant(node, constants):
    """Tell whether a tuple holds nothing but what const() has named."""
    if node is None:
        return False
    return all(isinstance(one, ast.Constant) or getattr(one, "id", None) in constants for one in node.elts)


def _makes(node, generators):
    """Tell whether a call makes an object."""
    if isinstance(node.func, ast.Name):
        return node.func.id in _MAKERS or node.func.id in generators
    name = getattr(node.func, "attr", None)
    if name in _READING_METHODS:
        return len(node.args) < 2
    return name in _MAKING_METHODS or name in generators


def _is_bound(found, name):
    return isinstance(getattr(type(found), name, None), FunctionType) and not isinstance(found, type(sys))


@functools.cache
def _allocations(code):
    nodes, generators, constants = _syntax(code.co_filename)
    found = {}
    for one in dis.get_instructions(code):
        place = one.positions.lineno, one.positions.col_offset, one.positions.end_lineno, one.positions.end_col_offset
        if one.opname == "BUILD_TUPLE" and _is_constant(nodes.get((ast.Tuple, *place)), constants):
            continue  # made by the compiler
        if one.opname in _ALLOCATING:
            found[one.offset] = None
        elif one.opname == "CALL" and (node := nodes.get((ast.Call, *place))):
            if _makes(node, generators):
                found[one.offset] = None
        elif one.opname == "BINARY_OP":
            node = nodes.get((ast.BinOp, *place)) or nodes.get((ast.AugAssign, *place))
            operands = () if node is None else (
                (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,))  # fmt: skip
            if any(map(_is_text, operands)):
                found[one.offset] = None
        elif one.opname in ("STORE_ATTR", "LOAD_ATTR"):
            wanted = _is_new if one.opname == "STORE_ATTR" else _is_bound
            condition = _attribute(nodes.get((ast.Attribute, *place)), wanted)
            if condition:
                found[one.offset] = condition
    return found


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
        places = self._kind.places(code)
        scheduler = self._board.scheduler

        def opcode(frame, event, _):
            if event == "opcode" and frame.f_lasti in places and not scheduler.running:
                condition = places[frame.f_lasti]
                if (condition is None or condition(frame)) and self._is_due():
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
