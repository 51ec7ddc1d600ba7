"""The background of a board, for a program on a PC: its clients are served while it sleeps, and after it has ended.

As on a board, clients with `background` False are left to the program, and what a handler raises is printed.
"""

import sys
import time

_TICK_S = 0.01
_sleep = time.sleep


class Background:
    """Serves every client that connects after `attach()`."""

    def __init__(self):
        self._clients = []
        self._serving = False

    def attach(self):
        """Let clients make themselves known, and the pauses of the program serve them."""
        import utime
        import uwebsocket_client
        from _wsconfig import KEYS

        served = KEYS.index("background")
        connect = uwebsocket_client.WebSocketClient.connect

        def connect_and_tell(client, url):
            connect(client, url)
            if client._options[served] is not False and client not in self._clients:
                self._clients.append(client)

        uwebsocket_client.WebSocketClient.connect = connect_and_tell
        pauses = {
            "sleep": self.sleep,
            "sleep_ms": lambda milliseconds: self.sleep(max(0, milliseconds) / 1000),
            "sleep_us": lambda microseconds: self.sleep(max(0, microseconds) / 1000000),
        }
        for module in (time, utime):
            vars(module).update(pauses)

    def sleep(self, seconds):
        """Sleep, and serve meanwhile."""
        end = time.monotonic() + seconds
        while True:
            if not self._serving:  # else a client or a handler sleeps that is served
                self._serve()
            left = end - time.monotonic()
            if left <= 0:
                return
            _sleep(min(left, _TICK_S) if self._clients else left)

    def serve_all(self):
        """Serve until every client is closed."""
        while self._clients:
            self._serve()
            _sleep(_TICK_S)

    def _serve(self):
        self._serving = True
        try:
            for client in self._clients[:]:
                if not self._is_alive(client):
                    self._clients.remove(client)
        finally:
            self._serving = False

    @staticmethod
    def _is_alive(client):
        try:
            return client._serve()
        except Exception as error:
            sys.print_exception(error, sys.stderr)
            return True
