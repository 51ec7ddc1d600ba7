# uwebsocket_mask: masking in machine code, for uwebsocket_client. MIT licence, see LICENSE.
"""The masking of RFC 6455 5.3 in viper: many times as fast as bytecode, and without the heap.

Compile it for the board's own instruction set (`mpy-cross -march=...`) and put it beside
`_wsprotocol`, which uses it when it can be imported.
"""

import micropython


@micropython.viper
def mask(buffer: ptr8, n: int):  # noqa: F821
    """Mask the `n` bytes from byte 16 of `buffer`, in place; the key is in bytes 12 to 15.

    Up to 3 bytes after them are changed too. It works on the scratch buffer alone, in whole words: a payload
    may lie in the flash of an ESP8266, which traps on any load of less than an aligned word.
    """
    words = ptr32(buffer)  # noqa: F821
    key = words[3]
    i = 4
    n = (n + 19) >> 2
    while i < n:
        words[i] = words[i] ^ key
        i += 1
