"""aiohttp as a peer: what tools/common/echo_server.py does, except what aiohttp cannot do."""

import socket

from aiohttp import WSMsgType, web

SUBPROTOCOLS = ("chat", "superchat")
MAX_MESSAGE = 1 << 24

last_close = ""


async def handle(request):
    """Serve one connection; the path of the URL says how."""
    global last_close
    asks = request.path == "/ping"
    ws = web.WebSocketResponse(protocols=SUBPROTOCOLS, max_msg_size=MAX_MESSAGE, compress=False, autoping=not asks)
    await ws.prepare(request)
    if asks:
        await ws.ping(b"are you there?")
    elif request.path == "/told":
        await ws.send_str(last_close)
    while (message := await ws.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PONG):
        if message.type is WSMsgType.PONG:
            await ws.send_str("pong")
        elif request.path == "/close":
            await ws.close(code=int(request.query["code"]), message=request.query["reason"].encode())
        elif message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        else:
            await ws.send_bytes(message.data)
    if message.type is WSMsgType.CLOSE:
        last_close = f"{message.data} {message.extra}"
    return ws


def main():
    """Serve on any port of loopback."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"serving {listener.getsockname()[1]}", flush=True)
    web.run_app(app, sock=listener, print=None)


if __name__ == "__main__":
    main()
