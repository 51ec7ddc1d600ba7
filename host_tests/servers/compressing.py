"""Echo servers that insist on permessage-deflate, and answer BOMB by a message that unfolds to a megabyte."""

import contextlib
import threading

from websockets.exceptions import NegotiationError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.sync.server import serve

BOMB = b"bomb"


class _KeepsContext(ServerPerMessageDeflateFactory):
    """Takes only offers that let the server keep its context."""

    def process_request_params(self, params, accepted_extensions):
        """Refuse the others."""
        if ("server_no_context_takeover", None) in params:
            raise NegotiationError("the context is kept")
        return super().process_request_params(params, accepted_extensions)


def _insist(connection, request):
    if "permessage-deflate" not in request.headers.get("Sec-WebSocket-Extensions", ""):
        return connection.respond(426, "compression is required")
    return None


def _echo(connection):
    for message in connection:
        connection.send(bytes(1 << 20) if message == BOMB else message)


@contextlib.contextmanager
def running():
    """Serve on the loopback; yield (URL of a server that keeps no context, URL of one that insists on keeping it)."""
    with contextlib.ExitStack() as stack:
        urls = []
        for factory in (ServerPerMessageDeflateFactory, _KeepsContext):
            server = stack.enter_context(
                serve(_echo, "127.0.0.1", 0, extensions=[factory()], compression=None, process_request=_insist)
            )
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            urls.append(f"ws://127.0.0.1:{server.socket.getsockname()[1]}/")
        yield urls
