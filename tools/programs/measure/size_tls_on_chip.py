"""Print the bytes of heap that are free on a board when TLS begins, background on.

It runs as if typed at the prompt, where `path` is the server's URL; `tls` is what stands in for the firmware's, whose
own memory does not count.
"""

import gc

gc.collect()
start = gc.mem_free()
import tls  # noqa: E402

gc.collect()
start -= gc.mem_free()

import uwebsocket_client as websocket  # noqa: E402

websocket = websocket.createClient()
websocket.connect(path)  # noqa: F821
while websocket.poll(1000):
    pass
print(tls.free + start)
