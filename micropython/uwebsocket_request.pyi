from collections.abc import Callable
from typing import Any, TypeAlias

from uwebsocket_client import WebSocketClient
from uwebsocket_url import _Target

_Request: TypeAlias = tuple[bool, bytes, int, bytes, bytes, list[bytes]]

def request(target: _Target, headers: dict[str, str], protocols: tuple[str, ...], key: bytes) -> _Request: ...
def prepare(ws: WebSocketClient, target: _Target | int, call: Callable[..., Any]) -> _Request | int: ...
