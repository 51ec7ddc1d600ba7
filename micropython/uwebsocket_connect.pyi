from collections.abc import Generator

from uwebsocket_client import WebSocketClient
from uwebsocket_reply import _Expected
from uwebsocket_request import _Request

def connect(ws: WebSocketClient, target: _Request | int) -> Generator[int, None, _Expected | None]: ...
