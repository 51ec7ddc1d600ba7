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

import uselect
from micropython import const
from utime import ticks_add, ticks_diff, ticks_ms
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

# Where the task that polls is
_ELSEWHERE = const(0)
_QUEUED = const(1)  # in the I/O queue
_TAKEN = const(2)  # out of it, by the client itself

# Bytes that are sent at once: with their header they fill a segment of the TCP of a board; a PC has room for more.
_piece = 15972 if platform == "linux" else 1452
_poller = uselect.poll()


class ConnectionClosed(Exception):
    """The connection is closed, or could not be opened.

    `status`: as `"close"` tells it, see docs/statuses.md; `code`, `reason`: what the server said (1006: no Close
    frame); where it gave no reason, what is known in words.
    """

    def __init__(self, status, code, reason):
        super().__init__(status, code, reason)
        self.status, self.code, self.reason = status, code, reason


class Connection:
    """An open connection, made by `connect`. Several tasks may send and one receive at the same time.

    `client`: the `WebSocketClient` beneath, for its attributes: `protocol`, `close_code`, `error` and others.
    """

    def __init__(self, client, timeout_ms):
        self.client = client
        self._left = timeout_ms
        self._noted = []  # that have come: at most one, and another while a task waits for it
        self._asked = 0  # tasks that wait for a message
        self._state = False
        self._close_status = None  # the status that the client told
        self._lost = None  # the status instead
        self._ended = None  # the ConnectionClosed, once all is over
        self._at = _ELSEWHERE  # where the polling task is
        self._queue = self._pollable = None  # what `await self` waits in, and for
        self._tasks = [None] * 3
        self._due = 0  # when the clock wakes, in ticks
        self._news = asyncio.Event()  # set for a moment: all who wait look again
        self._write = asyncio.Lock()  # of the task that sends
        tell = self._tell
        client.on("connection", tell)
        client.on("receive", tell)
        client.on("close", tell)
        self._task = asyncio.create_task(self._turn())

    async def recv(self):
        """Return the next message: `str` for text, a `bytearray` for binary.

        Raises `ConnectionClosed` when there is no more, `RuntimeError` while another task receives. Cancelled, it
        loses no message.
        """
        if self._asked:
            raise RuntimeError("recv: another task does (try: a queue)")
        try:
            while not self._noted:
                if self._ended:
                    raise self._ended
                self._asked = 1
                await self._news.wait()
        finally:
            self._asked = 0
        message = self._noted.pop(0)
        if not self._at:
            self._wake()
        return message

    def __aiter__(self):
        """Return the iterator over the messages; it ends when the connection was closed normally (1000, 1001)."""
        return self

    async def __anext__(self):
        try:
            return await self.recv()
        except ConnectionClosed as closed:
            if closed.status and (closed.status != -6 or not 999 < closed.code < 1002):
                raise
        raise StopAsyncIteration

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
            if n > _piece and (opcode or 0) < 8:
                end = _piece
                if not isinstance(message, str):
                    message = memoryview(message)
            while True:
                room = not client.connected  # send() says so
                if not room:
                    _poller.register(self._pollable, _POLLOUT)
                    for _ in _poller.ipoll(0):
                        room = True
                    _poller.unregister(self._pollable)
                if room:
                    client.send(message[at:end] if at or end < n else message, opcode, end >= n)
                    if end >= n:
                        return
                    opcode = 0
                    at = end
                    end += _piece
                    self._clear(_LIMIT)
                    await core.sleep_ms(0)
                else:
                    self._begin(_ROOM, 0)
                    self._begin(_LIMIT, self._left)
                    await self._news.wait()
        except OSError:
            self._wake()
            await self._end()
            raise self._ended
        except BaseException:
            if at:
                client.close(_INTERNAL_ERROR)
            self._wake()
            raise
        finally:
            self._clear(_LIMIT)
            self._write.release()

    async def close(self, code=1000, reason=""):
        """Close the connection, and wait until it is closed, at most `close_timeout_ms`.

        Arguments as of `WebSocketClient.close`. Does nothing where it is closed.
        """
        if not self._ended:
            self.client.close(code, reason)
            self._wake()
            await self._end()

    async def _end(self):
        while not self._ended:
            await self._news.wait()

    def _tell(self, client, told=None, opcode=None):
        # The handler of all events.
        if opcode:
            self._noted.append(told)
        elif told is None:
            self._state = True
        else:
            self._close_status = told
        self._wake()
        if len(self._noted) > self._asked:
            raise StopAsyncIteration  # out of poll(): it reads no further

    def _wake(self):
        # All who wait look again.
        self._news.set()
        self._news.clear()
        if self._at == _QUEUED:
            self._at = _TAKEN
            self._clear(_ROOM)  # MicroPython's I/O queue forgets both tasks of a socket when it lets one go
            self._task.cancel()

    def _begin(self, i, ms):
        if self._tasks[i] is None:
            self._tasks[i] = asyncio.create_task(self._watch(i, ms))

    def _clear(self, i):
        task = self._tasks[i]
        if task is not None:
            self._tasks[i] = None
            task.cancel()

    async def _watch(self, i, ms):
        if i == _ROOM:
            self._queue = core._io_queue.queue_write
            await self
        else:
            await core.sleep_ms(ms)
        self._tasks[i] = None
        if i == _LIMIT:
            self._lost = -103
            self.client.close(_INTERNAL_ERROR)
        self._wake()

    def __iter__(self):
        # `await self` waits in the I/O queue.
        yield self._queue(self._pollable)

    __await__ = __iter__

    async def _turn(self):
        # Polls the client until it tells "close".
        client = self.client
        while True:
            try:
                while client.connected and len(self._noted) > self._asked:
                    await self._news.wait()
                try:
                    client.poll()
                except (StopAsyncIteration, MemoryError):
                    pass
                self._pollable, flags, ms = client.waits_for()
                if self._close_status is not None or ms < 0:
                    break
                if self._pollable is None:
                    self._clear(_ROOM)
                if not ms:
                    await core.sleep_ms(0)
                    continue
                due = ticks_add(ticks_ms(), ms)
                if ticks_diff(due, self._due) < 0:
                    self._clear(_CLOCK)
                if self._tasks[_CLOCK] is None:
                    self._due = due
                    self._begin(_CLOCK, ms)
                if self._pollable is None:
                    await self._news.wait()
                    continue
                queue = core._io_queue.queue_read
                if flags & _POLLOUT:
                    # A task cannot wait for both: it would be woken twice.
                    if self._state and flags & _POLLIN:
                        self._begin(_ROOM, 0)
                    else:
                        self._clear(_ROOM)
                        queue = core._io_queue.queue_write
                self._queue = queue
                self._at = _QUEUED
                await self
                self._at = _ELSEWHERE
            except asyncio.CancelledError:
                if self._at != _TAKEN:
                    # The event loop stops, and has cancelled all tasks.
                    self._tasks = [None] * 3
                    client.close(_GOING_AWAY)
                self._at = _ELSEWHERE
        for i in range(3):
            self._clear(i)
        await core.sleep_ms(0)  # they end
        self._ended = ConnectionClosed(
            self._lost or self._close_status or 0, client.close_code, client.close_reason or client.error or ""
        )
        self._wake()


