from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias, type_check_only

from uwebsocket_client import WebSocketClient

_Expected: TypeAlias = tuple[bytes, list[bytes], bool]

@type_check_only
class _Outcome(Protocol):
    http_status: int | None
    protocol: str | None

def reply(
    readline: Callable[[int], bytes | None], accept: bytes, protocols: list[bytes], ws: _Outcome
) -> Iterator[int]: ...
def read(ws: WebSocketClient, value: _Expected) -> Iterator[int]: ...
