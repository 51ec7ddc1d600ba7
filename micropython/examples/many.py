# many.py: several connections in one program. MIT licence, see LICENSE.
"""Keep several clients going in one loop, each with handlers and a count of its own.

Each takes about 1 KB; the network stack of an ESP8266 has room for four or five connections.
"""

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/"
NAMES = ("kitchen", "garage", "garden", "attic")
MESSAGES = 3


class Station:
    """A client and what belongs to it."""

    def __init__(self, name):
        self.name = name
        self.answers = 0
        self.ws = ws = websocket.createClient()
        ws.on("connection", self.on_connection)
        ws.on("receive", self.on_receive)
        ws.on("close", self.on_close)
        ws.connect(URL)

    def on_connection(self, ws):
        ws.send("{} 0".format(self.name))

    def on_receive(self, ws, message, opcode):
        if message == "{} {}".format(self.name, self.answers):
            self.answers += 1
        if self.answers < MESSAGES:
            ws.send("{} {}".format(self.name, self.answers))
        else:
            ws.close()

    def on_close(self, ws, status):
        self.status = status


stations = [Station(name) for name in NAMES]
while sum(one.ws.poll(10) for one in stations):  # polls every client, not only the first that lives
    pass
for one in stations:
    print("{}: {} answers, closed: {}".format(one.name, one.answers, one.status))
