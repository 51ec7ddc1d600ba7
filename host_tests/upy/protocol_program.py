"""Tells what _wsprotocol and _wsreceive make of the tables: `protocol_program.py TOPIC [portable]`.

Topics: receiver, utf8, mask, locked (needs MicroPython). "portable" leaves out the masker in machine code.
"""

import hashlib
import sys

from plain import shortened, tell

if "portable" in sys.argv:
    sys.modules["uwebsocket_mask"] = sys  # has no masker

import protocol_cases
from protocol_player import PIECE, Feed, play_all_ways

import _wsprotocol
from _wsprotocol import header, mask
from _wsreceive import receiver, utf8

try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    heap_lock = heap_unlock = None

_BODY = 16


def topic_receiver():
    for name, stream, _, options in protocol_cases.runs():
        tell(name, play_all_ways(stream, **options))


def kind(state):
    """Return 0 between two characters, 1 inside one, 2 for what is not UTF-8."""
    return 2 if state < 0 else 1 if state else 0


def feed_tree(taker, alphabet, depth, state=0):
    """Feed a hash with the kinds of all beginnings of a character up to `depth` bytes, each checked byte by byte."""
    kinds = bytearray()
    data = bytearray(1)
    for byte in alphabet:
        data[0] = byte
        after = utf8(data, 0, 1, state)
        kinds.append(kind(after))
        if depth > 1 and after > 0:
            taker.update(kinds)
            kinds = bytearray()
            feed_tree(taker, alphabet, depth - 1, after)
    taker.update(kinds)


def tree(alphabet, depth):
    """Return the digest of such a tree."""
    taker = hashlib.sha256()
    feed_tree(taker, alphabet, depth)
    return shortened(taker)


def topic_utf8():
    tell("every-byte-up-to-3", tree(bytes(range(256)), 3))
    tell("edges-up-to-5", tree(protocol_cases.EDGES, 5))
    for name, data in protocol_cases.BAD_TEXTS + protocol_cases.GOOD_BYTES:
        told = [kind(utf8(data, 0, len(data), 0))]
        for at in range(len(data)):
            state = utf8(data, 0, at, 0)
            told.append(kind(state) if state < 0 else kind(utf8(data, at, len(data), state)))
        tell(name, told)


def sent(message, room):
    """Return a frame as send() puts it together in a scratch buffer with room for `room` bytes of payload."""
    key = protocol_cases.KEY
    n = len(message)
    scratch = bytearray(_BODY + room)
    start = header(scratch, 0x82, n, key)
    out = bytearray(scratch[start:_BODY])
    done = 0
    while done < n:
        size = min(n - done, room)
        scratch[_BODY : _BODY + size] = message[done : done + size]
        mask(scratch, size)
        out.extend(scratch[_BODY : _BODY + size])
        done += size
    if len(scratch) != _BODY + room or scratch[12:_BODY] != key:
        raise ValueError("the scratch buffer was not left as it should be")
    return out


def no_memory(_):
    """Be a memoryview that there is no memory for."""
    raise MemoryError


def topic_mask():
    source = memoryview(protocol_cases.SOURCE)
    tell("masker", "machine code" if type(mask) is not type(header) else "bytecode")
    for name, start, n, room in protocol_cases.mask_runs():
        tell(name, sent(source[start : start + n], room))
    if "portable" in sys.argv:
        for start, n in ((0, 1), (0, 5), (3, 5), (1, 64), (64, 128)):
            scratch = bytearray(_BODY + 128)
            scratch[12:_BODY] = protocol_cases.KEY
            scratch[_BODY : _BODY + n] = source[start : start + n]
            _wsprotocol.memoryview = no_memory
            try:
                mask(scratch, n)
            finally:
                del _wsprotocol.memoryview
            tell("no-memory-{}-of-{}".format(start, n), scratch[_BODY : _BODY + n])


def locked(call):
    """Return what a call without arguments returns, "allocated" where it needs the heap."""
    heap_lock()
    try:
        result = call()
    except MemoryError:
        result = "allocated"
    heap_unlock()
    return result


def topic_locked():
    for name, stream, data in (
        ("idle-before-a-message", b"", False),
        ("idle-in-a-header", b"\x81", False),
        ("idle-in-a-length", b"\x81\x7e\x01", False),
        ("idle-in-a-text", b"\x81\x7e\x03\xe8" + b"a\xc3\xa9" * 300, False),
        ("idle-in-a-binary", b"\x82\x7e\x03\xe8abc", False),
        ("idle-in-a-ping", b"\x89\x05abc", False),
        ("idle-between-fragments", b"\x01\x03\xe2\x82\xac", False),
        ("idle-in-a-fragment", b"\x01\x03\xe2\x82\xac\x80\x04abc", False),
        ("idle-between-pieces", b"\x81\x7e\x03\xe8" + b"a" * 512, True),
    ):
        feed = Feed([stream])
        task = receiver(feed.read, {"data": feed} if data else {}, None)
        for event in task:
            if event:
                next(task)
                if event & PIECE:
                    next(task)
            elif feed.over():
                break
        tell(name, locked(lambda task=task: next(task)))
    data = bytearray("a\u00e9\u20ac\U0001f600".encode() * 100)
    tell("utf8-of-1000-bytes", locked(lambda: utf8(data, 0, len(data), 0)))
    scratch = bytearray(_BODY + 128)
    key = protocol_cases.KEY
    for n in (0, 125, 126, 65535, 65536, 1 << 29):
        tell("header-of-{}".format(n), locked(lambda n=n: header(scratch, 0x82, n, key)))
    for n in range(97, 101):
        tell("mask-of-{}".format(n), locked(lambda n=n: mask(scratch, n)))


globals()["topic_" + sys.argv[1]]()
