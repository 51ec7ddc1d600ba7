from collections.abc import Callable, Generator
from types import ModuleType

from uwebsocket_client import WebSocketClient
from uwebsocket_protocol import Connection

def step(
    ws: WebSocketClient, connection: Connection, load: Callable[..., ModuleType]
) -> Generator[int, None, None]: ...
