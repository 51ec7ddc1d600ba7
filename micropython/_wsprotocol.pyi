from collections.abc import Callable, Iterator
from typing import Any, Literal

def mask(buffer: bytearray, n: int) -> None: ...
def header(buffer: bytearray, opcode: int, n: int, key: bytes) -> int: ...

class Connection:
    socket: Any
    raw: Any
    poller: Any
    pollable: Any
    flags: int
    task: Iterator[Any] | None
    ready: bool
    waiting: bool
    locked: bool
    count: int
    step: str | None
    doing: str | None
    args: Any
    fields: Any
    heard: bool | None
    buffer: bytearray | None
    out_buf: bytearray | None
    maxsize: int
    start: int
    end: int
    more: bool
    torn: bool | None
    text: int | None
    utf8: Callable[[memoryview, int, int, int], int] | None
    pong: bytearray | None
    close: bytes | bytearray | int | Literal[False] | None
    ping: bool
    got_ms: int | None
    sent_ms: int | None
    opened_ms: int | None
    pings: int
    pause_ms: int
    status: int | None
    def __init__(self) -> None: ...
    def mask(self) -> int: ...
    def wait(self, flags: int, timeout_ms: int) -> None: ...
    def read(self, buffer: bytearray, start: int, n: int) -> int | None: ...
    def fill(self, opcode: int, message: memoryview, done: int) -> int: ...
    def flush(self, idle: bool) -> bool: ...
    def release(self) -> None: ...
