"""Connects, and offers subprotocols."""


def step(kit, url):
    """Return how long a connection takes to open, and the subprotocol."""
    import utime

    begin = utime.ticks_ms()
    kit.open(url, {"protocols": ("superchat", "chat")})
    ms = utime.ticks_diff(utime.ticks_ms(), begin)
    if not kit.ws.connected or kit.ws.protocol != "superchat":
        raise kit.Failed(f"connected {kit.ws.connected}, protocol {kit.ws.protocol}")
    kit.ws.close()
    kit.expect("close", 0)
    return {"open_ms": ms, "protocol": "superchat"}
