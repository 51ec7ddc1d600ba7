from collections.abc import Callable, Container, Iterator
from typing import Protocol, type_check_only

from uwebsocket_client import WebSocketClient

@type_check_only
class _Outcome(Protocol):
    http_status: int | None
    protocol: str | None

def reply(
    readline: Callable[[int], bytes | None], accept: bytes, protocols: Container[bytes], ws: _Outcome
) -> Iterator[int]: ...
def opening(
    ws: WebSocketClient, target: tuple[bool, bytes, int, bytes, bytes, list[bytes]] | int
) -> Iterator[int]: ...
