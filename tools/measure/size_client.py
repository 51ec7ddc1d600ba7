"""What the measuring programs share: a client that is connected."""

import uwebsocket_client as websocket


def connect(url, on_receive=None):
    """Return a client that is connected to `url`; RuntimeError where that fails."""
    ws = websocket.createClient()
    ws.on("receive", on_receive)
    ws.connect(url)
    for _ in range(100):
        if ws.connected:
            return ws
        ws.poll(1000)
    raise RuntimeError("not connected")
