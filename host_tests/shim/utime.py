"""MicroPython's `utime`: ticks that wrap at 2**30, and sleeping."""

import time as _host
from time import sleep, time, time_ns

from mp_runtime import TICKS_PERIOD, ticks_add, ticks_diff

__all__ = ["sleep", "sleep_ms", "sleep_us", "ticks_add", "ticks_diff", "ticks_ms", "ticks_us", "time", "time_ns"]


def ticks_ms():
    """Return milliseconds since an arbitrary start, modulo 2**30."""
    return _host.monotonic_ns() // 1000000 % TICKS_PERIOD


def ticks_us():
    """Return microseconds since an arbitrary start, modulo 2**30."""
    return _host.monotonic_ns() // 1000 % TICKS_PERIOD


def sleep_ms(milliseconds):
    """Sleep; not at all for a negative time."""
    sleep(max(0, milliseconds) / 1000)


def sleep_us(microseconds):
    """Sleep; not at all for a negative time."""
    sleep(max(0, microseconds) / 1000000)
