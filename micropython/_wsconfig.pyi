from collections.abc import Callable, Mapping
from types import ModuleType

KEYS: tuple[str, ...]

def header_fields(values: dict[str, str]) -> dict[str, str]: ...
def update(
    options: tuple[object, ...], params: Mapping[str, object], load: Callable[..., ModuleType]
) -> tuple[object, ...]: ...
