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
differs.
"""

import asyncio
from sys import platform

from micropython import const
from uselect import poll
from uwebsocket_client import createClient

# isort: split
from asyncio import core

_POLLIN = const(1)
_POLLOUT = const(4)

# Close codes (RFC 6455 7.4.1)
_GOING_AWAY = const(1001)
_INTERNAL_ERROR = const(1011)

_SEND_TIMEOUT = const(-103)  # the status, see docs/statuses.md

# Beside the task that polls there is one for each of these, while it has to be waited for
_DEADLINE = const(0)  # of the client, as waits_for() gives it
_ROOM = const(1)  # the socket can take something
_PATIENCE = const(2)  # a send() has waited long enough for that
_NEVER = const(-1)  # instead of the time until then: it need not be waited for

# States of the task that polls
_RUNNING = const(0)  # it polls, or waits for news
_QUEUED = const(1)  # it waits in the I/O queue
_TAKEN = const(2)  # _tell() has taken it out of there, by cancelling it
_ENDING = const(3)  # the client has told "close"

# Bytes of a message that go out at once: with their header they fill a segment of the TCP of a board ("esp32",
# "esp8266"); a PC has room for more.
_chunk = 1452 if platform[-1:].isdigit() else 15972
del platform


class ConnectionClosed(Exception):
    """The connection is closed, or could not be opened.

    `status`: as "close" tells it, see docs/statuses.md; `code`, `reason`: what the server said (1006: no Close frame);
    where it gave no reason, what is known in words.
    """


class connect:
    """Connect to a server: `async with connect(url) as ws`, `ws = await connect(url)`, or, again and again,
    `async for ws in connect(url)`. `ws` is then an open connection; several tasks may send and one receive.

    `url` as of `WebSocketClient.connect`; `config`: the keys of `WebSocketClient.config`; `background` and `reconnect`
    are seen to. Raises `ValueError`, `ImportError` as those do, what a `headers` function raises, at later attempts
    too, and `ConnectionClosed` where no connection comes up.

    Leaving the `async with` block closes the connection. `async for` over connections closes the last one before it
    begins the next; it goes on after every failure but a wrong URL (-1 to -4), with the pauses of `reconnect`.

    `url`: as given; `client`: the `WebSocketClient` beneath, for its attributes: `protocol`, `close_code`, `error` and
    others.
    """

    def __init__(self, url, client=None, **config):
        # `client`: that of an earlier connection, to be connected again
        self.url = url
        self._owner = None  # the task that polls, once there is one
        self._ended = None  # the ConnectionClosed, once all is over
        self._last = None  # of what makes connections: the one that it made last
        self._patience = config.get("send_timeout_ms", 10000)  # how long a send() waits for room
        if client is None:
            config["background"] = config["reconnect"] = False
            client = createClient()
            client.config(config)
        self.client = client

    async def __aenter__(self):
        client = self.client
        self._inbox = []  # messages that have come: at most one, and another while a task waits for it
        self._asked = False  # whether a task waits for a message
        self._status = 0  # what "close" tells, or what was known before
        self._state = _RUNNING  # of the task that polls
        self._tasks = [None] * 3  # those that wait for _DEADLINE, _ROOM, _PATIENCE
        self._news = asyncio.Event()  # set for a moment: all who wait for something look again
        self._lock = asyncio.Lock()  # held by the task that sends
        client.on("connection", self._tell)
        client.on("receive", self._tell)
        client.on("close", self._tell)
        if client.waits_for()[2] < 0:  # else it waits to connect again
            client.connect(self.url)
        self._owner = asyncio.create_task(self._poll())
        try:
            while not client.connected:
                if self._ended:
                    raise self._ended._cause or self._ended
                await self._news.wait()
        except asyncio.CancelledError:
            await self.close()
            raise
        self._room = poll()  # finds the socket when it has room
        self._room.register(self._socket, _POLLOUT)
        return self

    def __await__(self):
        return iter(asyncio.create_task(self.__aenter__()))

    __iter__ = __await__  # what MicroPython's `await` asks for

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self._owner:
            try:
                return await self.recv()
            except ConnectionClosed:
                ended = self._ended
                if ended.status and (ended.status != -6 or ended.code > _GOING_AWAY):
                    raise
                raise StopAsyncIteration
        if self._last:
            await self._last.close()
        else:
            self.client.config({"reconnect": True})
        while True:
            self._last = last = connect(self.url, client=self.client, send_timeout_ms=self._patience)
            try:
                return await last
            except ConnectionClosed:
                if last._ended.status > -5:
                    raise

    async def recv(self):
        """Return the next message: `str` for text, a `bytearray` for binary.

        Raises `ConnectionClosed` when there is no more, `RuntimeError` while another task receives. Cancelled, it
        loses no message.
        """
        if self._asked:
            raise RuntimeError("recv")
        try:
            while not self._inbox:
                if self._ended:
                    raise self._ended
                self._asked = True
                await self._news.wait()
        finally:
            self._asked = False
        message = self._inbox.pop(0)
        if self._state == _RUNNING:
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
        size = len(message)
        start = 0
        await self._lock.acquire()
        try:
            if size > _chunk and not isinstance(message, str):
                message = memoryview(message)
            while True:
                while client.connected and not self._room.poll(0):
                    self._expect(_ROOM, 0)
                    self._expect(_PATIENCE, self._patience)
                    await self._news.wait()
                end = start + _chunk
                client.send(message[start:end] if size > _chunk else message, opcode, end >= size)
                if end >= size:
                    return
                opcode = 0
                start = end
                self._expect(_PATIENCE, _NEVER)
                await core.sleep_ms(0)
        except BaseException as error:
            self._tell()
            if isinstance(error, OSError):
                while not self._ended:
                    await self._news.wait()
                raise self._ended
            if start:
                client.close(_INTERNAL_ERROR)
            raise
        finally:
            self._expect(_PATIENCE, _NEVER)
            self._lock.release()

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

    def _tell(self, client=None, content=None, opcode=None):
        # All who wait look again, the task that polls too. The handler of all events: `content` is the message where
        # there is an opcode, the status where there is none.
        self._news.set()
        self._news.clear()
        if self._state == _QUEUED:
            self._state = _TAKEN
            self._expect(_ROOM, _NEVER)  # MicroPython's I/O queue forgets both tasks of a socket when it lets one go
            self._owner.cancel()
        if opcode:
            self._inbox.append(content)
            if len(self._inbox) > self._asked:
                raise StopAsyncIteration  # out of poll(): it reads no further
        elif client:
            if content is not None:
                self._status = self._status or content
                self._state = _ENDING
            self._expect(_DEADLINE, _NEVER)  # that of an open connection may be earlier

    def _expect(self, event, timeout_ms):
        # Has a task wait for an event, unless one does already; or no longer.
        task = self._tasks[event]
        if timeout_ms < 0:
            self._tasks[event] = None
            if task:
                task.cancel()
        elif task is None:
            self._tasks[event] = asyncio.create_task(self._run(event, timeout_ms))

    async def _run(self, event, timeout_ms):
        # queue_write() as queue_read() in _poll()
        await (core.sleep_ms(timeout_ms) if event != _ROOM else core._io_queue.queue_write(self._socket) or [None])
        self._tasks[event] = None
        if event == _PATIENCE:
            self._status = _SEND_TIMEOUT
            self.client.close(_INTERNAL_ERROR)
        self._tell()

    async def _poll(self):
        # Polls the client until it tells "close".
        client = self.client
        cause = None
        while True:
            self._state = _RUNNING
            try:
                while client.connected and len(self._inbox) > self._asked:
                    await self._news.wait()
                try:
                    client.poll()
                except (StopAsyncIteration, MemoryError):
                    pass
                except Exception as error:  # of a `headers` function, above all; "close" is told next
                    cause = error
                self._socket, flags, ms = client.waits_for()
                if ms < 0 or self._state == _ENDING:
                    break
                if not ms:
                    await core.sleep_ms(0)
                    continue
                if not client.connected:
                    # Deadline and socket may be others now. While it is open the deadline is never brought forward.
                    self._expect(_DEADLINE, _NEVER)
                    self._expect(_ROOM, _NEVER)
                self._expect(_DEADLINE, ms)
                if flags & _POLLOUT:
                    self._expect(_ROOM, 0)  # this task cannot wait for both: it would be woken twice
                if flags & _POLLIN:
                    self._state = _QUEUED
                    # MicroPython's queue_read() returns None, and wants the task to yield once: its `await` takes any
                    # iterable. The shim's returns a future.
                    await (core._io_queue.queue_read(self._socket) or [None])
                else:
                    await self._news.wait()
            except asyncio.CancelledError:
                if self._state != _TAKEN:
                    # The event loop stops, and has cancelled all tasks.
                    self._tasks = [None] * 3
                    client.close(_GOING_AWAY)
        for task in self._tasks:
            if task:
                task.cancel()
        await core.sleep_ms(0)  # they end
        closed = ConnectionClosed(self._status, client.close_code, client.close_reason or client.error or "")
        closed.status, closed.code, closed.reason = closed.args
        closed._cause = cause
        self._ended = closed
        self._tell()
