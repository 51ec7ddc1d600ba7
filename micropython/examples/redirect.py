# redirect.py: go where the server says, and come when it says. MIT licence, see LICENSE.
"""Follow a redirect (`Location`), and come again after the pause that a busy server asks for (`Retry-After`)."""

import time

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/moved"
ATTEMPTS = 6
LONGEST_S = 60

told = {}  # headers of the last reply


def on_header(ws, name, value):
    if name in ("location", "retry-after"):
        told[name] = value


def on_connection(ws):
    print("connected")
    ws.close()


def target(url, location):
    # An absolute URL, or a path of the same server; None for what should not be followed.
    if location.startswith("/"):
        scheme, _, host, *_ = url.split("/")
        return scheme + "//" + host + location
    if location.startswith("http"):
        location = "ws" + location[4:]
    if url.startswith("wss:") and not location.startswith("wss:"):
        return None  # never out of TLS
    return location


def pause(value):
    # Seconds; it may also be a date.
    return min(int(value), LONGEST_S) if value.isdigit() else LONGEST_S


ws = websocket.createClient()
ws.on("header", on_header)
ws.on("connection", on_connection)
ws.on("close", lambda ws, status: print("closed:", status, ws.http_status))
url = URL
for _ in range(ATTEMPTS):
    told.clear()
    ws.connect(url)
    while ws.poll(1000):
        pass
    if ws.http_status in (301, 302, 303, 307, 308) and "location" in told:
        url = target(url, told["location"])
        if url is None:
            break
    elif ws.http_status in (429, 503):
        time.sleep(pause(told.get("retry-after", "5")))
    else:
        break
