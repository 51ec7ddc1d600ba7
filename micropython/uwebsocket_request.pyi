from collections.abc import Callable
from typing import Any, TypeAlias

from uwebsocket_client import WebSocketClient

_Url: TypeAlias = tuple[bool, bytes, int, bytes, bytes | None]
_Request: TypeAlias = tuple[bool, bytes, int, bytes, bytes, list[bytes]]

def parse_url(url: str) -> _Url | int: ...
def request(url: str, headers: dict[str, str], protocols: tuple[str, ...], key: bytes) -> _Request | int: ...
def prepare(ws: WebSocketClient, url: str, call: Callable[..., Any]) -> _Request | int: ...
