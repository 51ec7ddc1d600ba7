"""Drive micropython-websocket as its page and examples do: create_connection(), send() and recv(), which block."""

from micropython_websocket import websocket


def run(url, session, limit_s=None):
    """Play a session over one connection; return how it ended. `limit_s` is for pings and time-outs."""
    options = {"timeout": limit_s} if limit_s else {}
    with websocket.create_connection(url, **options) as ws:
        out, times = next(session)
        while True:
            for _ in range(times):
                ws.send(out)
            try:
                out, times = session.send(ws.recv_with_keepalive(limit_s) if limit_s else ws.recv())
            except StopIteration:
                return "closed"
