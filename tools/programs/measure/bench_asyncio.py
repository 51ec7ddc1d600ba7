"""Print the microseconds of one echo of SIZE bytes, by callbacks and by asyncio: HOST PORT SIZE ROUNDS COUNT."""

import asyncio
import sys

import bench_peers

import utime
from uwebsocket_asyncio import connect

host = sys.argv[1]
port, size, rounds, count = map(int, sys.argv[2:6])
message = bench_peers.pattern(size)
client = bench_peers.Client(host, port, "echo/{}".format(size))


def by_callbacks():
    client.count = 0
    for done in range(count):
        client.ws.send(message)
        client.wait(done + 1)


async def by_asyncio(ws):
    for _ in range(count):
        await ws.send(message)
        answer = await ws.recv()
    return answer


async def main():
    async with connect("ws://{}:{}/echo/{}".format(host, port, size)) as ws:
        for warm in range(rounds + 1):
            start = utime.ticks_us()
            by_callbacks()
            between = utime.ticks_us()
            answer = await by_asyncio(ws)
            if warm:  # the first round was to warm up
                print(utime.ticks_diff(between, start), utime.ticks_diff(utime.ticks_us(), between))
        if answer != message or client.message != message:
            raise RuntimeError("another message came back")
        ws.client.close()  # the server reads on, and closes TCP alone


asyncio.run(main())
