"""Print the bytes of heap that importing the client keeps."""

import gc

before = 0  # a new global may enlarge the table of globals

gc.collect()
before = gc.mem_alloc()
import uwebsocket_client  # noqa: E402, F401

gc.collect()
print(gc.mem_alloc() - before)
