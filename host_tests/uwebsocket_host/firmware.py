"""Makes CPython what a device program expects: its modules, and what MicroPython's have beside CPython's of that name.

What is added is what the client's documents and examples use, not all that a firmware has.
"""

import sys

from uwebsocket_host import DEVICE, SHIM

_SYNONYMS = (
    "asyncio", "binascii", "collections", "errno", "hashlib", "io", "json", "os", "random", "re", "struct", "sys",
)  # fmt: skip
_HEAP = 1 << 20  # what gc tells: CPython's memory has no such limit


def folders():
    """Return the folders of the client and the shim, for sys.path."""
    return [str(DEVICE), str(SHIM)]


def names():
    """Return {module of CPython: {name: what MicroPython has there}}; the shim must be on sys.path."""
    import mp_asyncio
    import utime

    ticks = ("sleep_ms", "sleep_us", "ticks_add", "ticks_diff", "ticks_ms", "ticks_us")
    return {
        "asyncio": {"sleep_ms": mp_asyncio.sleep_ms, "wait_for_ms": _wait_for_ms},
        "gc": {"mem_alloc": lambda: 0, "mem_free": lambda: _HEAP},
        "time": {name: getattr(utime, name) for name in ticks},
    }


def install():
    """Make all of it importable in this process: for one that runs nothing but a device program."""
    sys.path[:0] = folders()
    for module, added in names().items():
        vars(__import__(module)).update(added)
    for name in _SYNONYMS:
        sys.modules.setdefault(f"u{name}", __import__(name))


async def _wait_for_ms(awaitable, milliseconds):
    """Wait as `asyncio.wait_for` does, for milliseconds."""
    import asyncio

    return await asyncio.wait_for(awaitable, milliseconds / 1000)
