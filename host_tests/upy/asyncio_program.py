"""Tells how the front-end for asyncio plays its cases, each in a loop of its own: CASE ECHO_URL RAW_URL CLOSED_URL.

What a case tells is followed by what it has left behind in the loop: tasks and streams that wait, and "" for nothing.
"""

import asyncio
import sys

from plain import tell

from uwebsocket_asyncio import ConnectionClosed, connect

# isort: split
from asyncio import core

CASE, ECHO, RAW, CLOSED = sys.argv[1:5]


async def how(awaitable):
    """Return what comes of an awaitable, an error by its name and arguments."""
    try:
        return await awaitable
    except (ConnectionClosed, RuntimeError, ValueError, TypeError, asyncio.TimeoutError) as error:
        return [type(error).__name__] + list(error.args)


async def told():
    """Return the code and the reason of the Close that the last client sent."""
    async with connect(ECHO + "told") as ws:
        return await ws.recv()


async def opened(url, **config):
    """Return how opening a connection fails."""
    async with connect(url, **config):
        return "open"


async def collect(ws):
    """Return all messages until the end, and how it ended."""
    messages = []
    try:
        async for message in ws:
            messages.append(message)
        return messages, None
    except ConnectionClosed as closed:
        return messages, [closed.status, closed.code, closed.reason]


async def take(ws, number):
    """Return so many messages."""
    messages = []
    while len(messages) < number:
        messages.append(await ws.recv())
    return messages


async def echoes():
    messages = ["hello", "", b"", b"\x00\xff", "\u20ac" * 20001, bytes(range(256)) * 800, "x" * 100000]
    same = []
    async with connect(ECHO) as ws:
        for message in messages:
            await ws.send(message)
            same.append(await ws.recv() == message)
        await ws.send(memoryview(b"text"), 1)
        same.append(await ws.recv())
        await ws.send(b"are you there?", 9)
    return same


async def protocol():
    async with connect(ECHO, protocols=("chat",)) as ws:
        return ws.client.protocol


async def awaited():
    ws = await connect(ECHO)
    await ws.send("hello")
    found = [await ws.recv()]
    await ws.close(4000, "enough")
    await ws.close()
    return found + [await how(ws.recv()), await how(ws.send("late")), await told()]


async def normal_end():
    async with connect(ECHO + "close?code=1001") as ws:
        await ws.send("end")
        return await collect(ws)


async def other_end():
    async with connect(ECHO + "close?code=4000&reason=bye") as ws:
        await ws.send("end")
        return await collect(ws)


async def lost():
    async with connect(RAW + "lost") as ws:
        return await collect(ws)


async def not_opened():
    return [await how(opened(CLOSED)), await how(opened("ws://")), await how(opened(RAW + "refuses"))]


async def wrong_config():
    return [await how(opened(ECHO, subprotocols=["chat"])), await how(opened(ECHO, ping_limit=0))]


async def wrong_message():
    async with connect(ECHO) as ws:
        found = [
            (await how(ws.send(1)))[0],
            (await how(ws.send(b"\xff", 1)))[0],
            (await how(ws.send("x" * 126, 9)))[0],
        ]
        await ws.send("still there?")
        return found + [await ws.recv()]


async def half_a_message():
    async with connect(ECHO) as ws:
        await how(ws.send(b"x" * 100000 + b"\xff", 1))
        return [await how(ws.recv()), await told()]


async def burst():
    async with connect(RAW + "burst") as ws:
        return (await collect(ws))[0] == [str(i) for i in range(200)]


async def nobody_receives():
    async with connect(ECHO + "hello?count=60&size=20000") as ws:
        await core.sleep_ms(300)
        sizes = [20000]
        for _ in range(60):
            sizes.append(len(await ws.recv()))
        return sizes == [20000] * 61


async def read_ahead():
    async with connect(RAW + "flood") as ws:
        await core.sleep_ms(200)
        await ws.close()
        return len((await collect(ws))[0])


async def room_after_a_while():
    async with connect(RAW + "late", ping_interval_ms=50, ping_limit=500) as ws:
        await ws.send(b"x" * 12000000)
        await ws.send("that is all")
        return await collect(ws)


async def two_senders():
    async def produce(ws, mark):
        for i in range(20):
            await ws.send(mark * (1 if i % 3 else 30000 + i))

    async with connect(ECHO) as ws:
        tasks = [asyncio.create_task(produce(ws, mark)) for mark in ("a", "b")]
        messages = await take(ws, 40)
        await asyncio.gather(*tasks)
        return [sorted(set(message)) for message in messages if len(set(message)) > 1] + [
            [len(message) for message in messages if message[0] == mark] for mark in "ab"
        ]


async def two_receivers():
    async with connect(ECHO) as ws:
        task = asyncio.create_task(ws.recv())
        await core.sleep_ms(0)
        found = await how(ws.recv())
        await ws.send("for the first")
        return [found[0], await task]


async def patience():
    found = []
    async with connect(ECHO) as ws:
        for _ in range(3):
            found.append((await how(asyncio.wait_for(ws.recv(), 0.05)))[0])
        await ws.send("after all")
        return found + [await ws.recv()]


async def opening_takes_long():
    url = RAW + "mute"
    return [(await how(asyncio.wait_for(opened(url), 0.2)))[0], await how(opened(url, connect_timeout_ms=200))]


async def error_in_the_body():
    async def fail():
        async with connect(ECHO) as ws:
            await ws.send("x")
            raise ValueError("mine")

    return [await how(fail()), await told()]


async def cancelled_in_the_body():
    async def wait():
        async with connect(ECHO) as ws:
            ready.append(ws)
            await ws.recv()

    ready = []
    task = asyncio.create_task(wait())
    while not ready:
        await core.sleep_ms(5)
    await core.sleep_ms(5)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return ["cancelled", await told(), await how(ready[0].recv())]


