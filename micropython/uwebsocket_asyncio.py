# uwebsocket_asyncio: the client for asyncio. MIT licence, see LICENSE.
"""WebSocket connections for asyncio: a thin skin on `uwebsocket_client`, through its public methods alone.

    import asyncio
    from uwebsocket_asyncio import connect

    async def main():
        async with connect("ws://192.168.1.10:8080/") as ws:
            await ws.send("hello!")
            async for message in ws:
                print(message)

    asyncio.run(main())

One task for each connection polls the client: when the event loop's I/O queue finds its socket ready, and at the
deadlines that `waits_for()` gives. Names and manners are those of PyPI's `websockets`; docs/asyncio.md has what
differs. Private names are those that the firmware or the client has anyway: another one would cost heap.
"""

import asyncio
from sys import platform as _take

from micropython import const
from uselect import poll as _view
from uwebsocket_client import createClient

# isort: split
from asyncio import core

_POLLIN = const(1)
_POLLOUT = const(4)

# Close codes (RFC 6455 7.4.1)
_GOING_AWAY = const(1001)
_INTERNAL_ERROR = const(1011)

# The tasks beside the one that polls, each while it is needed
_CLOCK = const(0)  # sleeps until the deadline
_ROOM = const(1)  # waits for room to send
_LIMIT = const(2)  # and sleeps as long as that may take
_STOP = const(-1)  # instead of how long: the task is not needed now

# Where the task that polls is
_ELSEWHERE = const(0)
_QUEUED = const(1)  # in the I/O queue
_TAKEN = const(2)  # out of it, by the client itself

# Bytes that are taken at once to be sent: with their header they fill a segment of the TCP of a board ("esp32",
# "esp8266"); a PC has room for more. What is imported for one line has the name of its result: a global costs heap.
_take = 1452 if _take[-1:].isdigit() else 15972
_view = _view()  # who has room for that

# The connection is closed, or could not be opened. `status`: as "close" tells it, see docs/statuses.md; `code`,
# `reason`: what the server said (1006: no Close frame); where it gave no reason, what is known in words. (A class
# statement would keep 16 B more.)
ConnectionClosed = type("ConnectionClosed", (Exception,), {})


