"""Drive micropython-lib's aiohttp as its example does: ws_connect(), and `async for` over what comes."""

import asyncio

import aiohttp


async def _play(url, session, limit_s):
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(url) as ws:
            out, times = next(session)
            for _ in range(times):
                await ws.send_bytes(out)
            async for message in ws:
                try:
                    out, times = session.send(message.data)
                except StopIteration:
                    break
                del message
                for _ in range(times):
                    await ws.send_bytes(out)
            await ws.close()
    return "closed"


def run(url, session, limit_s=None):
    """Play a session over one connection; return how it ended. It has no setting that `limit_s` could be."""
    return asyncio.run(_play(url, session, limit_s))
