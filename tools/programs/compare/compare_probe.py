"""Tell the probe server what arrives, until the connection ends, and print how it did: CLIENT URL MODE LIMIT_S.

Every message is answered with its kind, its length in bytes and its CRC-32. MODE: "answer"; "close" after the first
message; "flood" the server after it. LIMIT_S, where it is not 0, is for the client's pings and time-outs.
"""

import binascii
import sys

client, url, mode, limit_s = sys.argv[1:5]


def session():
    """Answer what comes."""
    message = yield b"hello", 0
    while mode != "close":
        if mode == "flood":
            message = yield bytes(16384), 100000
            continue
        kind = "text" if isinstance(message, str) else "binary"
        data = message.encode() if kind == "text" else message
        answer = "{} {} {}".format(kind, len(data), binascii.crc32(data))
        message = yield answer.encode(), 1


try:
    ended = __import__(client).run(url, session(), int(limit_s))
except Exception as error:
    ended = "{}: {}".format(type(error).__name__, error)
print("ended:", ended)
