from collections.abc import Callable, Iterator
from types import ModuleType

from typing_extensions import Buffer

from _wsprotocol import Connection
from _wsurl import _Target
from uwebsocket_client import WebSocketClient

def memory(text: str | bytes) -> memoryview: ...
def request(url: str, args: _Target, fields: dict[str, str], key: bytes) -> Iterator[str | Buffer]: ...
def step(ws: WebSocketClient, connection: Connection, load: Callable[..., ModuleType]) -> Iterator[int]: ...
