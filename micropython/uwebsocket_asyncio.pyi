from collections.abc import Callable, Generator
from typing import Literal, Self, type_check_only

from typing_extensions import Buffer

from uwebsocket_client import WebSocketClient, _Tls

class ConnectionClosed(Exception):
    status: int
    code: int
    reason: str

@type_check_only
class Connection:
    url: str
    client: WebSocketClient
    def __init__(self, url: str, **config: object) -> None: ...
    async def recv(self) -> str | bytearray: ...
    async def __aenter__(self) -> Connection: ...
    async def __aexit__(self, code: object = 1000, reason: object = "", *error: object) -> None: ...
    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> str | bytearray: ...
    async def send(self, message: str | Buffer, opcode: Literal[1, 2, 9, 10] | None = None) -> None: ...
    async def close(self, code: int = 1000, reason: str = "", *error: object) -> None: ...
    def __iter__(self) -> Generator[object, None, Connection]: ...
    def __await__(self) -> Generator[object, None, Connection]: ...

class connect(Connection):
    def __init__(
        self,
        url: str,
        client: WebSocketClient | None = None,  # of an earlier connection, to be connected again
        *,
        headers: dict[str, str] | Callable[[], dict[str, str]] = ...,
        protocols: tuple[str, ...] | list[str] = ...,
        connect_timeout_ms: int = ...,
        close_timeout_ms: int = ...,
        send_timeout_ms: int = ...,
        ping_interval_ms: int = ...,
        ping_limit: int = ...,
        max_message: int | None = ...,
        tls: _Tls = ...,
        reconnect_min_ms: int = ...,
        reconnect_max_ms: int = ...,
        compression: bool = ...,
    ) -> None: ...
    async def __anext__(self) -> Connection: ...  # type: ignore[override]
