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

# The first two bytes of a frame (RFC 6455 5.2)
_FIN = const(0x80)
_RSV = const(0x70)
_OPCODE = const(0x0F)
_CONTROL = const(0x08)  # the bit that control opcodes have
_MASKED = const(0x80)
_LENGTH16 = const(126)  # the length is in the next 2 bytes
_LENGTH64 = const(127)  # in the next 8

_TEXT = const(1)
_CLOSE = const(8)

# What the receiver yields beside an opcode
_PART = const(0x10)  # a piece of a message
_LAST = const(0x30)  # its last piece

# What the receiver reads next
_READ_HEADER = const(0)
_READ_LENGTH = const(1)
_READ_CONTROL = const(2)
_READ_WHOLE = const(3)  # the first frame of a message, straight into the message
_READ_PART = const(4)  # a later fragment, or a message that is handed over in pieces

_WIDTH = const(484)  # bytes that are masked at once: three times that and a header fill a TCP segment

try:
    from uwebsocket_mask import mask
except Exception:  # absent, no room for it, made for another chip, or no machine code here

    def mask(buffer, n):
        """Mask the `n` bytes from byte 16 of `buffer`, in place (RFC 6455 5.3); the key is in bytes 12 to 15.

        Whole integers are many times as fast as a loop over bytes, and need 4 bytes of heap a byte; without
        that memory the loop does it. What follows up to a multiple of 4, in more than 484 bytes up to a multiple of
        them, is changed too.
        """
        i = _BODY
        n += i
        try:
            view = memoryview(buffer)
            width = min(n - i + 3 & ~3, _WIDTH)
            key = int.from_bytes(bytes(view[12:_BODY]) * (width >> 2), "little")
            while i < n:
                buffer[i : i + width] = (int.from_bytes(view[i : i + width], "little") ^ key).to_bytes(width, "little")
                i += width
        except MemoryError:
            pass
        while i < n:
            buffer[i] ^= buffer[12 + (i & 3)]
            i += 1


def header(buffer, opcode, n, key):
    """Write a frame header so that it ends at byte 16 of `buffer` (RFC 6455 5.2).

    `opcode`: with FIN and RSV, the first byte; `n`: payload length in bytes; `key`: 4 bytes.
    Returns where the header begins.
    """
    for i in range(4):  # a slice assignment takes heap up to MicroPython 1.25
        buffer[12 + i] = key[i]
    if n < _LENGTH16:
        start = 10
        buffer[11] = _MASKED | n
    else:
        start = 8 if n < 65536 else 2
        buffer[start + 1] = _MASKED | (_LENGTH16 if n < 65536 else _LENGTH64)
        i = 12
        while i > start + 2:
            i -= 1
            buffer[i] = n & 0xFF
            n >>= 8
    buffer[start] = opcode
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


def _attempt(function, args):
    try:
        return function(*args)
    except MemoryError:
        return None


def _allocate(function, *args):
    # function(*args), once more after a collection where there is no memory. The exception of the first
    # attempt must be gone by then, traceback and all: it would lie in the middle of the free room.
    result = _attempt(function, args)
    if result is None:
        gc.collect()
        result = function(*args)
    return result


def _text(message, state, start):
    # The message as a str, or a status. The interpreter checks how characters are put
    # together, but lets overlong forms, surrogates and values above U+10FFFF pass: only the
    # bytes that can begin one of those send the message through the strict check, from `start`.
    try:
        text = _allocate(str, message, "utf8")
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


def _close_status(data):
    # The status that the payload of a Close frame leads to, 0 for a good one (RFC 6455 7.4).
    n = len(data)
    if n:
        n = n > 1 and data[0] << 8 | data[1]
        if not (1000 <= n < 1004 or 1006 < n < 1015 or 2999 < n < 5000):
            return -202
    return -207 if utf8(data, 2, len(data), 0) else 0


