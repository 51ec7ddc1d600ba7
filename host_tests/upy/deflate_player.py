"""Plays compressed frames to uwebsocket_deflate and the receiver behind it, and notes what they say."""

from protocol_player import LAST_PIECE, PIECE, Feed, is_end, ways

from _wsreceive import receiver
from uwebsocket_deflate import Deflate

_IDLE_STEPS = 40  # without anything to read, at the end
_BUDGET = 4096  # bytes that one poll() reads
_MOST_AT_ONCE = 512


class Connection:
    """What the extension needs of a connection."""

    def __init__(self, read, fill=None):
        self.read = read
        self.fill = fill
        self.count = _BUDGET
        self.out_buf = bytearray(1)
        self.status = self.close = None
        self.more = False


class Client:
    """What the extension needs of a client."""

    error = None

    def __init__(self, handlers=(), most=None):
        self._handlers = dict(handlers)
        self._options = (None,) * 7 + (most,)


def agreed(bits, value):
    """Return what comes of a reply to an offer of so many bits, as in REPLIES."""
    connection = Connection(Feed.read, Feed.over)
    extension = Deflate(Client(), connection)
    extension.bits = bits
    if not extension.match(value):
        return None if connection.read is Feed.read and connection.fill is Feed.over else "replaced"
    if connection.read is Feed.read:
        return "not replaced"
    return extension.bits, extension.past is not None, connection.fill is not Feed.over


def _message(pieces, event, content):
    # Keeps a piece; with the last one, returns the whole message.
    if event < 0 or not event & PIECE:
        return bytes(content) if isinstance(content, bytearray) else content
    if len(content) > _MOST_AT_ONCE:
        return "a piece is too long"
    pieces.append(bytes(content))
    if event < LAST_PIECE:
        return None
    content = b"".join(pieces)
    pieces.clear()
    return content


def play(chunks, takeover=False, data=False, most=None, nothing=None):
    """Return what is said to `chunks`, as `protocol_player.play` does."""
    feed = Feed(chunks, nothing)
    connection = Connection(feed.read)
    client = Client({"data": feed} if data else (), most)
    extension = Deflate(client, connection)
    extension.bits = 11
    value = b"permessage-deflate; server_max_window_bits=9"
    if not extension.match(value if takeover else value + b"; server_no_context_takeover"):
        return ["refused"]
    said = []
    pieces = []
    idle = 0
    task = receiver(connection.read, client._handlers, most)
    while True:
        try:
            event = next(task)
        except StopIteration:
            if not (said and is_end(said[-1])):
                said.append("ended")
            return said
        except MemoryError:
            event = -8
        if event < 0:
            # the status that is known already counts
            said.append(event if connection.status is None else connection.status)
            if connection.status is not None and connection.close != b"\x03\xf1":
                said.append("no close")
            if event == -8:
                return said
        elif event:
            content = _message(pieces, event, next(task))
            if event & PIECE:
                next(task)
            if content is not None:
                said.append((event, content))
        else:
            if connection.status is not None:
                said.append("a status without an end")
            connection.count = _BUDGET
            idle += feed.over()
            if idle > _IDLE_STEPS:
                if said and is_end(said[-1]):
                    said.append("goes on")
                return said


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
