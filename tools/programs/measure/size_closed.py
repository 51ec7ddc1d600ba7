"""Connect, echo, close; print the bytes of heap that all this keeps beside the import."""

import sys

import size_client

# A new global may enlarge the table of globals: all are made before the first figure is taken.
echoes = before = kept = 0
ws = None


def on_receive(ws, message, opcode):
    global echoes
    echoes += 1
    ws.close()


before, _ = size_client.usage()
ws = size_client.connect(sys.argv[1], on_receive)
ws.send("round")
for _ in range(100):
    if not ws.poll(1000):
        break
kept, _ = size_client.usage()
if echoes != 1:
    raise RuntimeError("%d echoes" % echoes)
print(kept - before)
