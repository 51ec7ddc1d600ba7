"""Connects to a server that drops the first connection; the client must come back by itself."""


def step(kit, url):
    """Return how long the connection was away."""
    import utime

    kit.open(url, {"reconnect": True, "reconnect_min_ms": 200, "reconnect_max_ms": 1000})
    kit.ws.send("drop me")
    kit.expect("close", -99)
    begin = utime.ticks_ms()
    kit.take("connection")
    away = utime.ticks_diff(utime.ticks_ms(), begin)
    kit.ws.send("again")
    kit.expect("receive", "again")
    kit.ws.close()
    kit.expect("close", 0)
    return {"away_ms": away}
