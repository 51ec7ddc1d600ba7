# sensor_asyncio.py: readings out, commands in, by asyncio. MIT licence, see LICENSE.
"""Send a reading every 100 ms, print what the server says meanwhile; sensor_callbacks.py is the same with callbacks."""

import asyncio

from uwebsocket_asyncio import ConnectionClosed, connect

URL = "ws://192.168.1.10:8080/"
READINGS = 5


async def measure(ws):
    for i in range(READINGS):
        await ws.send("{} degrees".format(20 + i))
        await asyncio.sleep(0.1)


async def main():
    try:
        async with connect(URL) as ws:
            task = asyncio.create_task(measure(ws))
            for _ in range(READINGS):
                print("the server says:", await ws.recv())
            await task
        print("closed:", 0, ws.client.close_code)
    except ConnectionClosed as closed:
        print("closed:", closed.status, closed.code)


asyncio.run(main())
