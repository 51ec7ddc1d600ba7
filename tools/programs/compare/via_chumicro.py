"""Drive chumicro-websockets as its page on PyPI does: callbacks, and check() and handle() in a loop."""

from chumicro_sockets.sockets_factory import connector_factory
from chumicro_timing import ticks_ms
from chumicro_websockets import WebSocketBackpressureError, WebSocketClient, WebSocketState


def run(url, session, limit_s=None):
    """Play a session over one connection; return how it ended. `limit_s` is for pings and time-outs."""
    unsent = []
    told = []

    def step(message=None):
        try:
            unsent.append(list(session.send(message)))
        except StopIteration:
            client.close()

    # Its default of 16 KiB would drop the larger messages of the comparison.
    options = {"max_message_bytes": 65536}
    if limit_s:
        names = ("ping_interval_ms", "pong_timeout_ms", "handshake_timeout_ms", "close_timeout_ms")
        options.update(dict.fromkeys(names, limit_s * 1000))
    client = WebSocketClient(transport_factory=connector_factory(), **options)
    client.on_open = client.on_text = client.on_binary = step
    client.on_close = lambda code, reason: told.append(code)
    client.connect(url)
    while client.state != WebSocketState.CLOSED:
        try:
            while unsent and client.state == WebSocketState.OPEN:
                while unsent[0][1]:
                    client.send_binary(unsent[0][0])
                    unsent[0][1] -= 1
                unsent.pop(0)
        except WebSocketBackpressureError:
            pass  # handle() makes room
        if client.check(ticks_ms()):
            client.handle(ticks_ms())
    return "code {}, {}".format(told[0] if told else None, client.last_error)