async def closed_while_others_wait():
    async with connect(ECHO) as ws:
        task = asyncio.create_task(how(ws.recv()))
        await core.sleep_ms(5)
        await ws.close(1000, "done")
        return await task


async def stalled():
    async with connect(RAW + "deaf", close_timeout_ms=200) as ws:
        task = asyncio.create_task(ws.send(b"x" * 12000000))
        async with connect(ECHO) as other:
            for i in range(30):
                await other.send(str(i))
                await other.recv()
                await core.sleep_ms(5)
        found = [task.done(), ws.client.connected]
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            found.append("cancelled")
        return found + [await how(ws.recv())]


async def stalled_too_long():
    async with connect(RAW + "deaf", close_timeout_ms=200, send_timeout_ms=200) as ws:
        return [await how(ws.send(b"x" * 12000000)), await how(ws.send("more"))]


async def stalled_whole_messages():
    async def produce():
        while True:
            await ws.send("x" * 1000)

    async with connect(RAW + "deaf", close_timeout_ms=200, send_timeout_ms=600) as ws:
        tasks = [asyncio.create_task(how(produce())) for _ in range(2)]
        async with connect(ECHO) as other:
            for i in range(30):
                await other.send(str(i))
                await other.recv()
                await core.sleep_ms(5)
        found = [not tasks[0].done() and not tasks[1].done(), ws.client.connected]
        tasks[0].cancel()  # nothing of its message is out: the other sends on
        try:
            await tasks[0]
        except asyncio.CancelledError:
            found.append("cancelled")
        return found + [await tasks[1]]


async def closes_at_once():
    async def enter():
        async with connect(RAW + "closes_at_once") as ws:
            return await ws.recv()

    async def wait():
        ws = await connect(RAW + "closes_at_once")
        return await ws.recv()

    return [await how(enter()), await how(wait())]


async def cancelled_while_opening():
    async def enter():
        async with connect(RAW + "mute"):
            pass

    async def wait():
        await connect(RAW + "mute")

    found = []
    for opening in (enter(), wait()):
        task = asyncio.create_task(opening)
        await core.sleep_ms(len(found) * 20)  # at its first step, and later
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            found.append("cancelled")
    async with connect(ECHO) as ws:
        await ws.send("still there?")
        return found + [await ws.recv()]


async def both_ways():
    message = bytes(range(250)) * 16000
    async with connect(RAW + "echo") as ws:
        task = asyncio.create_task(ws.send(message))
        found = await ws.recv() == message
        await task
        return found


async def pings_to_a_full_link():
    async with connect(RAW + "pings") as ws:
        return await collect(ws)


async def silent():
    async with connect(RAW + "silent", ping_interval_ms=100, ping_limit=1, close_timeout_ms=100) as ws:
        return await collect(ws)


async def unanswered_close():
    async with connect(RAW + "silent", close_timeout_ms=100) as ws:
        await ws.close()
        return await how(ws.recv())


async def many():
    async def one(i):
        async with connect(ECHO) as ws:
            for k in range(3):
                await ws.send("{} {}".format(i, k))
                if await ws.recv() != "{} {}".format(i, k):
                    return False
            return True

    return sum(await asyncio.gather(*[one(i) for i in range(50)]))


async def again():
    found = []
    async for ws in connect(ECHO + "close?code=4000", reconnect_min_ms=1):
        if len(found) == 1:
            found.append("left open")
            continue
        try:
            await ws.send("go")
            await ws.recv()
        except ConnectionClosed as closed:
            found.append(closed.code)
        if len(found) == 4:
            break
    return found


async def again_in_vain():
    async def iterate():
        async for _ in connect("ws://host:99999/"):
            pass

    async def wait():
        async for _ in connect(CLOSED, reconnect_min_ms=5):
            pass

    return [await how(iterate()), (await how(asyncio.wait_for(wait(), 0.2)))[0]]


async def again_without_headers():
    calls = []

    def headers():
        calls.append(None)
        if len(calls) == 2:
            raise ValueError("no token")
        return {} if len(calls) == 1 else {"X": "a\nb"}

    async def iterate(connections):
        async for ws in connections:
            try:
                await ws.send("go")
                await ws.recv()
            except ConnectionClosed:
                pass

    found = []
    for _ in range(2):
        connections = connect(ECHO + "close?code=4000", headers=headers, reconnect_min_ms=1)
        found.append(await how(asyncio.wait_for(iterate(connections), 5)))
    return found, len(calls)


async def secure():
    same = []
    async with connect(ECHO, tls={"verify": False}) as ws:
        for message in ("hello", bytes(range(256)) * 1000, "\u20ac" * 10000):
            await ws.send(message)
            same.append(await ws.recv() == message)
    return same


async def compressed():
    same = []
    async with connect(ECHO, compression=True) as ws:
        for message in ("hello " * 100, bytes(4000), "\u20ac" * 3000, ""):
            await ws.send(message)
            same.append(await ws.recv() == message)
    return same


async def not_closed():
    ws = await connect(ECHO)
    await ws.send("x")
    return await ws.recv()


def left():
    """Return what waits in the loop beside this task."""
    if hasattr(core, "_task_queue"):
        return "" if core._task_queue.peek() is None and not core._io_queue.map else "MicroPython's queues"
    return " ".join(str(task) for task in asyncio.all_tasks() if task is not asyncio.current_task())


async def main():
    found = await globals()[CASE]()
    tell(CASE, [found, left()])


asyncio.run(main())
if CASE == "not_closed":
    tell("told", asyncio.run(told()))
