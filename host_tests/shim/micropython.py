"""MicroPython's `micropython` module, and what else its language has and CPython's lacks.

Importing it also gives `sys.print_exception`, and the pointer types of viper as built-in names.
"""

import builtins
import struct
import sys

from mp_runtime import Scheduler, print_exception

_QUEUE_DEPTH = 4

sys.print_exception = print_exception

_heap_locks = 0
_scheduler = Scheduler(_QUEUE_DEPTH, lambda error: print_exception(error, sys.stderr))


def const(value):
    """Return the value: the compiler's constants are plain names here."""
    return value


def native(function):
    """Return the function: there is no native code here."""
    return function


def viper(function):
    """Return the function: there is no native code here."""
    return function


def schedule(function, argument):
    """Call `function(argument)` as soon as no other callback runs; RuntimeError when 4 are waiting."""
    _scheduler.schedule(function, argument)
    while _scheduler.run_one():
        pass


def heap_lock():
    """Count a lock; CPython's memory has none."""
    global _heap_locks
    _heap_locks += 1


def heap_unlock():
    """Take back one lock; return how many are left."""
    global _heap_locks
    _heap_locks = max(0, _heap_locks - 1)
    return _heap_locks


def _pointer(code):
    """Make viper's pointer type for the elements of struct code `code`."""
    size = struct.calcsize(code)

    def pointer(buffer):
        view = memoryview(buffer).cast("B")
        return view[:len(view) // size * size].cast(code)

    return pointer


# The viper compiler knows these names without an import; annotations use them when a module is loaded.
builtins.ptr8 = _pointer("B")
builtins.ptr16 = _pointer("H")
builtins.ptr32 = _pointer("I")
builtins.uint = int
