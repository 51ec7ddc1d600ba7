# uwebsocket_client: a WebSocket client for MicroPython. MIT licence, see LICENSE.
"""NodeMCU's `websocket` module for MicroPython: RFC 6455, events, status codes.

import uwebsocket_client as websocket

ws = websocket.createClient()
ws.on("receive", lambda ws, message, opcode: print(message))
ws.on("close", lambda ws, status: print("closed", status))
ws.connect("ws://192.168.1.10:8080/")
while ws.poll(1000): pass       # a board does this by itself, in the background
"""

import errno
import gc
from os import urandom
from sys import modules

from micropython import const
from utime import sleep_ms, ticks_add, ticks_diff, ticks_ms
from uwebsocket_protocol import header, mask, receiver, utf8, widen

TEXT = 1
BINARY = 2

# Indices of the options, see KEYS in uwebsocket_config
_CLOSE_TIMEOUT = const(3)
_SEND_TIMEOUT = const(4)
_PING_INTERVAL = const(5)
_PING_LIMIT = const(6)
_MAX_MESSAGE = const(7)
_RECONNECT = const(9)
_RECONNECT_MAX = const(11)

# States
_CLOSED = const(0)
_OPENING = const(1)  # until the handshake has succeeded
_OPEN = const(2)
_CLOSING = const(3)  # the user closes: the server's Close frame is awaited
_BROKEN = const(4)  # writing has failed: what the server sent before, above all why, is read
_ENDING = const(5)  # what comes is thrown away until the server closes TCP
_WAITING = const(6)  # for the time of the next attempt

_SMALL = const(128)  # payload bytes that the scratch buffer holds: any control frame
_LARGE = const(512)  # the most that goes out in one write, 6 segments in lwIP's send buffer
_BODY = const(16)  # where the payload begins in the scratch buffer
_BUDGET = const(16384)  # bytes that one poll() reads before it looks at the clock
_READ_COST = const(64)  # what a read counts beside its bytes

_NEVER = const((1 << 29) - 1)  # of ping_interval_ms
_CRITICAL = const(2)  # of _busy: an exception now, Ctrl-C above all, ends the connection

_IN = const(1 | 16)  # POLLIN, POLLHUP
_OUT = const(4 | 16)  # POLLOUT, POLLHUP


def _call(name, function=None, *args):
    # Calls a function of a module that is needed only for a moment, and keeps nothing of it: its
    # memory is given back, unless it had to be compiled. After a collection it goes to the low end
    # of the heap, where its names stay, not amid the free room.
    name = "uwebsocket_" + name
    if name not in modules:
        gc.collect()
    module = __import__(name)
    if not module.__file__.endswith(".py"):
        modules.pop(name)
    if function:
        return getattr(module, function)(*args)


