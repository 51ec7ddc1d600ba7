"""Values as JSON can hold them, alike on every interpreter."""

import binascii
import hashlib
import json

_SHOWN = 250


def plain(value):
    """Return `value` for JSON: bytes in hexadecimal, long ones by their size and hash, tuples as lists."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        if len(value) > _SHOWN:
            return "{} bytes {}".format(len(value), digest(value))
        return "hex " + binascii.hexlify(value).decode()
    if isinstance(value, str) and len(value) > _SHOWN:
        return "str of {}".format(plain(value.encode()))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def digest(data):
    """Return the first 8 bytes of SHA-256 in hexadecimal."""
    return shortened(hashlib.sha256(data))


def shortened(taker):
    """Return the first 8 bytes of a hash in hexadecimal."""
    return binascii.hexlify(taker.digest()[:8]).decode()


def tell(case, told):
    """Print what came out of a case."""
    print(json.dumps({"case": case, "told": plain(told)}))
