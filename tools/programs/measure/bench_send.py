"""Print the microseconds of sending COUNT messages of SIZE bytes, raw and by the client: HOST PORT SIZE ROUNDS COUNT.

The server answers after each batch, so that all of it has arrived when the clock stops.
"""

import sys

import bench_peers

host = sys.argv[1]
port, size, rounds, count = map(int, sys.argv[2:])
path = "sink/{}/{}".format(size, count)
message = bench_peers.pattern(size)

raw = bench_peers.Raw(host, port, path)
raw_out = bench_peers.frame(message)
raw_in = bytearray(bench_peers.reply_size(1))
client = bench_peers.Client(host, port, path)


def raw_batch():
    for _ in range(count):
        raw.sock.write(raw_out)
    raw.sock.readinto(raw_in)


def client_batch():
    client.count = 0
    for _ in range(count):
        client.ws.send(message)
    client.wait(1)


bench_peers.rounds(rounds, raw_batch, client_batch)
