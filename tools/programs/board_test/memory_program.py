"""Connects, echoes and closes again and again: the heap must come back each time."""


def step(kit, url, rounds, limit):
    """Return by how many bytes the heap in use has grown from one half of the rounds to the other, at most `limit`."""
    import gc

    used = [0] * rounds
    for i in range(rounds):
        kit.open(url)
        kit.ws.send("round and round")
        kit.expect("receive", "round and round")
        kit.drop()
        used[i] = gc.mem_alloc()
    half = rounds // 2
    grown = min(used[half:]) - min(used[:half])
    if grown > limit:
        raise kit.Failed(f"the heap in use has grown by {grown} B in {rounds - half} rounds")
    return {"rounds": rounds, "grown": max(0, grown)}
