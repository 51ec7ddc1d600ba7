"""The two functions of MicroPython's `uctypes` that give the bytes of any buffer."""


class _Address:
    """Stands for the address of a buffer and keeps it alive."""

    def __init__(self, view):
        self.view = view


def addressof(buffer):
    """Return what `bytearray_at` takes."""
    return _Address(memoryview(buffer).cast("B"))


def bytearray_at(address, size):
    """Return the memory itself, no copy, as a buffer of bytes."""
    return address.view[:size]
