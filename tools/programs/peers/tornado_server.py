"""Tornado as a peer: what tools/common/echo_server.py does, except what Tornado cannot do."""

import asyncio

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler

SUBPROTOCOLS = ("chat", "superchat")
MAX_MESSAGE = 1 << 24

last_close = ""


class Handler(WebSocketHandler):
    """Serves one connection; the path of the URL says how."""

    def select_subprotocol(self, subprotocols):
        """Choose the first one that is known."""
        return next((name for name in subprotocols if name in SUBPROTOCOLS), None)

    def open(self, *args):
        """Begin as the path asks."""
        if self.request.path == "/ping":
            self.ping(b"are you there?")
        elif self.request.path == "/told":
            self.write_message(last_close)

    def on_message(self, message):
        """Send a message back, or close."""
        if self.request.path == "/close":
            self.close(int(self.get_query_argument("code")), self.get_query_argument("reason"))
        else:
            self.write_message(message, binary=isinstance(message, bytes))

    def on_pong(self, data):
        """Tell of the answer to the ping."""
        if self.request.path == "/ping":
            self.write_message("pong")

    def on_close(self):
        """Remember what the client said."""
        global last_close
        if self.close_code:
            last_close = f"{self.close_code} {self.close_reason or ''}"


async def main():
    """Serve on any port of loopback."""
    (listener,) = bind_sockets(0, "127.0.0.1")
    app = Application([("/.*", Handler)], websocket_max_message_size=MAX_MESSAGE)
    HTTPServer(app).add_socket(listener)
    print(f"serving {listener.getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
