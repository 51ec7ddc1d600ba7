from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, Literal, Self, TypedDict, overload, type_check_only

from typing_extensions import Buffer

TEXT: Final = 1
BINARY: Final = 2

def load(name: str, keep: bool = ...) -> ModuleType: ...

@type_check_only
class _Tls(TypedDict, total=False):
    ca: str | bytes | bytearray
    verify: bool
    cert: str | bytes | bytearray
    key: str | bytes | bytearray
    server_hostname: str

@type_check_only
class _Config(TypedDict, total=False):
    headers: dict[str, str] | Callable[[], dict[str, str]]
    protocols: tuple[str, ...] | list[str]
    connect_timeout_ms: int
    close_timeout_ms: int
    send_timeout_ms: int
    ping_interval_ms: int
    ping_limit: int
    max_message: int | None
    tls: _Tls
    reconnect: bool
    reconnect_min_ms: int
    reconnect_max_ms: int
    compression: bool
    background: bool | int
    timer: int | None

class WebSocketClient:
    connected: bool
    protocol: str | None
    close_code: int
    close_reason: str
    http_status: int | None
    errno: int | None
    error: str | None
    def __init__(self) -> None: ...
    @overload
    def on(self, event: Literal["connection"], handler: Callable[[Self], object] | None) -> None: ...
    @overload
    def on(
        self, event: Literal["receive"], handler: Callable[[Self, str | bytearray, Literal[1, 2]], object] | None
    ) -> None: ...
    @overload
    def on(
        self, event: Literal["data"], handler: Callable[[Self, memoryview, Literal[1, 2], bool], object] | None
    ) -> None: ...
    @overload
    def on(self, event: Literal["pong"], handler: Callable[[Self, bytearray], object] | None) -> None: ...
    @overload
    def on(self, event: Literal["header"], handler: Callable[[Self, str, str], object] | None) -> None: ...
    @overload
    def on(self, event: Literal["close"], handler: Callable[[Self, int], object] | None) -> None: ...
    @overload
    def on(self, event: Literal["connection", "receive", "data", "pong", "header", "close"], handler: None) -> None: ...
    def config(self, params: _Config) -> None: ...
    def connect(self, url: str) -> None: ...
    def send(self, message: str | Buffer, opcode: Literal[0, 1, 2, 9, 10] | None = None, fin: bool = True) -> None: ...
    def poll(self, timeout_ms: int = 0) -> bool: ...
    def waits_for(self) -> tuple[Any | None, int, int]: ...
    def close(self, code: int = 1000, reason: str = "") -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

createClient = WebSocketClient
