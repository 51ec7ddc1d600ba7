# assemble.py: whole messages, but none above a limit. MIT licence, see LICENSE.
"""Put messages together in one buffer that is made once; skip what is larger, and stay connected.

With "receive" and `max_message` a larger message would end the connection.
"""

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/sizes?of=100,2000,0,100000,5"
LIMIT = 2000

buffer = memoryview(bytearray(LIMIT))
size = 0  # of the message so far


def on_data(ws, chunk, opcode, final):
    global size
    end = size + len(chunk)
    if end <= LIMIT:
        buffer[size:end] = chunk
    size = end
    if final:
        size = 0
        if end > LIMIT:
            print("skipped:", end, "bytes")
        else:
            on_message(ws, buffer[:end])


def on_message(ws, message):
    print("a message of", len(message), "bytes")  # str(message, "utf-8") would be its text


ws = websocket.createClient()
ws.on("data", on_data)
ws.on("close", lambda ws, status: print("closed:", status))
ws.connect(URL)
while ws.poll(1000):
    pass
