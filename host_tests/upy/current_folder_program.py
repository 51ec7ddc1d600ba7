"""Tells what runs where the current folder has files named like the client's modules, which must never run.

    current_folder_program.py ECHO_URL CLIENT_FOLDER CURRENT_FOLDER HOW

How the client is found: `absolute`: its folder is on the path, behind the current one; `relative`: the path has its
name, as seen from the folder around it; `here`: it is the current folder itself. With `-later` the current folder
becomes CURRENT_FOLDER only once the client is imported.
"""

import os
import sys

from plain import tell

ECHO, CLIENT, CURRENT, HOW = sys.argv[1:]
found, _, later = HOW.partition("-")

around, name = CLIENT.rsplit("/", 1)
if found == "absolute":
    sys.path[:] = ["", ".frozen", CLIENT]
    os.chdir(around if later else CURRENT)
elif found == "relative":
    sys.path[:] = ["", ".frozen", name]
    os.chdir(around)
else:
    sys.path[:] = ["", ".frozen"]
    os.chdir(CLIENT)

import uwebsocket_client as websocket  # noqa: E402

os.chdir(CURRENT)
events = []
ws = websocket.createClient()


def refused(call, *arguments):
    """Note the error of a wrong call."""
    try:
        call(*arguments)
    except (ValueError, TypeError) as error:
        events.append(type(error).__name__)


def connection(ws):
    """Send something."""
    events.append("connection")
    ws.send("hello")


def receive(ws, message, opcode):
    """Close with a code of the program's own."""
    events.append(message)
    ws.close(4000, "bye")


ws.on("connection", connection)
ws.on("receive", receive)
ws.on("close", lambda ws, status: events.append(status))
refused(ws.on, "nothing", None)
refused(ws.connect, None)
refused(ws.close, 1)
refused(ws.config, {"nothing": 1})
try:
    ws.config({"compression": True})
    ws.config({"compression": False})
except ImportError:
    pass  # without the module
ws.config({"headers": {"X-Token": "secret"}, "connect_timeout_ms": 5000})
for url in (ECHO, "http://h/", ECHO.replace("ws://", "wss://"), ECHO.replace("//", "//joe:se%63ret@")):
    ws.connect(url)
    while ws.poll(1000):
        pass
tell("events", events)
tell("path", sys.path)
tell("modules", sorted(name for name in sys.modules if name.startswith("evil")))
