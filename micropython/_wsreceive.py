# _wsreceive: reads the server's frames. MIT licence, see LICENSE.
"""What a server may send by RFC 6455, as a generator without I/O: it is given a `read` function and says what came.

Not needed while a connection opens: where memory is short it goes for that time, see `_open` in `uwebsocket_client`.
"""

from micropython import const

_PIECE = const(512)  # most bytes of one "data" piece

# The first two bytes of a frame (RFC 6455 5.2)
_FIN = const(0x80)
_RSV = const(0x70)
_OPCODE = const(0x0F)
_CONTROL = const(0x08)  # the bit that control opcodes have
_MASKED = const(0x80)
_LENGTH16 = const(126)  # the length is in the next 2 bytes; beyond it in the next 8

_TEXT = const(1)
_CLOSE = const(8)

# What is yielded beside an opcode
_PART = const(0x10)  # a piece of a message
_LAST = const(0x30)  # its last piece

# What is read next
_READ_HEADER = const(0)
_READ_LENGTH = const(1)
_READ_CONTROL = const(2)
_READ_WHOLE = const(3)  # the first frame of a message, straight into the message
_READ_PART = const(4)  # a later fragment, or a message that is handed over in pieces

del const


def utf8(data, start, end, state):
    """Check `data[start:end]` as UTF-8 by the letter (RFC 3629 3 and 4), across pieces.

    `state`: 0 before a character, else what the last call returned. Returns the new state:
    0 between two characters, more inside one, -1 for what is not UTF-8. Within a character
    it holds how many bytes are missing and the bounds of the next one, a byte each.
    """
    while start < end:
        byte = data[start] & 0xFF  # the items of an array may be signed
        start += 1
        if state:
            if not (state >> 8) & 0xFF <= byte <= state & 0xFF:
                return -1
            state = (state >> 16) - 1 << 16
            if state:
                state |= 0x80BF
        elif byte > 0x7F:
            if byte < 0xC2 or byte > 0xF4:
                return -1
            state = 0x180BF
            if byte > 0xEF:
                state = 0x390BF if byte == 0xF0 else 0x3808F if byte == 0xF4 else 0x380BF
            elif byte > 0xDF:
                state = 0x2A0BF if byte == 0xE0 else 0x2809F if byte == 0xED else 0x280BF
    return state


def _allocate(n):
    # n bytes, or `None` where there is no memory. A function of its own, for an exception would lie, traceback and
    # all, in the middle of the free room for as long as the frame that has seen it. Its argument is one, for more that
    # are not named would be a tuple.
    try:
        return bytearray(n)
    except MemoryError:
        return None


def _text(message, state, start):
    # The message as a str, or a status. The interpreter checks how characters are put
    # together, but lets overlong forms, surrogates and values above U+10FFFF pass: only the
    # bytes that can begin one of those send the message through the strict check, from `start`.
    try:
        text = str(message, "utf-8")
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


def _refused(data, opcode):
    # The status that the first two bytes of a frame lead to, 0 for good ones. `opcode`: of the message under way.
    code = data[0] & _OPCODE
    # a reserved bit, a mask, a reserved opcode; a control frame in fragments or too long (RFC 6455 5.2, 5.5)
    if data[0] & _RSV or data[1] & _MASKED or code & 7 > 2:
        return -202
    if code & _CONTROL:
        return 0 if data[0] & _FIN and data[1] < _LENGTH16 else -202
    return -15 if (not code) == (not opcode) else 0


def _length(data, n):
    # The length of a payload in n bytes, below 0 for a wrong one (RFC 6455 5.2).
    length = 0
    for i in range(n):
        length = length << 8 | data[i]
    return length if length >= (_LENGTH16 if n == 2 else 65536) and not length >> 63 else -1


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
    status = state = checked = rest = 0
    while not status:
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

        if stage < _READ_CONTROL:
            if stage == _READ_HEADER:
                code = head[0] & _OPCODE
                fin = head[0] & _FIN
                rest = head[1]
                status = _refused(head, opcode)
                if rest >= _LENGTH16:
                    stage = _READ_LENGTH
                    want = 2 if rest == _LENGTH16 else 8
                    got = 0
                    continue
            else:
                rest = _length(head, want)
                if rest < 0:
                    status = -202
            if status:
                continue
            # the header is complete
            got = 0
            if code & _CONTROL:
                stage = _READ_CONTROL
                want = rest
                buffer = _allocate(rest)
                if buffer is None:
                    buffer = b""  # a Close ends the connection without its payload too
                    want = 0
                    if code != _CLOSE:
                        status = -8
                continue
            if code:
                opcode = code
                taker = handlers.get("data")
                state = checked = 0
            failed = -11 if not code else -8 if fin else -10
            if not taker:
                # no heap holds a gigabyte; a later fragment would grow until it has failed
                if rest >> 30 or maxsize is not None and len(message or b"") + rest > maxsize:
                    status = failed
                    continue
                if code:
                    message = buffer = _allocate(rest)
                    stage = _READ_WHOLE
                    want = rest
                    if message is None:
                        status = failed
                    continue
            if part is None and rest:
                part = _allocate(_PIECE)
                if part is None:
                    status = failed
                    continue
            stage = _READ_PART
            buffer = part
            want = min(rest, _PIECE)
            if want:
                continue

        if stage == _READ_CONTROL:
            if code == _CLOSE:
                status = _close_status(buffer)
                if status:
                    continue
            yield code
            yield buffer
            if code == _CLOSE:
                return
        else:
            if stage == _READ_PART:
                rest -= got
                if taker:
                    final = fin and not rest
                    if opcode == _TEXT:
                        state = utf8(part, 0, got, state)
                        if state < 0 or final and state:
                            status = -207
                            continue
                    if got or final:
                        yield opcode | (_LAST if final else _PART)
                        yield memoryview(part or b"")[:got]
                        yield taker
                elif got:
                    try:
                        message.extend(memoryview(part)[:got])
                    except MemoryError:
                        status = -11
                        continue
                if rest:
                    got = 0
                    want = min(rest, _PIECE)
                    continue
            if fin:
                if not taker:
                    part = None
                    if opcode == _TEXT:
                        message = _text(message, state, checked)
                        if isinstance(message, int):
                            status = message
                            continue
                    yield opcode
                    buffer = message
                    message = None
                    yield buffer
                opcode = 0
                taker = None
        stage = _READ_HEADER
        buffer = head
        got = 0
        want = 2
    yield status
