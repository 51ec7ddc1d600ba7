"""Drive micropython-websockets as its page on PyPI does: `async with connect()`, send() and recv()."""

import asyncio

from micropython_websockets import websockets


async def _play(url, session, limit_s):
    options = {"open_timeout": limit_s} if limit_s else {}
    async with websockets.connect(url, **options) as ws:
        if limit_s:
            asyncio.create_task(ws.keepalive_ping(limit_s))
        out, times = next(session)
        while True:
            for _ in range(times):
                await ws.send(out)
            try:
                out, times = session.send(await ws.recv())
            except StopIteration:
                return "closed"


def run(url, session, limit_s=None):
    """Play a session over one connection; return how it ended. `limit_s` is for pings and time-outs."""
    return asyncio.run(_play(url, session, limit_s))
