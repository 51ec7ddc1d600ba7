"""Sends and receives a message that is many times larger than the heap, in constant memory."""


def step(kit, count_url, source_url, size, digest):
    """Return the speed both ways in bytes a second; `digest`: the SHA-256 of the message, in hexadecimal."""
    import binascii
    import hashlib

    import utime

    kit.open(count_url)
    piece = b"0123456789abcdef" * 32
    begin = utime.ticks_ms()
    for i in range(0, size, 512):
        kit.ws.send(piece, 0 if i else 2, i + 512 == size)
    kit.expect("receive", f"{size} {digest}")
    sent = utime.ticks_diff(utime.ticks_ms(), begin)

    received = hashlib.sha256()

    def on_data(ws, chunk, opcode, final):
        received.update(chunk)
        if final:
            kit.came["data"] = binascii.hexlify(received.digest()).decode()

    begin = utime.ticks_ms()
    kit.open(source_url, None, on_data)
    kit.expect("data", digest)
    received = utime.ticks_diff(utime.ticks_ms(), begin)
    return {"sent": size * 1000 // max(1, sent), "received": size * 1000 // max(1, received)}
