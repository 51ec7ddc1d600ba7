from uwebsocket_client import WebSocketClient

timer: object  # a machine.Timer

def update(clients: tuple[WebSocketClient, ...], changed: bool) -> None: ...
