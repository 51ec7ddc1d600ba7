"""MicroPython's `micropython` module as a firmware without machine code has it.

Importing it also gives what CPython's own modules lack: `sys.print_exception` and `asyncio.core`.
"""

import importlib
import sys
import types

from mp_runtime import Scheduler, print_exception

_QUEUE_DEPTH = 4


class _AsyncioCore(types.ModuleType):
    """`asyncio.core`, loaded when it is used: few programs do."""

    def __getattr__(self, name):
        return getattr(importlib.import_module("mp_asyncio"), name)


sys.print_exception = print_exception
sys.modules["asyncio.core"] = _AsyncioCore("asyncio.core")

_heap_locks = 0
_scheduler = Scheduler(_QUEUE_DEPTH, lambda error: print_exception(error, sys.stderr))


def const(value):
    """Return the value: the compiler's constants are plain names here."""
    return value


def native(function):
    """Refuse: there is no machine code here, so modules that need it cannot be imported."""
    raise SyntaxError("invalid micropython decorator")


viper = native


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
