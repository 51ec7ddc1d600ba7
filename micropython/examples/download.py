# download.py: a large message to a file. MIT licence, see LICENSE.
"""Write a message to flash as it comes, in constant memory, whatever its size."""

import os

import uwebsocket_client as websocket

URL = "ws://192.168.1.10:8080/hello?size=100000"
NAME = "download.bin"

file = open(NAME + ".part", "wb")


def on_data(ws, chunk, opcode, final):
    file.write(chunk)  # the chunk is valid only during this call
    if final:
        file.close()
        os.rename(NAME + ".part", NAME)
        print(os.stat(NAME)[6], "bytes in", NAME)
        ws.close()


def on_close(ws, status):
    print("closed:", status)
    file.close()


ws = websocket.createClient()
ws.on("data", on_data)
ws.on("close", on_close)
ws.connect(URL)
while ws.poll(1000):
    pass
