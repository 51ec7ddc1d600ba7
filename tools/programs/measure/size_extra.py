"""Print the bytes of heap that importing an extra beside the client and asyncio keeps: MODULE.

The table of names grows in jumps, each for many names to come, whosever they are. So one jump is made before, and the
module's own name, which a program that imports it has, is in it.
"""

import asyncio  # noqa: F401
import gc
import sys

import uwebsocket_client  # noqa: F401

_JUMP = 400  # bytes that no name takes by itself

module = sys.argv[1]
before = number = grown = 0
while grown < _JUMP:
    number += 1
    gc.collect()
    before = gc.mem_alloc()
    hasattr(sys, "name_{}".format(number))  # now it is in the table
    grown = gc.mem_alloc() - before
hasattr(sys, module)

gc.collect()
before = gc.mem_alloc()
__import__(module)
gc.collect()
print(gc.mem_alloc() - before)
