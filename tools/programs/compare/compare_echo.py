"""Connect, echo a binary message of SIZE bytes five times, close: for finding the smallest heap. CLIENT URL SIZE"""

import sys

client, url, size = sys.argv[1:4]
message = bytes(int(size))
echoes = 0


def session():
    """Ask for five echoes."""
    global echoes
    for _ in range(5):
        if len((yield message, 1)) != len(message):
            raise RuntimeError("another message came back")
        echoes += 1


__import__(client).run(url, session())
if echoes != 5:
    raise RuntimeError("{} echoes".format(echoes))
print("done")
