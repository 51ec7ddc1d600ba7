"""Plays bytes to the receiver of _wsreceive as a socket would bring them, and notes what it says."""

import sys

from _wsreceive import receiver

CLOSE = 8
PIECE = 0x10
LAST_PIECE = 0x30
MOST_AT_ONCE = 512  # bytes of a "data" piece

_SLOW = sys.platform == "esp8266"
_IDLE_STEPS = 40  # without anything to read, at the end
_CUT_EVERYWHERE = 400  # longer streams are cut near these places and near the end
_CUTS = (1, 2, 3, 4, 9, 10, 11, 12, 129, 130, 131, 511, 512, 513, 516, 526, 1023, 1024, 1025)


class Feed:
    """A `read` that brings chunk after chunk, and `nothing` (None or 0) once between them."""

    def __init__(self, chunks, nothing=None):
        self._chunks = [chunk for chunk in chunks if chunk]
        self._nothing = nothing
        self._start = 0
        self._pause = False

    def over(self):
        """Return whether all was read."""
        return not self._chunks

    def read(self, buffer, offset, n):
        """Fill `buffer` from `offset` with up to `n` bytes of the chunk, as a socket does."""
        if not 0 <= offset < offset + n <= len(buffer):
            raise ValueError("asks for {} bytes at {} of {}".format(n, offset, len(buffer)))
        if self._pause or not self._chunks:
            self._pause = False
            return self._nothing
        part = memoryview(self._chunks[0])[self._start : self._start + n]
        buffer[offset : offset + len(part)] = part
        self._start += len(part)
        if self._start == len(self._chunks[0]):
            self._chunks.pop(0)
            self._start = 0
            self._pause = True
        return len(part)


def _join(pieces, event, content):
    # Keeps a piece; with the last one, returns the whole message.
    opcode = event & 15
    if not isinstance(content, memoryview) or len(content) > MOST_AT_ONCE:
        return "a piece is a memoryview of at most 512 bytes"
    if opcode != pieces[0] and pieces[0]:
        return "the opcode changed within a message"
    pieces[0] = opcode
    if len(content):
        pieces.append(bytes(content))
    elif event < LAST_PIECE:
        return "an empty piece that is not the last"
    if event < LAST_PIECE:
        return None
    return b"".join(pieces[1:])


def play(chunks, data=False, most=None, switch=None, nothing=None):
    """Return what the receiver says to `chunks`: [(event, content)], and at the end a status where one came.

    Whole messages come as (opcode, content), those in pieces, with `data`, joined as (opcode | 0x30, content).
    `most` is max_message. `switch` maps how much was said to whether "data" is registered from then on. An end without
    a reason is told as "ended", and what comes after the end as itself.
    """
    feed = Feed(chunks, nothing)
    handlers = {"data": feed} if data else {}
    said = []
    pieces = [0]
    idle = 0
    task = receiver(feed.read, handlers, most)
    for event in task:
        if not event:
            idle += feed.over()
            if idle > _IDLE_STEPS:
                if said and is_end(said[-1]):
                    said.append("goes on")
                return said
            continue
        if event < 0:
            said.append(event)
            continue
        content = next(task)
        if event & PIECE:
            if next(task) is not feed:
                said.append("another handler")
            content = _join(pieces, event, content)
            if content is None:
                continue
            pieces = [0]
        elif isinstance(content, bytearray):
            content = bytes(content)
        said.append((event, content))
        if switch and len(said) in switch:
            if switch[len(said)]:
                handlers["data"] = feed
            else:
                handlers.pop("data", None)
    if not (said and is_end(said[-1])):
        said.append("ended")
    return said


def is_end(word):
    """Return whether the receiver may say nothing after this."""
    return isinstance(word, int) or word[0] == CLOSE


def cuts(stream):
    """Return where to cut a stream in two: everywhere, in a long one where it matters; on the chip at a few places."""
    size = len(stream)
    if _SLOW:
        return range(1, size, 1 + size // 4)
    if size <= _CUT_EVERYWHERE:
        return range(1, size)
    return [at for at in _CUTS if at < size] + list(range(size - 20, size))


def ways(stream):
    """Generate (what, chunks, nothing): the ways in which a stream can come, whole at first."""
    yield "whole", [stream], None
    yield "whole with 0 at the end", [stream], 0
    for at in cuts(stream):
        yield "cut at {}".format(at), [stream[:at], stream[at:]], None
    step = 1 + len(stream) // 100 if _SLOW else 1 if len(stream) <= _CUT_EVERYWHERE else 97
    crumbs = [stream[at : at + step] for at in range(0, len(stream), step)]
    yield "in crumbs of {}".format(step), crumbs, None
    yield "in crumbs of {} with 0 between".format(step), crumbs, 0


def play_all_ways(stream, **options):
    """Return what `play` returns, which all ways must agree on: else the first other way follows it."""
    first = None
    for way, chunks, nothing in ways(stream):
        said = play(chunks, nothing=nothing, **options)
        if first is None:
            first = said
        elif said != first:
            return first + [(way, said)]
    return first