def receiver(read, handlers, maxsize):
    """Read the server's frames; a generator.

    `read(buffer, offset, n)` fills up to `n` bytes in from `offset` and returns how many came,
    0 or `None` for none at the moment; what it raises goes through. `handlers`: the registered
    events; with `"data"` among them when a message begins, it is handed over in pieces.
    `maxsize`: most bytes of an assembled message, or `None`.

    Yields 0 when there is nothing to read; else what has come, and with the next step its
    content: opcode 1 or 2 (`str`, `bytearray`: a whole message), opcode | 0x10 (a `memoryview`,
    valid until the next step but one: a piece; the step after that gives its handler), opcode | 0x30
    (the last piece, likewise), 8, 9, 10 (the payload, a `bytearray`). Ends after a Close frame, or
    after yielding the status (below 0) that a frame against RFC 6455 5.2 to 5.6, 7.4 and 8.1 or a
    lack of memory leads to.
    """
    head = bytearray(8)
    buffer = head
    stage = _READ_HEADER
    got = 0
    want = 2
    opcode = 0  # of the message under way
    message = part = taker = None
    state = checked = rest = 0
    while True:
        while got < want:
            n = read(buffer, got, want - got)
            if n:
                got += n
                if stage == _READ_PART:
                    break
            else:
                if opcode == _TEXT and message is not None:
                    # nothing else to do: look early at the text so far, a little at a time
                    n = min(got if stage == _READ_WHOLE else len(message), checked + 256)
                    state = utf8(message, checked, n, state)
                    checked = n
                    if state < 0:
                        yield -207
                        return
                yield 0

        if stage == _READ_HEADER:
            first = head[0]
            rest = head[1]
            code = first & _OPCODE
            fin = first & _FIN
            # a reserved bit, a mask, a reserved opcode; a control frame in fragments or too long (RFC 6455 5.2, 5.5)
            if first & _RSV or rest & _MASKED or code & 7 > 2 or code & _CONTROL and not (fin and rest < _LENGTH16):
                yield -202
                return
            if code < _CONTROL and (not code) == (not opcode):
                yield -15
                return
            if rest >= _LENGTH16:
                stage = _READ_LENGTH
                want = 2 if rest == _LENGTH16 else 8
                got = 0
                continue
        elif stage == _READ_LENGTH:
            rest = 0
            for i in range(want):
                rest = rest << 8 | head[i]
            if rest < (_LENGTH16 if want == 2 else 65536) or rest >> 63:
                yield -202
                return

        if stage < _READ_CONTROL:  # the header is complete
            got = 0
            if code & _CONTROL:
                stage = _READ_CONTROL
                want = rest
                try:
                    buffer = _allocate(bytearray, rest)
                except MemoryError:
                    if code != _CLOSE:
                        yield -8
                        return
                    buffer = b""  # it ends the connection without its payload too
                    want = 0
                continue
            if code:
                opcode = code
                taker = handlers.get("data")
                state = checked = 0
            failed = -11 if not code else -8 if fin else -10
            if not taker:
                n = len(message) if message is not None else 0
                # no heap holds a gigabyte; a later fragment would grow until it has failed
                if rest >> 30 or maxsize is not None and n + rest > maxsize:
                    yield failed
                    return
            try:
                if code and not taker:
                    message = buffer = _allocate(bytearray, rest)
                    stage = _READ_WHOLE
                    want = rest
                    continue
                if part is None and rest:
                    part = _allocate(bytearray, _PIECE)
            except MemoryError:
                yield failed
                return
            stage = _READ_PART
            buffer = part
            want = min(rest, _PIECE)
            if want:
                continue

        if stage == _READ_CONTROL:
            if code == _CLOSE:
                n = _close_status(buffer)
                if n:
                    yield n
                    return
            yield code
            yield buffer
            if code == _CLOSE:
                return
        elif taker:
            rest -= got
            final = fin and not rest
            if opcode == _TEXT:
                state = utf8(part, 0, got, state)
                if state < 0 or final and state:
                    yield -207
                    return
            if got or final:
                yield opcode | (_LAST if final else _PART)
                yield memoryview(part)[:got] if got else memoryview(b"")
                yield taker
        elif got and stage == _READ_PART:
            rest -= got
            try:
                message.extend(memoryview(part)[:got])
            except MemoryError:
                yield -11
                return
        if stage == _READ_PART and rest:
            got = 0
            want = min(rest, _PIECE)
            continue

        if code < _CONTROL and fin:
            if not taker:
                part = None
                if opcode == _TEXT:
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
            taker = None
        stage = _READ_HEADER
        buffer = head
        got = 0
        want = 2