class WebSocketClient:
    """A WebSocket client: one connection at a time, to any server, again and again.

    As a context manager it closes on exit and polls until closed, at most `close_timeout_ms`.

    `connected`: True while messages can be sent. `protocol`: the subprotocol that the server
    chose, or `None`. After a close: `close_code` and `close_reason` as the server gave them
    (1005: none given, 1006: no Close frame), `http_status` of a refused upgrade, `errno` of an
    OS error, else `None`.
    """

    # What most connections leave as it is takes no room in the client until it differs.
    connected = False
    close_code = 1006
    close_reason = ""
    protocol = http_status = errno = None
    _status = None  # what "close" will tell, once it is known
    _pong = _close = None  # payloads of frames to be sent
    _text = None  # of a message sent in fragments: its utf8() state, -1 for binary
    _data = None  # the handler of the message that is handed over in pieces
    _room = _LARGE  # payload bytes of one write
    _ended = ()  # statuses of connections that "close" has not told yet
    _tries = 0  # to reconnect, since a connection stood for long
    _found = None  # the addresses of the last connection, for the next one

    # The defaults, in the order of KEYS in uwebsocket_config
    _config = (None, (), 10000, 5000, 10000, 30000, 2, None, None, False, 1000, 60000, False, True, None)

    _options = _config  # of this connection
    _state = _CLOSED
    _busy = 0  # 1: one of the methods runs; _CRITICAL: and must not be left half-way

    def __init__(self):
        self._handlers = {}

    def _enter(self, state):
        # Which states may follow each state, one bit a state; then the option that limits each
        if not b"\x42\x05\x39\x21\x01\x01\x03"[self._state] >> state & 1:
            raise RuntimeError(state)
        if self._state != _CLOSING:  # the time to close is counted from its first step
            self._wait(b"\x03\x02\x05\x03\x03\x03\x03"[state])
        self._state = state
        self.connected = state == _OPEN

    def _wait(self, n):
        # gives the state the time of an option
        self._deadline = ticks_add(ticks_ms(), self._options[n])

    # ---- what the user calls

    def on(self, event, handler):
        """Register the one handler of an event; `None` unregisters it.

        `event`: "connection" (called with the client), "receive" (client, message, opcode), "data"
        (client, chunk, opcode, final), "pong" (client, payload) or "close" (client, status).
        Raises `ValueError` for another event, `TypeError` for a handler that cannot be called.
        """
        if event not in ("connection", "receive", "data", "pong", "close"):
            _call("errors", "refuse", "event", event)
        if handler is None:
            self._handlers.pop(event, None)
        elif callable(handler):
            self._handlers[event] = handler
        else:
            _call("errors", "refuse", "handler")

    def config(self, params):
        """Change the configuration; it applies from the next `connect()` on.

        `params`: dict; the keys that it lacks stay as they are. Raises `ValueError` that names an
        unknown key or a wrong value, and then changes nothing; `TypeError` for no dict;
        `ImportError` for `compression` without `uwebsocket_deflate`.
        """
        self._config = _call("config", "update", self._config, params)

    def connect(self, url):
        """Begin to connect; "connection" or "close" tells the outcome.

        `url`: "ws://host:port/path?query" (RFC 6455 3). Only the DNS look-up blocks. Raises
        `OSError(EALREADY)` unless the client is closed or waits to reconnect, `TypeError`
        for a URL that is no `str`.
        """
        if not isinstance(url, str):
            _call("errors", "refuse", "url")
        if self._state not in (_CLOSED, _WAITING):
            raise OSError(errno.EALREADY, "connect")
        self._url = url
        if self._tries:
            self._tries = 0
        if self._found:
            self._found = None
        self._open()

    def send(self, message, opcode=None, fin=True):
        """Send a message, or a fragment of one; blocks while the TCP stack has no room.

        `message`: `str` (sent as text) or bytes-like (binary); never copied as a whole. `opcode`:
        1 or 2 overrides that; 0 continues a message; 9, 10 send a ping or pong of at most 125
        bytes. `fin`: False if more fragments follow (RFC 6455 5.4).

        Raises `ValueError` for an opcode or sequence that RFC 6455 forbids and for text that is
        not UTF-8, `TypeError` for another message, `OSError(ENOTCONN)` when not connected,
        `OSError(ETIMEDOUT)` after `send_timeout_ms` without room, which ends the connection, as
        does `MemoryError`.
        """
        kind = BINARY
        if isinstance(message, str):
            kind = TEXT
            try:
                view = memoryview(message)
            except TypeError:  # a str without the buffer protocol
                view = memoryview(message.encode())
        else:
            view = memoryview(message)
            if not isinstance(message, (bytes, bytearray)) and len(bytes(view[:1])) > 1:
                view = _call("errors", "bytes_of", message)  # items of more than a byte
        n = len(view)
        if opcode is None:
            opcode = kind
        state = self._text
        wrong = None
        if opcode not in (0, TEXT, BINARY, 9, 10):
            wrong = "opcode"
        elif opcode > 8:
            if n > 125 or not fin:
                wrong = "send"
        elif self._state == _OPEN:
            if (state is None) == (opcode == 0):
                wrong = "fin"
            else:
                if opcode:
                    state = 0 if opcode == TEXT else -1
                if state >= 0:
                    # a str is UTF-8 already, but on MicroPython it may hold surrogates
                    if state or kind == BINARY or len(message) != n:
                        state = utf8(view, 0, n, state)
                    if state < 0 or fin and state:
                        wrong = "text"
        if wrong:
            _call("errors", "refuse", wrong, opcode)
        if self._state != _OPEN:
            raise OSError(errno.ENOTCONN, "send")

        busy = self._busy
        self._busy = 1
        small = self._tx
        start = done = 0  # where the frame began in the scratch buffer; payload bytes sent
        try:
            end = ticks_add(ticks_ms(), self._options[_SEND_TIMEOUT])
            self._flush(end)  # a control frame may be waiting
            key = urandom(4)
            if n > _SMALL:
                try:
                    self._tx = bytearray(_BODY + min(n + 3 & ~3, self._room))
                except MemoryError:
                    pass
            self._start = self._end = start = header(self._tx, opcode | 0x80 if fin else opcode, n, key)
            room = len(self._tx) - _BODY
            key = widen(key, min(n, room))
            while True:
                size = min(n - done, room)
                if size:
                    mask(self._tx, view, done, size, key)
                self._end = _BODY + size
                self._flush(end)
                done += size
                if done >= n:
                    break
                self._start = self._end = _BODY
            if opcode < 8 and not (opcode and fin):
                self._text = None if fin else state
        except BaseException as error:
            if self._state == _OPEN:
                if done or self._start < 0 or start and self._start != start:
                    self._finish(-199)
                else:
                    if start:
                        self._end = self._start
                    if isinstance(error, MemoryError):
                        self._fail(-16)
            raise
        finally:
            self._leave(busy)
            if self._tx is not None and self._start >= self._end:
                self._tx = small

    def poll(self, timeout_ms=0):
        """Do what is due, and wait for events up to `timeout_ms` milliseconds.

        Returns True while the client is alive, False once it is closed and all is told. Returns
        as soon as something was handled; called from within itself, at once. What a handler
        raises comes out here.
        """
        if self._busy:
            self._flags |= 1  # there may be something to read, see _leave()
            return True
        try:
            end = ticks_add(ticks_ms(), min(timeout_ms, (1 << 29) - 1))
            handled = False
            while not handled:
                self._busy = 1
                if self._ended:
                    status = self._ended[0]
                    handler = self._handlers.get("close")
                    # no jump, at which Ctrl-C could lose the event, between _ended and the handler
                    if handler:
                        self._ended = self._ended[1:]
                        handler(self, status)
                    else:
                        self._ended = self._ended[1:]
                    break
                if self._state == _CLOSED:
                    break
                wait = ticks_diff(end, ticks_ms())
                handled = wait <= 0  # the last round
                if self._flags:
                    wait = 0
                wait = min(wait, ticks_diff(self._deadline, ticks_ms()))
                wait = max(wait, 0)
                if self._state == _WAITING:
                    self._flags = 0
                    sleep_ms(wait)
                elif not self._flags:
                    for _, self._flags in self._poller.ipoll(wait):
                        pass
                self._busy = _CRITICAL
                if self._flags:
                    self._budget = _BUDGET
                    if self._start < self._end:
                        self._push()
                    if self._run():
                        handled = True
                    if self._budget != _BUDGET and self._state == _OPEN:
                        self._pings = 0
                        self._wait(_PING_INTERVAL)
                if ticks_diff(self._deadline, ticks_ms()) > 0:
                    continue
                # The deadline of the state has passed. Silence is judged when all is read.
                if self._state == _OPEN:
                    if self._flags or self._options[_PING_INTERVAL] == _NEVER:
                        self._wait(_PING_INTERVAL)
                    elif self._pings < self._options[_PING_LIMIT]:
                        self._pings += 1
                        self._wait(_PING_INTERVAL)
                        if self._start >= self._end:
                            self._push(0x89, b"")
                    else:
                        self._fail(-19)
                        if self._state != _CLOSED:
                            self._finish(-19)
                elif self._state == _WAITING:
                    # no attempt while the Wi-Fi is down
                    board = modules.get("uwebsocket_board")
                    if board and not board.link_is_up():
                        self._deadline = ticks_add(ticks_ms(), 500)
                    else:
                        self._open()
                elif self._state != _CLOSED and not (self._flags and self._state == _BROKEN):
                    self._finish(-18)
        except BaseException:
            if self._busy == _CRITICAL and _CLOSED < self._state < _WAITING:
                self._finish(-199)
            raise
        finally:
            self._leave(0)
        return self._state != _CLOSED or len(self._ended) > 0

    def close(self, code=1000, reason=""):
        """Close the connection, or give up opening it; "close" then tells 0 (RFC 6455 7.1).

        `code`: 1000 to 1003, 1007 to 1014 or 3000 to 4999; `reason`: at most 123 bytes of UTF-8.
        Does not block; nothing happens when not connected. Raises `ValueError` for other arguments.
        """
        payload = b"\x03\xe8"
        if code != 1000 or reason != "":
            payload = _call("errors", "close_payload", code, reason)
        busy = self._busy
        try:
            if self._state == _OPENING:
                self._finish(0)
            elif self._state == _OPEN:
                self._enter(_CLOSING)
                self._status = 0
                self._close = payload
                self._busy = 1
                self._push()
            elif self._state == _WAITING:
                self._enter(_CLOSED)
            elif self._state != _CLOSED:
                self._status = 0
        finally:
            self._leave(busy)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
        end = ticks_add(ticks_ms(), self._options[_CLOSE_TIMEOUT])
        while self.poll(100) and ticks_diff(end, ticks_ms()) > 0:
            pass

    # ---- how a connection begins and ends

    def _open(self):
        # All that belongs to one connection is reset here.
        for name in (
            "close_code",
            "close_reason",
            "protocol",
            "http_status",
            "errno",
            "_status",
            "_text",
            "_data",
            "_room",
        ):
            if name in self.__dict__:
                delattr(self, name)
        self._options = self._config
        self._sock = self._poller = None
        self._start = self._end = 0  # what is to be written of the scratch buffer
        self._pings = 0  # without an answer
        self._since = None  # when it was open
        self._flags = 0  # what the poller said last; not 0: there may be something to read
        busy = self._busy
        self._busy = 1
        try:
            self._enter(_OPENING)
            self._task = self._tx = None
            target = _call("url", "parse_url", self._url)
            target = _call("request", "prepare", self, target, _call)
            # What reads, one after the other: connect(), the reply's read(), receiver().
            self._task = _call("connect", "connect", self, target, _call)
            self._run()
            self._flags |= 1  # the background looks at once, for nothing may come
        except MemoryError as error:
            self._failed(error)
        except BaseException:
            if self._state == _OPENING:
                self._finish(-199)
            raise
        finally:
            self._leave(busy)

    def _leave(self, busy):
        # A method ends. What the background could not do meanwhile, or what is left, it does soon.
        self._busy = busy
        if not busy and (self._ended or self._state and self._flags):
            if "uwebsocket_board" in modules:
                modules["uwebsocket_board"].wake()

    def _finish(self, status):
        # The connection is over: its socket is closed, poll() will tell "close".
        if self._status is None:
            self._status = status
        if self._sock is not None:
            try:
                self._sock.close()
            except OSError:
                pass
        self._sock = self._poller = self._task = self._tx = None
        if self._pong or self._close:
            self._pong = self._close = None
        self._flags = 0
        self._enter(_CLOSED)
        self._ended += (self._status,)
        if self._options[_RECONNECT] and self._status < -4:
            try:
                status = _call("errors", "delay", self)
            except MemoryError:
                status = self._options[_RECONNECT_MAX]
            self._enter(_WAITING)
            self._deadline = ticks_add(ticks_ms(), status)

    def _failed(self, error, write=False):
        # The network stack raised an error. After one while writing, what the server had sent
        # before, above all why it closed, is still read; nothing more is sent.
        if isinstance(error, OSError):
            self.errno = error.errno
        try:
            status = _call("errors", "status_of", error, self._state == _OPENING)
        except MemoryError:
            status = -101
        if write and self._state == _OPEN:
            self._status = status
            self._start = self._end = 0
            self._enter(_BROKEN)
            self._deadline = ticks_ms()
            self._flags |= 1
        else:
            self._finish(status)

    def _fail(self, status):
        # What the server sent, or a lack of memory, ends the connection.
        if self._state in (_OPEN, _CLOSING):
            try:
                if self._status is None:
                    self._status = status
                    self._close = _call("errors", "failure_payload", status)
                self._task = None
                self._enter(_ENDING)
                self._push()
                return
            except MemoryError:
                pass
        self._finish(status)

    # ---- sending

    def _flush(self, end=None):
        # Writes what the scratch buffer holds. Without room it returns False; or, for send(), it
        # waits till `end`, and raises an OSError when that ends the connection.
        waited = False
        try:
            while self._start < self._end:
                began = ticks_ms()
                start = self._start
                self._start = -1  # for who interrupts the next lines: a part may be out
                n = self._sock.write(self._tx, start, self._end - start)
                self._start = start + (n or 0)
                if n:
                    if ticks_diff(ticks_ms(), began) > 9000:
                        # lwIP has no memory: it waits 10 s, drops the data and says it is sent
                        raise OSError(errno.ENOMEM, "")
                elif n == 0:
                    raise OSError(errno.ECONNRESET, "")  # how axTLS tells it
                elif end is None:
                    # what comes can wait where it is only to be thrown away, through this buffer
                    self._poller.modify(self._sock, _OUT if self._state == _ENDING else _IN | _OUT)
                    return False
                else:
                    wait = ticks_diff(end, ticks_ms())
                    if wait <= 0:
                        self._finish(-103)
                        break
                    if waited:
                        sleep_ms(1)  # lwIP shows room after a FIN, and takes nothing
                    waited = True
                    self._poller.modify(self._sock, _OUT)
                    for _ in self._poller.ipoll(wait):
                        pass
        except (OSError, ValueError) as error:
            self._failed(error, True)
            if end is not None:
                raise OSError(errno.ENOTCONN, "send")
            return False
        if self._sock is None:
            raise OSError(errno.ETIMEDOUT, "send")
        if waited:
            self._poller.modify(self._sock, _IN)
        return True

    def _push(self, first=0, data=None):
        # Sends the control frames that are due, as far as there is room; `first`, `data`: one
        # more of them.
        try:
            while self._flush():
                if data is None:
                    if self._pong is not None:
                        data = self._pong
                        self._pong = None
                        first = 0x8A
                    elif self._close is not None:
                        data = self._close
                        self._close = None
                        first = 0x88
                    else:
                        self._poller.modify(self._sock, _IN)
                        break
                n = len(data)
                key = urandom(4)
                self._start = self._end = header(self._tx, first, n, key)
                if n:
                    mask(self._tx, memoryview(data), 0, n, widen(key, n))
                self._end = _BODY + n
                data = None
        except BaseException as error:
            memory = isinstance(error, MemoryError)
            self._finish(-16 if memory else -199)
            if not memory:
                raise

    # ---- receiving

    def _read(self, buffer, start, n):
        # For the receiver: what is there of n bytes, within the budget of this poll(). It asks for
        # no more than a frame has: after a reset, to ask for more would lose what is there.
        if self._budget <= 0:
            return 0
        n = min(n, self._budget)
        if start:
            n = self._sock.readinto(memoryview(buffer)[start : start + n])
        else:
            n = self._sock.readinto(buffer, n)
        if n:
            self._budget -= n + _READ_COST
        elif n is None:
            self._flags = 0
        else:
            raise EOFError
        return n

    def _run(self):
        # Lets the task go on until it waits; True if something was handled.
        handled = False
        while self._task is not None:
            self._flags |= 1
            try:
                try:
                    event = next(self._task)
                except StopIteration as stop:
                    self._task = event = None
                    gc.collect()
                    if stop.value:
                        self._task = _call("reply", "read", self, stop.value)
                        continue
                    self._tx = bytearray(_BODY + _SMALL)  # the scratch buffer
                    self._task = receiver(self._read, self._handlers, self._options[_MAX_MESSAGE])
                    self._since = ticks_ms()
                    self._enter(_OPEN)
            except BaseException as error:
                if isinstance(error, MemoryError) and self._state == _OPEN:
                    self._fail(-8)
                elif isinstance(error, (OSError, EOFError, MemoryError, ValueError)):
                    self._failed(error)
                else:
                    raise
                return True
            if event is None:
                handler = self._handlers.get("connection")
                if handler:
                    self._busy = 1
                    handler(self)
                    self._busy = _CRITICAL
                return True  # a frame that has caught an exception would keep it in the heap
            if not event:
                if self._state == _OPENING:
                    self._flags = 0
                return handled
            handled = True
            if event < 0:
                self._fail(event)
                break
            self._take(event)
        if self._state == _ENDING:
            try:
                if self._start < self._end:
                    self._flags = 0
                else:
                    while self._read(self._tx, 0, _BODY + _SMALL):
                        pass
            except (OSError, EOFError):
                self._finish(0)
        return handled

    def _take(self, event):
        # Handles what the receiver yields beside an opcode. A function of its own, for the frame of
        # a caller would keep the message from the garbage collector while the next one needs room.
        content = next(self._task)
        if event == 8:
            self.close_code = content[0] << 8 | content[1] if content else 1005
            self.close_reason = str(content[2:], "utf8")
            if self._state == _BROKEN:
                self._status = -6
                self._finish(-6)
                return
            if self._state == _OPEN:
                self._status = -6
                self._close = content[:2]
            self._task = None
            self._enter(_ENDING)
            self._push()
        elif event == 9:
            if self._state == _OPEN:
                self._pong = content
                self._push()
        elif self._state != _CLOSING:
            if event & 0x10:
                handler = self._data or self._handlers.get("data")
                self._data = None if event > 0x20 else handler
            else:
                handler = self._handlers.get("pong" if event == 10 else "receive")
            if handler:
                # no jump, at which Ctrl-C could lose the message, between _busy and the handler
                if event == 10:
                    self._busy = 1
                    handler(self, content)
                elif event & 0x10:
                    self._busy = 1
                    handler(self, content, event & 15, event > 0x20)
                else:
                    self._busy = 1
                    handler(self, content, event)
                self._busy = _CRITICAL


createClient = WebSocketClient  # NodeMCU's name

if not __file__.endswith(".py"):
    # The names in these modules stay when they go: take them in now. And a module that is
    # missing is missed at once.
    for _name in ("url", "request", "connect", "reply"):
        _call(_name)
    gc.collect()
