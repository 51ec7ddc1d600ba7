"""Plays both sides of the opening handshake: a request for a URL, and a reply as a socket would bring it."""

from uwebsocket_reply import reply
from uwebsocket_request import request
from uwebsocket_url import parse_url

WAITING = "waiting"

_IDLE_STEPS = 3  # without anything to read, at the end
_CUT_EVERYWHERE = 400


def requested(url, headers, protocols, key):
    """Return the status of a bad URL, or (the bytes to send, the accept that is expected, the subprotocols)."""
    target = parse_url(url)
    return target if isinstance(target, int) else request(target, headers, protocols, key)[3:]


class Lines:
    """A `readline` that brings chunk after chunk, and None once between them."""

    def __init__(self, chunks):
        self._chunks = [chunk for chunk in chunks if chunk]
        self._pause = False

    def left(self):
        """Return what was not read."""
        return b"".join(self._chunks)

    def readline(self, n):
        """Return up to `n` bytes of the line, as far as they have come, None for none."""
        if n < 1:
            raise ValueError("asks for {} bytes".format(n))
        if self._pause or not self._chunks:
            self._pause = False
            return None
        chunk = self._chunks[0]
        end = chunk.find(b"\n") + 1 or len(chunk)
        line = chunk[: min(end, n)]
        self._chunks[0] = chunk[len(line) :]
        if not self._chunks[0]:
            self._chunks.pop(0)
            self._pause = True
        return line


class Client:
    """What the reply leaves its findings in."""

    http_status = protocol = None


def play(chunks, accept, protocols):
    """Return (status, http_status, bytes not read); the status is (protocol,) for a good reply."""
    lines = Lines(chunks)
    client = Client()
    idle = 0
    status = None
    for said in reply(lines.readline, accept, protocols, client):
        if status is not None:
            return "goes on", status, said
        if said:
            status = said
        elif not lines.left():
            idle += 1
            if idle > _IDLE_STEPS:
                status = WAITING
                break
    return (client.protocol,) if status is None else status, client.http_status, lines.left()


def ways(stream):
    """Generate the ways in which a reply can come, whole at first: lists of chunks."""
    yield [stream]
    size = len(stream)
    if size > _CUT_EVERYWHERE:
        places = list(range(1, size, 61)) + list(range(4080, min(size, 4110))) + list(range(size - 20, size))
    else:
        places = range(1, size)
    for at in places:
        yield [stream[:at], stream[at:]]
    yield [stream[at : at + 1] for at in range(size)]


def play_all_ways(stream, accept, protocols):
    """Return what `play` returns, which all ways must agree on: else the first other way and its outcome."""
    first = None
    for chunks in ways(stream):
        outcome = play(chunks, accept, protocols)
        if first is None:
            first = outcome
        elif isinstance(outcome[0], int) and outcome[:2] == first[:2]:
            pass  # what is left unread of a bad reply depends on how it came
        elif outcome != first:
            return "cut after {}".format(len(chunks[0])), outcome, first
    return first
