from machine import Timer
from uwebsocket_client import WebSocketClient

timer: Timer | None

def lost() -> bool: ...
def adjust(clients: tuple[WebSocketClient, ...]) -> None: ...
