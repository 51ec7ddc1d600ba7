from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Protocol, type_check_only

from _wsprotocol import Connection
from uwebsocket_client import WebSocketClient

@type_check_only
class _Outcome(Protocol):
    http_status: int | None
    protocol: str | None
    error: str | None

def reply(
    readline: Callable[[int], bytes | None],
    accept: bytes,
    offered: list[str],
    ws: _Outcome,
    header: bool = False,
    match: Callable[[bytes], bool] | None = None,
) -> Iterator[int | tuple[str, str]]: ...
def step(
    ws: WebSocketClient, connection: Connection, load: Callable[..., ModuleType]
) -> Iterator[int | tuple[str, str]]: ...
