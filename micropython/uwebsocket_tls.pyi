from types import ModuleType
from typing import Any

from uwebsocket_client import WebSocketClient

def library() -> ModuleType: ...
def wrap(ws: WebSocketClient, host: str) -> Any: ...
