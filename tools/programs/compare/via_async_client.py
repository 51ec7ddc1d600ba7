"""Drive micropython-async-websocket-client as its example does: handshake(), then recv() while it is open()."""

import asyncio

from async_websocket_client.ws import AsyncWebsocketClient


async def _play(url, session):
    ws = AsyncWebsocketClient()
    if not await ws.handshake(url):
        return "no handshake"
    out, times = next(session)
    while await ws.open():
        for _ in range(times):
            await ws.send(out)
        message = await ws.recv()
        if message is None:
            return "recv() gave None"
        try:
            out, times = session.send(message)
        except StopIteration:
            await ws.close()
            return "closed"
        del message
    return "not open"


def run(url, session, limit_s=None):
    """Play a session over one connection; return how it ended. It has no setting that `limit_s` could be."""
    return asyncio.run(_play(url, session))
