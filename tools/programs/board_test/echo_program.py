"""Echoes binary and text of growing size, as far as the heap goes."""


def step(kit, url, sizes, must):
    """Return the largest message of each kind that came back unchanged; those up to `must` bytes have to."""
    import hashlib

    largest = {}
    for kind, unit in (("binary", b"\x00\xff\x80abcdefghijklm"), ("text", "abcdef\xb5\u20ac\U0001f600g")):
        kit.open(url)
        for n in sizes:
            message = sent = None
            try:
                message = unit * (n // 16)
                if n % 16:
                    message += (b"x" if kind == "binary" else "x") * (n % 16)
                sent = hashlib.sha256(message).digest()
                kit.ws.send(message)
                message = None
                message = kit.take("receive")
            except MemoryError:
                if n <= must:
                    raise
                break
            except kit.Failed:
                if n <= must or kit.came.get("close") not in (-8, -13, -16):
                    raise
                break
            if isinstance(message, str) != (kind == "text") or hashlib.sha256(message).digest() != sent:
                raise kit.Failed(f"{n} B of {kind} came back changed")
            largest[kind] = n
    return largest
