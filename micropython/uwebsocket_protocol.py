# uwebsocket_protocol: the WebSocket frame codec, without I/O. MIT licence, see LICENSE.
"""Frames of RFC 6455 as bytes: headers, masking, the strict UTF-8 check, and the receiver.

Nothing here knows a socket. The receiver is a generator that is given a `read` function and
says what came; the sender fills a scratch buffer that the caller writes out.

Layout of the scratch buffer (`bytearray` of 16 + 4*k bytes): the frame header ends at byte
16, its masking key is in bytes 12 to 15, the masked payload begins at byte 16.
"""

import gc

from micropython import const

_BODY = const(16)  # where the payload begins in the scratch buffer
_PIECE = const(512)  # most bytes of one "data" piece

# What the receiver reads next
_HEADER = const(0)
_LENGTH = const(1)
_CONTROL = const(2)
_WHOLE = const(3)  # the first frame of a message, straight into the message
_PART = const(4)  # a later fragment, or a message that is handed over in pieces

try:
    from uwebsocket_mask import mask, widen
except Exception:  # absent, no room for it, made for another chip, or no machine code here

    def widen(key, n):
        """Prepare a masking key for `mask`.

        `key`: 4 bytes; `n`: bytes that one call of `mask` will be given at the most.
        Returns the key as one integer, as wide as those bytes, or `None` without memory for it.
        """
        try:
            return int.from_bytes(key * ((n + 3) >> 2), "little")
        except MemoryError:
            return None

    def mask(buffer, data, start, n, key):
        """Copy `data[start:start + n]`, masked, to byte 16 of `buffer` (RFC 6455 5.3).

        `data`: memoryview of bytes; `key`: what `widen` returned for this frame. Whole
        integers are 9 times as fast as a loop over bytes, and need 3.5 bytes of heap a byte;
        without that memory the loop does it.
        """
        try:
            width = (n + 3) & ~3 if len(data) == n else len(buffer) - _BODY
            buffer[_BODY : _BODY + width] = (int.from_bytes(data[start : start + n], "little") ^ key).to_bytes(
                width, "little"
            )
        except (MemoryError, TypeError):  # None for a key
            i = 0
            while i < n:
                buffer[_BODY + i] = data[start + i] ^ buffer[12 + (i & 3)]
                i += 1


def header(buffer, first, n, key):
    """Write a frame header so that it ends at byte 16 of `buffer` (RFC 6455 5.2).

    `first`: FIN, RSV and opcode; `n`: payload length in bytes; `key`: 4 bytes.
    Returns where the header begins.
    """
    # Not as a slice: up to MicroPython 1.25 each a:b makes an object on the heap, also in an
    # assignment; 1.26 keeps it on the stack.
    buffer[12] = key[0]
    buffer[13] = key[1]
    buffer[14] = key[2]
    buffer[15] = key[3]
    if n < 126:
        start = 10
        buffer[11] = 0x80 | n
    else:
        start = 8 if n < 65536 else 2
        buffer[start + 1] = 0xFE if n < 65536 else 0xFF
        for i in range(start + 2, 12):
            buffer[i] = (n >> (88 - 8 * i)) & 0xFF
    buffer[start] = first
    return start


def utf8(data, start, end, state):
    """Check `data[start:end]` as UTF-8 by the letter (RFC 3629 3 and 4), across pieces.

    `state`: 0 before a character, else what the last call returned. Returns the new state:
    0 between two characters, more inside one, -1 for what is not UTF-8. Within a character
    it holds how many bytes are missing and the bounds of the next one, a byte each.
    """
    while start < end:
        byte = data[start]
        start += 1
        if state:
            if not (state >> 8) & 0xFF <= byte <= state & 0xFF:
                return -1
            state = (state & 0x30000) - 0x10000
            if state:
                state |= 0x80BF
        elif byte < 0x80:
            pass
        elif byte < 0xC2 or byte > 0xF4:
            return -1
        elif byte < 0xE0:
            state = 0x180BF
        elif byte < 0xF0:
            state = 0x2A0BF if byte == 0xE0 else 0x2809F if byte == 0xED else 0x280BF
        else:
            state = 0x390BF if byte == 0xF0 else 0x3808F if byte == 0xF4 else 0x380BF
    return state


def _attempt(function, n):
    try:
        return function(n)
    except MemoryError:
        return None


def _allocate(function, n):
    # What a collection cannot help raises. The exception of the first attempt must be gone by
    # then, frame and all: it would lie in the middle of the room.
    result = _attempt(function, n)
    if result is None:
        gc.collect()
        result = function(n)
    return result


def _text(message, state, start):
    # The message as a str, or a status. The interpreter checks how characters are put
    # together, but lets overlong forms, surrogates and values above U+10FFFF pass: only the
    # bytes that can begin one of those send the message through the strict check, from `start`.
    try:
        text = _allocate(lambda data: str(data, "utf8"), message)
    except UnicodeError:
        return -207
    except MemoryError:
        return -13
    if len(text) != len(message):
        lead = bytearray(1)
        for byte in b"\xc0\xc1\xe0\xed\xf0\xf4\xf5\xf6\xf7":
            lead[0] = byte
            if lead in message:
                return -207 if utf8(message, start, len(message), state) else text
    return text


