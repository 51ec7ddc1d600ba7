from typing import TypeAlias

_Target: TypeAlias = tuple[bool, bytes, int, bytes, bytes | None]

def parse_url(url: str) -> _Target | int: ...
