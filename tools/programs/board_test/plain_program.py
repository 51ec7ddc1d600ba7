"""Talks to the computer through a bare socket, without the client: what the network alone can do."""


def step(host, port, rounds, size):
    """Return the median echo in us and the speed both ways in bytes a second, or what has failed and its errno."""
    import errno

    import usocket
    import utime

    def opened(order):
        sock = usocket.socket()
        try:
            sock.settimeout(5)
            sock.connect(usocket.getaddrinfo(host, port)[0][-1])
            sock.write(order)
        except BaseException:
            sock.close()
            raise
        return sock

    def read(sock, n):
        while n:
            got = sock.readinto(buffer, min(n, len(buffer)))
            if not got:
                raise OSError(errno.ECONNRESET)
            n -= got

    buffer = bytearray(512)
    phase = "connect"
    sock = None
    try:
        sock = opened(b"echo\n")
        phase = "echo"
        times = []
        for i in range(rounds):
            begin = utime.ticks_us()
            sock.write(b"%100d" % i)
            came = sock.read(100)
            times.append(utime.ticks_diff(utime.ticks_us(), begin))
            if came != b"%100d" % i:
                return {"failed": "changed", "errno": None}
        sock.close()
        phase = "send"
        begin = utime.ticks_ms()
        sock = opened(b"sink %d\n" % size)
        for _ in range(size // len(buffer)):
            sock.write(buffer)
        sock.read(4)
        sent = utime.ticks_diff(utime.ticks_ms(), begin)
        sock.close()
        phase = "receive"
        begin = utime.ticks_ms()
        sock = opened(b"source %d\n" % size)
        read(sock, size)
        received = utime.ticks_diff(utime.ticks_ms(), begin)
    except OSError as error:
        name = getattr(errno, "errorcode", {}).get(error.errno, str(error.errno))
        return {"failed": phase, "errno": name}
    finally:
        if sock:
            sock.close()
    return {
        "echo_us": sorted(times)[len(times) // 2],
        "sent": size * 1000 // max(1, sent),
        "received": size * 1000 // max(1, received),
    }
