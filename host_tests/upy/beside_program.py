"""Tells how a client in the background gets on beside one for asyncio, on a board: URL of an echo server."""

import asyncio
import sys

from plain import tell

import uwebsocket_client as websocket
from uwebsocket_asyncio import connect

# isort: split
from asyncio import core

ROUNDS = 20
LONGEST = 2000  # echoes of the other client, each with a pause

answers = []
closed = []


def on_receive(ws, message, opcode):
    answers.append(message)
    if len(answers) < ROUNDS:
        ws.send(str(len(answers)))
    else:
        ws.close()


async def main():
    echoes = 0
    beside = websocket.createClient()
    beside.on("connection", lambda ws: ws.send("0"))
    beside.on("receive", on_receive)
    beside.on("close", lambda ws, status: closed.append(status))
    async with connect(sys.argv[1]) as ws:
        beside.connect(sys.argv[1])  # nobody polls it
        while not closed and echoes < LONGEST:
            await ws.send(str(echoes))
            if await ws.recv() != str(echoes):
                raise RuntimeError("another message came back")
            echoes += 1
            await core.sleep_ms(5)
    tell("beside", [answers == [str(i) for i in range(ROUNDS)], closed, echoes > 0])
    tell("left", core._task_queue.peek() is None and not core._io_queue.map)


asyncio.run(main())
