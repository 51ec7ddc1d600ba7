"""Drive uwebsocket_client as README.md does: handlers, and poll() in a loop."""

import uwebsocket_client as websocket


def run(url, session, limit_s=None):
    """Play a session over one connection; return how it ended. `limit_s` is for pings and time-outs."""
    told = []

    def step(message):
        try:
            out, times = session.send(message)
        except StopIteration:
            ws.close()
            return
        del message
        for _ in range(times):
            ws.send(out)

    ws = websocket.createClient()
    if limit_s:
        names = ("connect_timeout_ms", "close_timeout_ms", "send_timeout_ms", "ping_interval_ms")
        ws.config(dict.fromkeys(names, limit_s * 1000))
    ws.on("connection", lambda ws: step(None))
    ws.on("receive", lambda ws, message, opcode: step(message))
    ws.on("close", lambda ws, status: told.append(status))
    ws.connect(url)
    while ws.poll(1000):
        pass
    return "status {}, code {}".format(told[0], ws.close_code)
