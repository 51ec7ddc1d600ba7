"""Print the bytes of heap that an import keeps: STATEMENT."""

import gc
import sys

statement = sys.argv[1]
before = 0  # a new global may enlarge the table of globals
exec("pass")

gc.collect()
before = gc.mem_alloc()
exec(statement)

gc.collect()
print(gc.mem_alloc() - before)