def receiver(read, handlers, max_message):
    """Read the server's frames; a generator.

    `read(buffer, offset, n)` fills up to `n` bytes in from `offset` and returns how many came,
    0 or `None` for none at the moment; what it raises goes through. `handlers`: the registered
    events; with `"data"` among them when a message begins, it is handed over in pieces.
    `max_message`: most bytes of an assembled message, or `None`.

    Yields 0 when there is nothing to read; else what has come, and with the next step its
    content: opcode 1 or 2 (`str`, `bytearray`: a whole message), opcode | 0x10 (a `memoryview`,
    valid until the next step: a piece), opcode | 0x30 (the last piece), 8, 9, 10 (the payload,
    a `bytearray`). Ends after a Close frame, or after yielding the status (below 0) that a
    frame against RFC 6455 5.2 to 5.6, 7.4 and 8.1 or a lack of memory leads to.
    """
    head = bytearray(8)
    buffer = head
    stage = _HEADER
    got = 0
    want = 2
    opcode = 0  # of the message under way
    message = part = None
    state = checked = rest = 0
    while True:
        while got < want:
            n = read(buffer, got, want - got)
            if n:
                got += n
                if stage == _PART:
                    break
            else:
                if opcode == 1 and message is not None:
                    # nothing else to do: look early at the text so far, a little at a time
                    n = got if stage == _WHOLE else len(message)
                    if n > checked + 256:
                        n = checked + 256
                    state = utf8(message, checked, n, state)
                    checked = n
                    if state < 0:
                        yield -207
                        return
                yield 0

        if stage == _HEADER:
            first = head[0]
            rest = head[1]
            code = first & 15
            fin = first & 0x80
            # a reserved bit, a mask, a reserved opcode; a control frame in parts or too long
            if first & 0x70 or rest & 0x80 or code & 7 > 2 or code & 8 and not (fin and rest < 126):
                yield -202
                return
            if code < 8 and bool(code) == bool(opcode):
                yield -15
                return
            if rest > 125:
                stage = _LENGTH
                want = 2 if rest == 126 else 8
                got = 0
                continue
        elif stage == _LENGTH:
            rest = 0
            for i in range(want):
                rest = rest << 8 | head[i]
            if rest < (126 if want == 2 else 65536) or rest >> 63:
                yield -202
                return

        if stage < _CONTROL:  # the header is complete
            if code & 8:
                stage = _CONTROL
                buffer = bytearray(rest)
                got = 0
                want = rest
                continue
            if code:
                opcode = code
                pieces = "data" in handlers
                state = checked = 0
            failed = -11 if not code else -8 if fin else -10
            if not pieces:
                n = len(message) if message is not None else 0
                # no heap holds a gigabyte; a later fragment would grow until it has failed
                if rest >> 30 or max_message is not None and n + rest > max_message:
                    yield failed
                    return
                if code:
                    try:
                        message = buffer = _allocate(bytearray, rest)
                    except MemoryError:
                        yield failed
                        return
                    stage = _WHOLE
                    got = 0
                    want = rest
                    continue
            if part is None and rest:
                try:
                    part = _allocate(bytearray, _PIECE)
                except MemoryError:
                    yield failed
                    return
            stage = _PART
            buffer = part
            got = 0
            want = min(rest, _PIECE)
            if want:
                continue

        if stage == _CONTROL:
            if code == 8:
                # RFC 6455 7.4: which codes a frame may carry
                n = 1000 if not rest else 0 if rest == 1 else buffer[0] << 8 | buffer[1]
                if not (1000 <= n < 1004 or 1006 < n < 1015 or 2999 < n < 5000):
                    yield -202
                    return
                if utf8(buffer, 2, rest, 0):
                    yield -207
                    return
            yield code
            yield buffer
            if code == 8:
                return
        elif pieces:
            rest -= got
            final = fin and not rest
            if opcode == 1:
                state = utf8(part, 0, got, state)
                if state < 0 or final and state:
                    yield -207
                    return
            if got or final:
                yield opcode | (0x30 if final else 0x10)
                yield memoryview(part)[:got] if got else memoryview(b"")
            if rest:
                got = 0
                want = min(rest, _PIECE)
                continue
        elif stage == _PART:
            if got:
                rest -= got
                try:
                    message.extend(memoryview(part)[:got])
                except MemoryError:
                    yield -11
                    return
                if rest:
                    got = 0
                    want = min(rest, _PIECE)
                    continue

        if code < 8 and fin:
            if not pieces:
                part = None
                if opcode == 1:
                    message = _text(message, state, checked)
                    if isinstance(message, int):
                        yield message
                        return
                yield opcode
                buffer = message
                message = None
                opcode = 0
                yield buffer
            opcode = 0
        stage = _HEADER
        buffer = head
        got = 0
        want = 2
