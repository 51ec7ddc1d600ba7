"""Closes with a code of its own, and is closed by the server with another."""


def step(kit, close_url, closing_url, code, reason):
    """Return the code that the server gave; what the server has heard it tells itself."""
    kit.open(close_url)
    kit.ws.close(code, reason)
    kit.expect("close", 0)
    kit.open(closing_url)
    kit.ws.send("enough?")
    kit.expect("close", -6)
    if (kit.ws.close_code, kit.ws.close_reason) != (code, reason):
        raise kit.Failed(f"the server closed with {kit.ws.close_code} {kit.ws.close_reason}")
    return {"code": code}
