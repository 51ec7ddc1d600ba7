"""Measures round trips of pings and of echoes, and answers the server's ping."""


def step(kit, url, ping_url, rounds, size):
    """Return the shortest, the median and the longest round trip of a ping and of an echo, in us."""
    import utime

    kit.open(url)
    message = b"x" * size
    said = {}
    for event, opcode in (("pong", 9), ("receive", 2)):
        times = []
        for _ in range(rounds):
            begin = utime.ticks_us()
            kit.ws.send(message, opcode)
            if kit.take(event) != message:
                raise kit.Failed(f'"{event}" brought something else')
            times.append(utime.ticks_diff(utime.ticks_us(), begin))
        times.sort()
        said["ping_us" if opcode == 9 else "echo_us"] = times[0], times[rounds // 2], times[-1]
    kit.open(ping_url)
    kit.expect("receive", "pong")
    return said
