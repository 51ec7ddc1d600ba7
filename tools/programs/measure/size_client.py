"""What the measuring programs share: a client that is connected, and the look at what is in use."""

import gc
import os

import uwebsocket_client as websocket


def connect(url, on_receive=None, config=None):
    """Return a client that is connected to `url`; RuntimeError where that fails."""
    ws = websocket.createClient()
    if config:
        ws.config(config)
    ws.on("receive", on_receive)
    ws.connect(url)
    for _ in range(100):
        if ws.connected:
            return ws
        ws.poll(1000)
    raise RuntimeError("not connected")


def usage():
    """Return the bytes of heap in use and the number of open descriptors."""
    descriptors = len(os.listdir("/proc/self/fd"))
    gc.collect()
    return gc.mem_alloc(), descriptors
