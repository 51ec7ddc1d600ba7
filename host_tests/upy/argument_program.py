"""Tells what the calls of the table raise on a client that is closed, anew and after a connection that failed."""

import errno

import argument_cases
from plain import tell

import uwebsocket_client as websocket


def outcome(call, arguments):
    """Return what a call returned or the name of what it raised."""
    try:
        return repr(call(*arguments))
    except OSError as error:
        return "ENOTCONN" if error.args[0] == errno.ENOTCONN else repr(error)
    except ValueError:
        return "ValueError"  # UnicodeError is one
    except Exception as error:
        return type(error).__name__


def main():
    ws = websocket.createClient()
    for state in ("new", "to-tell", "told"):
        statuses = []
        if state == "to-tell":
            ws.connect("none")
        for name, method, arguments, _ in argument_cases.CALLS:
            tell("{} {}".format(name, state), outcome(getattr(ws, method), arguments))
        ws.on("close", lambda ws, status, statuses=statuses: statuses.append(status))
        polled = [ws.poll(), ws.poll()]
        tell(
            "then " + state, [statuses, polled, ws.connected, ws.close_code, ws.close_reason, ws.http_status, ws.errno]
        )
    tell("names", [websocket.TEXT, websocket.BINARY, type(ws) is websocket.WebSocketClient])


main()