class connect:
    """Connect to a server: `async with connect(url) as ws`, `ws = await connect(url)`, or, again and again,
    `async for ws in connect(url)`. `ws` is then an open connection; several tasks may send and one receive.

    `url` as of `WebSocketClient.connect`; `config`: the keys of `WebSocketClient.config`; `background` and `reconnect`
    are seen to. Raises `ValueError`, `ImportError` as those do, and `ConnectionClosed` where no connection comes up.

    Leaving the `async with` block closes the connection. `async for` over connections closes the last one before it
    begins the next; it goes on after every failure but a wrong URL (-1 to -4), with the pauses of `reconnect`.

    `url`: as given; `client`: the `WebSocketClient` beneath, for its attributes: `protocol`, `close_code`, `error` and
    others.
    """

    def __init__(self, url, **config):
        self.url = url
        self._left = config.get("send_timeout_ms", 10000)
        self._owner = None  # the task that polls, once there is one
        self._ended = None  # the ConnectionClosed, once all is over; of what makes connections, the last one
        self.client = config.get("client")
        if self.client is None:
            config["background"] = config["reconnect"] = False
            self.client = createClient()
            self.client.config(config)

    async def _open(self):
        client = self.client
        self._noted = []  # messages that have come: at most one, and another while a task waits for it
        self._asked = 0  # tasks that wait for a message
        self._statuses = ()  # the status that the client told
        self._lost = 0  # the status instead
        self._task_queue = [None] * 3  # the other tasks
        self._news = asyncio.Event()  # set for a moment: all who wait look again
        self._write = asyncio.Lock()  # of the task that sends
        client.on("connection", self._tell)
        client.on("receive", self._tell)
        client.on("close", self._tell)
        if client.waits_for()[2] < 0:  # else it waits to connect again
            client.connect(self.url)
        self._owner = asyncio.create_task(self._due())
        try:
            while not client.connected:
                if self._ended:
                    raise self._ended
                await self._news.wait()
        except asyncio.CancelledError:
            await self.close()
            raise

    def __iter__(self):
        # What `await` asks for: the connection. Of an open one it is how its tasks wait in the I/O queue.
        if self._owner:
            yield self._take(self._view)
        else:
            yield from asyncio.create_task(self._open())
        return self

    __await__ = __iter__

    def __aenter__(self):
        return self

    __aiter__ = __aenter__

    async def __anext__(self):
        try:
            if self._owner:
                return await self.recv()
        except ConnectionClosed as closed:
            if closed.status and (closed.status != -6 or closed.code // 2 != 500):
                raise
            raise StopAsyncIteration
        if self._ended:
            await self._ended.close()
        else:
            self.client.config({"reconnect": True})
        while True:
            try:
                self._ended = await connect(self.url, client=self.client, send_timeout_ms=self._left)
                return self._ended
            except ConnectionClosed as closed:
                if closed.status > -5:
                    raise

    async def recv(self):
        """Return the next message: `str` for text, a `bytearray` for binary.

        Raises `ConnectionClosed` when there is no more, `RuntimeError` while another task receives. Cancelled, it
        loses no message.
        """
        if self._asked:
            raise RuntimeError("recv")
        try:
            while not self._noted:
                if self._ended:
                    raise self._ended
                self._asked = 1
                await self._news.wait()
        finally:
            self._asked = 0
        message = self._noted.pop(0)
        if not self._state:
            self._tell()
        return message

    async def send(self, message, opcode=None):
        """Send a message; other tasks run while there is no room for it.

        `message`: `str` (sent as text) or bytes-like (binary; not to be changed meanwhile). What is larger than a TCP
        segment goes out in fragments of one each (RFC 6455 5.4). `opcode`: 1 or 2 overrides the kind; 9, 10 send a
        ping or pong of at most 125 bytes. Cancelled within a message, it closes the connection (1011), for nothing may
        follow half a message.

        Raises `ConnectionClosed`, with status -103 after `send_timeout_ms` without room; `ValueError`, `TypeError` as
        `WebSocketClient.send` does.
        """
        client = self.client
        n = end = len(message)
        at = 0
        await self._write.acquire()
        try:
            if n > _take:
                end = _take
                if not isinstance(message, str):
                    message = memoryview(message)
            while True:
                room = True
                if client.connected:  # else send() says so
                    _view.register(self._view, _POLLOUT)
                    room = _view.poll(0)
                    _view.unregister(self._view)
                if room:
                    client.send(message[at:end] if n > _take else message, opcode, end >= n)
                    if end >= n:
                        return
                    opcode = 0
                    at = end
                    end += _take
                    self._enter(_LIMIT, _STOP)
                    await core.sleep_ms(0)
                else:
                    self._enter(_ROOM, 0)
                    self._enter(_LIMIT, self._left)
                    await self._news.wait()
        except BaseException as error:
            self._tell()
            if isinstance(error, OSError):
                while not self._ended:
                    await self._news.wait()
                raise self._ended
            if at:
                client.close(_INTERNAL_ERROR)
            raise
        finally:
            self._enter(_LIMIT, _STOP)
            self._write.release()

    async def close(self, code=1000, reason="", *error):
        """Close the connection, and wait until it is closed, at most `close_timeout_ms`.

        Arguments as of `WebSocketClient.close`; three are those of `__aexit__`. Does nothing where it is closed.
        """
        if not self._ended:
            if error:
                self.client.close()
            else:
                self.client.close(code, reason)
            self._tell()
            while not self._ended:
                await self._news.wait()

    __aexit__ = close

    def _tell(self, client=None, *args):
        # All who wait look again; the handler of all events too.
        if args[1:]:
            self._noted.append(args[0])
        elif client:
            self._statuses = args
            self._enter(_CLOCK, _STOP)  # it may be due earlier now
        self._news.set()
        self._news.clear()
        if self._state == _QUEUED:
            self._state = _TAKEN
            self._enter(_ROOM, _STOP)  # MicroPython's I/O queue forgets both tasks of a socket when it lets one go
            self._owner.cancel()
        if client and len(self._noted) > self._asked:
            raise StopAsyncIteration  # out of poll(): it reads no further

    def _enter(self, n, wait):
        # Begins or ends one of the other tasks.
        task = self._task_queue[n]
        if wait < 0:
            self._task_queue[n] = None
            if task:
                task.cancel()
        elif task is None:
            self._task_queue[n] = asyncio.create_task(self._run(n, wait))

    async def _run(self, n, wait):
        if n == _ROOM:
            self._take = core._io_queue.queue_write
            await self
        else:
            await core.sleep_ms(wait)
        self._task_queue[n] = None
        if n == _LIMIT:
            self._lost = -103
            self.client.close(_INTERNAL_ERROR)
        self._tell()

    async def _due(self):
        # Polls the client until it tells "close".
        client = self.client
        while True:
            self._state = _ELSEWHERE  # where this task is
            try:
                while client.connected and len(self._noted) > self._asked:
                    await self._news.wait()
                try:
                    client.poll()
                except (StopAsyncIteration, MemoryError):
                    pass
                self._view, flags, wait = client.waits_for()
                if self._statuses or wait < 0:
                    break
                if not wait:
                    await core.sleep_ms(0)
                    continue
                # While the connection is open its deadline is never brought forward.
                if not client.connected:
                    self._enter(_CLOCK, _STOP)
                self._enter(_CLOCK, wait)
                if self._view is None:
                    self._enter(_ROOM, _STOP)
                    await self._news.wait()
                    continue
                end = core._io_queue.queue_read
                if flags & _POLLOUT:
                    # A task cannot wait for both: it would be woken twice.
                    if flags & _POLLIN:
                        self._enter(_ROOM, 0)
                    else:
                        self._enter(_ROOM, _STOP)
                        end = core._io_queue.queue_write
                self._take = end
                self._state = _QUEUED
                await self
            except asyncio.CancelledError:
                if self._state != _TAKEN:
                    # The event loop stops, and has cancelled all tasks.
                    self._task_queue = [None] * 3
                    client.close(_GOING_AWAY)
        for n in range(3):
            self._enter(n, _STOP)
        await core.sleep_ms(0)  # they end
        self._ended = end = ConnectionClosed(
            self._lost or sum(self._statuses), client.close_code, client.close_reason or client.error or ""
        )
        end.status, end.code, end.reason = end.args
        self._tell()
