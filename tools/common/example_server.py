"""What the examples talk to: paths of the server of `make serve`, and the page that draws what a board sends.

    /board                              a board: what it sends goes to every page, what a page sends to every board
    /page                               a page: what it sends goes to every board, what a board sends to every page
    /dashboard                          the page itself, for a browser (http://)
    /ota?size=20000&spoiled=1&cut=1     sends size and SHA-256 of a program, then the program, spoiled or half of it
    /api/websocket?leave=1              Home Assistant's API, as far as an example goes; closes after the events
    /sizes?of=100,5000                  sends a binary message of each size, then closes
    /moved?to=/busy                     redirects
    /busy                               refuses every other client, with "Retry-After: 1"

They belong to tools/common/echo_server.py, which `make serve` runs.
"""

import contextlib
import hashlib
import itertools
import json
import queue
import threading
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from websockets.exceptions import ConnectionClosed

PAGE = Path(__file__).with_name("dashboard.html")
TOKEN = "a long-lived access token"

_BACKLOG = 100  # messages that wait for one who reads slowly; what comes then is lost for it
_LARGE_EVENT = 50_000
_SPOILED = b"#"

_boards, _pages = {}, {}  # connection: what waits to be sent to it
_busy = itertools.cycle((True, False))


def _write(connection, waiting):
    """Send what waits, until None comes or the connection has ended."""
    with contextlib.suppress(ConnectionClosed):
        while (message := waiting.get()) is not None:
            connection.send(message)


def _pass_on(connection, own, others):
    """Pass on what a connection sends to all of `others`, and let it be one of `own` meanwhile."""
    own[connection] = waiting = queue.Queue(_BACKLOG)
    writer = threading.Thread(target=_write, args=(connection, waiting), daemon=True)
    writer.start()
    try:
        for message in connection:
            for other in list(others.values()):
                with contextlib.suppress(queue.Full):
                    other.put_nowait(message)
    finally:
        del own[connection]
        with contextlib.suppress(queue.Full):  # a writer with so much to send finds out by itself
            waiting.put_nowait(None)


def _board(connection):
    _pass_on(connection, _boards, _pages)


def _page(connection):
    _pass_on(connection, _pages, _boards)


def program(size):
    """Return the program of so many bytes that /ota sends."""
    line = b'print("version 2")\n'
    return line + b"#" * (size - len(line) - 1) + b"\n"


def _half(data):
    """Give half of a message; what then goes wrong ends the connection (1011)."""
    yield data[: len(data) // 2]
    raise EOFError


def _ota(connection, size="20000", spoiled="", cut=""):
    data = program(int(size))
    connection.send(json.dumps({"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}))
    if cut:
        connection.send(_half(data))
    connection.send(_SPOILED + data[1:] if spoiled else data)
    for _ in connection:
        pass


def _state(entity, state, **attributes):
    new = {"entity_id": entity, "state": state, "attributes": attributes}
    return {"event_type": "state_changed", "data": {"entity_id": entity, "old_state": None, "new_state": new}}


_EVENTS = (
    _state("light.kitchen", "on", brightness=255),
    _state("weather.home", "sunny", forecast="x" * _LARGE_EVENT),
    _state("sensor.garden", "21.5", unit_of_measurement="degrees"),
)


def _home_assistant(connection, leave=""):
    def tell(kind, **more):
        connection.send(json.dumps({"type": kind, **more}))

    tell("auth_required", ha_version="2026.11.1")
    if json.loads(connection.recv()) != {"type": "auth", "access_token": TOKEN}:
        tell("auth_invalid", message="Invalid access token or password")
        return
    tell("auth_ok", ha_version="2026.11.1")
    last = 0
    for message in connection:
        request = json.loads(message)
        number = request.get("id", 0)
        known = request.get("type") == "subscribe_events" and number > last
        last = max(last, number)
        tell("result", id=number, success=known)
        for event in _EVENTS if known else ():
            tell("event", id=number, event=event)
        if leave:
            return


def _sizes(connection, of="100,5000"):
    for size in of.split(","):
        connection.send(bytes(int(size)))


PATHS = {
    "/board": _board,
    "/page": _page,
    "/ota": _ota,
    "/api/websocket": _home_assistant,
    "/sizes": _sizes,
}


def respond(connection, request):
    """Return the reply to a request that is for no WebSocket connection here, else None."""
    url = urlsplit(request.path)
    response = None
    if url.path == "/dashboard":
        response = connection.respond(200, PAGE.read_text())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "text/html; charset=utf-8"
    elif url.path == "/moved":
        response = connection.respond(302, "")
        response.headers["Location"] = dict(parse_qsl(url.query)).get("to", "/busy")
    elif url.path == "/busy" and next(_busy):
        response = connection.respond(429, "")
        response.headers["Retry-After"] = "1"
    return response
