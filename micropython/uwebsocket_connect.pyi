from collections.abc import Callable, Generator
from typing import Any

from uwebsocket_client import WebSocketClient
from uwebsocket_reply import _Expected
from uwebsocket_request import _Request

def connect(
    ws: WebSocketClient, target: _Request | int, call: Callable[..., Any]
) -> Generator[int, None, _Expected | None]: ...
