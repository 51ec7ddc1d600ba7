from collections.abc import Callable
from types import ModuleType
from typing import TypeAlias

from _wsprotocol import Connection
from uwebsocket_client import WebSocketClient

_Target: TypeAlias = tuple[bool, bytes, int, int, bytes | None]

def parse_url(url: str) -> _Target | int: ...
def step(ws: WebSocketClient, connection: Connection, load: Callable[..., ModuleType]) -> None: ...
