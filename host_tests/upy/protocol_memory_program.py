"""Tells what the receiver says to messages that the heap cannot hold; for MicroPython with a heap of 128 KB."""

import gc

from plain import tell
from protocol_player import play

_BLOCK = b"a" * 500


def fragment(first, size):
    """Return the chunks of a frame of a bit more than `size` bytes."""
    blocks = size // len(_BLOCK) + 1
    size = blocks * len(_BLOCK)
    form, count = (b"\x7e", 2) if size < 65536 else (b"\x7f", 8)
    return [bytes((first,)) + form + size.to_bytes(count, "big")] + [_BLOCK] * blocks


def largest():
    """Return the size of the largest block that is free, within 1 KB."""
    size = gc.mem_free()
    while True:
        try:
            bytearray(size)
        except MemoryError:
            size -= 1024
        else:
            return size


def main():
    gc.collect()
    free = gc.mem_free()
    for name, chunks in (
        ("whole", fragment(0x82, free)),
        ("first-fragment", fragment(2, free)),
        ("later-fragment", fragment(2, free // 4) + fragment(0, free // 4) * 4),
        ("text", fragment(0x81, largest() * 2 // 3)),
        ("afterwards", [b"\x82\x7e\x01\xf4", _BLOCK]),
    ):
        gc.collect()
        tell(name, play(chunks))


main()
