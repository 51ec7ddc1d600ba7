"""Signals of the host as interrupts of a virtual board; needs `ffi`, which the 64-bit interpreter lacks."""

from micropython import schedule

try:
    import ffi

    libc = ffi.open("libc.so.6")
except ImportError:
    libc = None

_kept = []  # what C points to


def on_signal(number, function):
    """Have `function` scheduled at each signal, also while the prompt waits; return whether that is possible."""
    if libc is None:
        return False

    def handler(_):
        try:
            schedule(function, 0)
        except RuntimeError:  # the queue is full
            pass

    callback = ffi.callback("v", handler, "i", lock=True)
    _kept.append((handler, callback))
    libc.func("p", "signal", "ip")(number, callback.cfun())
    libc.func("i", "siginterrupt", "ii")(number, 1)
    return True