class connect:
    """Connect to a server: `async with connect(url) as ws`, `ws = await connect(url)`, or, again and again,
    `async for ws in connect(url)`.

    `url` as of `WebSocketClient.connect`; `config`: the keys of `WebSocketClient.config`; `background` and `reconnect`
    are seen to. Raises `ValueError`, `ImportError` as those do, and `ConnectionClosed` where no connection comes up.

    Leaving the `async with` block closes the connection. `async for` closes the last connection before it begins the
    next; it goes on after every failure but a wrong URL (-1 to -4), with the pauses of `reconnect`.
    """

    def __init__(self, url, **config):
        config["background"] = config["reconnect"] = False
        self._url = url
        self._connection = None
        self._left = config.get("send_timeout_ms", 10000)
        self._config = createClient()
        self._config.config(config)

    async def __aenter__(self):
        client = self._config
        if client.waits_for()[2] < 0:  # else it waits to connect again
            client.connect(self._url)
        self._connection = ws = Connection(client, self._left)
        try:
            while not ws._state:
                if ws._ended:
                    raise ws._ended
                await ws._news.wait()
        except asyncio.CancelledError:
            await ws.close()
            raise
        return ws

    async def __aexit__(self, *error):
        await self._connection.close()

    def __await__(self):
        return self.__aenter__().__await__()

    __iter__ = __aenter__  # what MicroPython awaits

    def __aiter__(self):
        self._config.config({"reconnect": True})
        return self

    async def __anext__(self):
        if self._connection is not None:
            await self._connection.close()
        while True:
            try:
                return await self.__aenter__()
            except ConnectionClosed as closed:
                if closed.status > -5:
                    raise
