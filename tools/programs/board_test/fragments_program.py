"""Sends a message in fragments, one of which ends within a character, and receives one in fragments."""


def step(kit, url, fragments_url):
    """Return how many fragments went and came."""
    kit.open(url)
    kit.ws.send(b"one \xe2\x82", 1, False)
    kit.ws.send(b"", 0, False)
    kit.ws.send(b"\xac two", 0)
    kit.expect("receive", "one \u20ac two")
    kit.open(fragments_url)
    text = "0123456789" * 50
    kit.ws.send(text)
    kit.expect("receive", text)
    return {"sent": 3, "received": 5}
