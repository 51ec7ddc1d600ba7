"""Is pressed Ctrl-C while it polls; tells that the same connection goes on afterwards.

    interrupt_program.py ECHO_URL

Prints "ready" when it is time to press.
"""

import sys

from plain import tell

import uwebsocket_client as websocket

told = []
ws = websocket.createClient()
ws.on("receive", lambda ws, message, opcode: told.append(message))
ws.on("close", lambda ws, status: told.append(status))
ws.connect(sys.argv[1])
while not ws.connected and ws.poll(1000):
    pass
try:
    print("ready")
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()
    while ws.poll(10000):
        pass
except KeyboardInterrupt:
    told.append("interrupted")
ws.send("still there?")
while len(told) < 2 and ws.poll(1000):
    pass
ws.close()
while ws.poll(1000):
    pass
tell("told", told)
