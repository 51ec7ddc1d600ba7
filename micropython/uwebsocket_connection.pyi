from collections.abc import Iterator
from typing import Any

class Connection:
    sock: Any
    raw: Any
    poller: Any
    pollable: Any
    flags: int
    task: Iterator[Any] | None
    ready: bool
    pending: bool
    held: bool
    budget: int
    phase: str | None
    doing: str | None
    shaking: bool
    target: Any
    headers: Any
    heard: bool
    buffer: bytearray | None
    scratch: bytearray | None
    room: int
    start: int
    end: int
    more: bool
    torn: bool
    unsure: bool
    text: int | None
    pong: bytearray | None
    close: bytes | bytearray | None
    ping: bool
    ended: bool
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
    def fill(self, first: int, view: memoryview, done: int) -> int: ...
    def flush(self, control: bool) -> bool: ...
    def shut(self) -> None: ...
