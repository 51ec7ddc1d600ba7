from uwebsocket_client import WebSocketClient

timer: object  # a machine.Timer

def update(clients: list[WebSocketClient], changed: bool) -> None: ...
