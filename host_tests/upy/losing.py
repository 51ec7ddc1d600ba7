"""What a client makes of what ends a connection: the status that "close" tells, and the Close frame's payload."""

_OPENING = 1
_OPEN = 2


class _Sink:
    """A socket that takes everything."""

    taken = b""

    def write(self, buffer, start, n):
        """Take all of it."""
        self.taken += bytes(memoryview(buffer)[start : start + n])
        return n

    def close(self):
        """Do nothing."""


def _client(client, state):
    # A client of the module `client` in a state, and its connection.
    ws = client.createClient()
    connection = client.Connection()
    connection.socket = connection.raw = _Sink()
    connection.buffer = connection.out_buf = bytearray(144)
    connection.heard = True
    ws._state = state
    ws._connection = connection
    return ws, connection


def status_of(client, error, opening):
    """Return the status that an error of the network leads to, while opening or afterwards."""
    ws, connection = _client(client, _OPENING if opening else _OPEN)
    ws._lost(error)
    return connection.status


def close_payload_of(client, status):
    """Return the payload of the Close frame that a failure sends."""
    ws, connection = _client(client, _OPEN)
    ws._fail(status)
    frame = connection.socket.taken
    if frame[:2] != b"\x88\x82" or connection.status != status:
        raise ValueError("no Close frame went out")
    return bytes([byte ^ frame[2 + i] for i, byte in enumerate(frame[6:])])
