"""Print the microseconds of receiving COUNT messages of SIZE bytes: binary, ASCII, 3-byte characters.

bench_receive HOST PORT SIZE ROUNDS COUNT
"""

import sys

import bench_peers

host = sys.argv[1]
port, size, rounds, count = map(int, sys.argv[2:])
client = bench_peers.Client(host, port, "source/{}/{}".format(size, count))


def batch(kind):
    def receive():
        client.count = 0
        client.ws.send(kind)
        client.wait(count)

    return receive


bench_peers.rounds(rounds, batch("b"), batch("a"), batch("u"))
if len(client.message.encode()) != size:
    raise RuntimeError("another message came")
