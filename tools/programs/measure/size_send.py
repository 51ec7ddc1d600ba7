"""Print the bytes of heap that one send() allocates."""

import gc
import sys

import size_client

message = bytearray(int(sys.argv[2]))
ws = size_client.connect(sys.argv[1])
ws.send(message)  # what is made once, is made here
gc.collect()
gc.disable()
before = gc.mem_alloc()
ws.send(message)
print(gc.mem_alloc() - before)
