"""What a program has in use, as far as its interpreter tells."""

import gc
import os
import socket
import sys

import utime

_CHIP_SOCKETS = 5  # of TCP, as many as the virtual ESP8266 has
_CHIP_CLOSES_MS = 12000  # lwIP keeps a socket that was closed until the peer has closed too, or 10 s have passed


def descriptors():
    """Return how many file descriptors are open; on the chip, which has none, how many of its sockets are in use."""
    if sys.platform != "esp8266":
        return len(os.listdir("/proc/self/fd"))
    end = utime.ticks_add(utime.ticks_ms(), _CHIP_CLOSES_MS)
    while (used := _CHIP_SOCKETS - _to_be_had()) and utime.ticks_diff(end, utime.ticks_ms()) > 0:
        utime.sleep_ms(100)
    return used


def _to_be_had():
    """Return how many sockets can still be opened."""
    made = []
    try:
        while True:
            made.append(socket.socket())
    except OSError:
        return len(made)
    finally:
        for one in made:
            one.close()


def heap():
    """Return how many bytes of the heap are in use, 0 where nobody tells."""
    gc.collect()
    return gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
