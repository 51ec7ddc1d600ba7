"""Print the microseconds of one echo of SIZE bytes, raw and by the client: HOST PORT SIZE ROUNDS COUNT [tls]."""

import sys

import bench_peers

host = sys.argv[1]
port, size, rounds, count = map(int, sys.argv[2:6])
tls = sys.argv[6:] == ["tls"]
path = "echo/{}".format(size)
message = bench_peers.pattern(size)

raw = bench_peers.Raw(host, port, path, tls)
raw_out = bench_peers.frame(message)
raw_in = bytearray(bench_peers.reply_size(size))
client = bench_peers.Client(host, port, path, tls)


def raw_echoes():
    sock = raw.sock
    for _ in range(count):
        sock.write(raw_out)
        sock.readinto(raw_in)


def client_echoes():
    ws = client.ws
    client.count = 0
    for done in range(count):
        ws.send(message)
        client.wait(done + 1)


bench_peers.rounds(rounds, raw_echoes, client_echoes)
if client.message != message or bytes(raw_in[-size:]) != message:
    raise RuntimeError("another message came back")
