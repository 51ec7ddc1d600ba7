from collections.abc import Callable
from types import ModuleType

from _wsprotocol import Connection
from uwebsocket_client import WebSocketClient

def step(ws: WebSocketClient, connection: Connection, load: Callable[..., ModuleType]) -> None: ...
