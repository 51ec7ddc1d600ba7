# fragments.py: a message that is sent while it is made. MIT licence, see LICENSE.
"""Send one message piece by piece: the server gets it whole, the board never holds it whole."""

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/"


def readings():
    for i in range(100):
        yield "{},{:.2f}\n".format(i, 20 + i / 50)


def on_connection(ws):
    ws.send("time,celsius\n", fin=False)  # the first piece says: text, more follows
    for line in readings():
        ws.send(line, 0, False)  # 0: goes on
    ws.send("", 0)  # the last piece


def on_receive(ws, message, opcode):
    lines = message.split("\n")
    print(len(lines) - 1, "lines, the last:", lines[-2])
    ws.close()


ws = websocket.createClient()
ws.on("connection", on_connection)
ws.on("receive", on_receive)
ws.on("close", lambda ws, status: print("closed:", status))
ws.connect(URL)
while ws.poll(1000):
    pass
