# uwebsocket_client: a WebSocket client for MicroPython. MIT licence, see LICENSE.
"""NodeMCU's `websocket` module for MicroPython: RFC 6455, events, status codes.

import uwebsocket_client as websocket

ws = websocket.createClient()
ws.on("receive", lambda ws, message, opcode: print(message))
ws.on("close", lambda ws, status: print("closed", status))
ws.connect("ws://192.168.1.10:8080/")
while ws.poll(1000): pass       # a board does this by itself, in the background
"""

# Some of it is for the modules that are loaded later, which take it from here: to find most of what is built in, the
# interpreter first looks for a file of that name in each folder, the current one above all. On an ESP8266 that takes
# longer than to load a module, and nobody's file is to get the URL and its password.
import binascii  # noqa: F401
import errno
import gc
import io  # noqa: F401
import os
import sys
from hashlib import sha1  # noqa: F401

import machine
import uselect  # noqa: F401
import usocket  # noqa: F401
from micropython import const, schedule
from utime import sleep_ms, ticks_add, ticks_diff, ticks_ms

# What the import has left so far is not to lie between the parts that stay.
gc.collect()

# Opcodes (RFC 6455 5.2) and the bit that ends a message
_CONTINUATION = const(0)
_TEXT = const(1)
_BINARY = const(2)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)
_FIN = const(0x80)
_OPCODE = const(0x0F)

# What the tasks yield beside opcodes: a piece of a message, its last piece; a header of the reply
_PART = const(0x10)
_LAST = const(0x30)
_HEADER = const(5)

TEXT = _TEXT
BINARY = _BINARY

# Indices of the options, see KEYS in _wsconfig
_CONNECT_TIMEOUT = const(2)
_CLOSE_TIMEOUT = const(3)
_SEND_TIMEOUT = const(4)
_PING_INTERVAL = const(5)
_PING_LIMIT = const(6)
_MAX_MESSAGE = const(7)
_RECONNECT = const(9)
_RECONNECT_MIN = const(10)
_RECONNECT_MAX = const(11)
_BACKGROUND = const(13)

# States
_CLOSED = const(0)
_OPENING = const(1)  # until the handshake has succeeded
_OPEN = const(2)
_CLOSING = const(3)  # the user closes: the server's Close frame is awaited
_BROKEN = const(4)  # writing has failed: what the server sent before, above all why, is read
_ENDING = const(5)  # what comes is thrown away until the server closes TCP
_WAITING = const(6)  # for the time of the next attempt

# Who is inside the client. A callback of a timer, a pin or the background may come at any jump of
# the byte code, and call any method.
_NOBODY = const(0)
_WAIT = const(1)  # poll() waits: callbacks may send and close
_HANDLER = const(2)  # a handler runs: it may, too, but not wait
_METHOD = const(3)  # a method is half-way: all others are refused, or noted
_CRITICAL = const(4)  # poll() is, and an exception, Ctrl-C above all, ends the connection

_SCRATCH = const(144)  # bytes of the scratch buffer: a header, and the payload of any control frame
_SHORT = const(8192)  # bytes of heap: with less, what receives is not there while a connection opens
_BUDGET = const(16384)  # bytes that one poll() reads before it looks at the clock
_NEVER = const((1 << 29) - 1)  # ping_interval_ms, and the range of ticks_add
_SLICE = const(500)  # ms of one wait: a callback may have given the connection another deadline meanwhile
_WIFI_MS = const(500)  # between two looks at the Wi-Fi

_POLLIN = const(1)
_POLLOUT = const(4)
_POLLHUP = const(16)

del const  # the table of globals has room for 29, and then for 37

# The statuses of what the network raises, by errno. The numbers differ by port; ENETUNREACH (101, on the ESP32 114)
# and EPIPE (32) have no names.
_statuses = {
    errno.ENOMEM: -101,
    errno.ENOBUFS: -101,
    errno.ETIMEDOUT: -103,
    errno.EHOSTUNREACH: -104,
    114 if sys.platform == "esp32" else 101: -104,
    errno.ECONNABORTED: -108,
    errno.ECONNRESET: -109,
    32: -109,
    errno.ECONNREFUSED: -111,
}

_NETWORK = (OSError, EOFError, ValueError)  # what the network stack raises; made once, for to make it takes heap

_loading = None  # the module that is being loaded; meanwhile no client is polled
# The module that serves clients in the background, once it is loaded. A PC has none.
_board = None if hasattr(machine, "Timer") else False

del machine


def find():
    """Return the folder that this module was imported from, and whether what is loaded later stays in memory.

    Firmware for the ESP8266 does not tell (it has no __file__ in any version), so the path is searched as the import
    has done.
    """
    before = sys.path[:]
    for folder in before:
        if folder == ".frozen":
            # Frozen modules cannot be seen, only tried.
            sys.path[:] = (folder,)
            try:
                import _wsprotocol  # noqa: F401

                break
            except ImportError:
                continue
            finally:
                sys.path[:] = before
        if folder[:1] != "/":
            folder = (os.getcwd().rstrip("/") + "/" + folder).rstrip("/")
        for end in [".py", ".mpy"]:  # not a tuple: it would be a constant, and stay
            try:
                os.stat(folder + "/" + __name__ + end)
                # Compiled code goes where there is little room: an ESP8266, or what stands in for one.
                return folder, end == ".py" or sys.platform == "esp32"
            except OSError:
                pass
    return ".frozen", sys.platform != "esp8266"


_folder, _keep = find()
del find

# Nothing of the client comes from anywhere else, above all not from the current folder, which is searched first.
search = sys.path[:]
sys.path[:] = (_folder,)
try:
    from _wsprotocol import Connection
finally:
    sys.path[:] = search
del search


def load(name, keep=_keep):
    """Return a module of the client, from the folder of this one and no other.

    `name`: `str`; `keep`: whether it stays in memory. Where memory is short it does not: hold it only while it is
    needed. In a callback that has interrupted the loading of the same it loads it once more. Raises `ImportError`,
    `MemoryError`.
    """
    global _loading, _board
    board = name == "_wsboard"  # which stays in any case
    before = _loading
    if name == before:
        sys.modules.pop(name, None)  # half of it
    module = sys.modules.get(name)
    if module:
        return module
    if _folder != ".frozen":
        # what is not there would be searched elsewhere
        for end in [".mpy", ".py"]:
            try:
                os.stat(_folder + "/" + name + end)
                break
            except OSError:
                pass
        else:
            raise ImportError(_folder + "/" + name + ".mpy")
    # After a collection the module goes to the low end of the heap, where its names stay, not amid the free room.
    gc.collect()
    gone = name  # a module that is half loaded must not stay
    sys.path.insert(0, _folder)
    try:
        _loading = name
        module = __import__(name)
        if board:
            _board = module
            gone = None
        elif keep:
            gone = None
        return module
    finally:
        # No jump, at which Ctrl-C could come, before all is as it was, and nothing that needs the heap.
        _loading = before
        sys.modules.pop(gone, None)
        sys.path.pop(0)
        if not before and _board:
            _board.wake()


class WebSocketClient:
    """A WebSocket client: one connection at a time, to any server, again and again.

    As a context manager it closes on exit and polls until closed, at most `close_timeout_ms`.

    `connected`: True while messages can be sent. `protocol`: the subprotocol that the server
    chose, or `None`. After a close: `close_code` and `close_reason` as the server gave them
    (1005: none given, 1006: no Close frame), `http_status` of a refused upgrade, `errno` of an
    OS error, `error` in words where there is more to say than the status does, else `None`.

    Callbacks of timers, pins and `micropython.schedule` may call any method at any moment. While the interrupted
    program is inside a method of the same client, `send` and `connect` raise `OSError(EALREADY)`, `close` is done
    by that method before it returns, and `poll` does nothing.
    """

    # The options in the order of KEYS in _wsconfig
    _config = (None, (), 10000, 5000, 10000, 30000, 2, None, None, False, 1000, 60000, False, True, None)

    def __init__(self):
        self._handlers = {
            "connection": None,
            "receive": None,
            "data": None,
            "pong": None,
            "header": None,
            "close": None,
        }
        self._options = self._config  # of this connect()
        self._url = None
        self._state = _CLOSED
        self._owner = _NOBODY
        self._noted = None  # the Close payload, or its code, of a close() that could not be done yet
        self._asked = False  # the background could not poll meanwhile
        self._news = False  # the background has handled something since the last poll()
        self._connection = None  # the current one
        self._ended = None  # the last connection whose "close" is not told: it knows the one before
        self._unmade = 0  # attempts for which there was no memory at all, and not told either
        self._deadline = 0  # of the state, in ticks
        self._tries = 0  # since a connection stood for long
        self._addresses = None  # that have served, for the next attempt
        self.connected = False
        self.close_code = 1006
        self.close_reason = ""
        self.protocol = self.http_status = self.errno = self.error = None

    # ---- what the user calls

    def on(self, event, handler):
        """Register the one handler of an event; `None` unregisters it.

        `event`: "connection" (called with the client), "receive" (client, message, opcode), "data"
        (client, chunk, opcode, final), "pong" (client, payload), "header" (client, name, value) or "close"
        (client, status). Raises `ValueError` for another event, `TypeError` for a handler that cannot be called.
        """
        if event not in list(self._handlers):
            load("_wserror").throw("event", event)
        if handler is not None and not callable(handler):
            load("_wserror").throw("handler")
        self._handlers[event] = handler

    def config(self, params):
        """Change the configuration; it applies from the next `connect()` on.

        `params`: dict; the keys that it lacks stay as they are. Raises `ValueError` that names an
        unknown key or a wrong value, and then changes nothing; `TypeError` for no dict;
        `ImportError` for `compression` without `uwebsocket_deflate`.
        """
        swapped = False
        while not swapped:
            before = self._config
            new = load("_wsconfig").update(before, params, load)
            # No jump from here to the end, at which a callback could come: what it has changed meanwhile is not lost.
            swapped = self._config is before
            self._config = (self._config, new)[swapped]

    def connect(self, url):
        """Begin to connect; "connection" or "close" tells the outcome.

        `url`: "ws://host:port/path?query" (RFC 6455 3). Only the DNS look-up blocks. Raises
        `OSError(EALREADY)` unless the client is closed or waits to reconnect, `TypeError`
        for a URL that is no `str`.
        """
        if not isinstance(url, str):
            load("_wserror").throw("url")
        owner = self._owner
        try:
            self._owner = _METHOD
            if owner >= _METHOD or self._connection:
                raise OSError(errno.EALREADY, "connect")
            self._url = url
            self._options = self._config
            self._tries = 0
            self._addresses = self._noted = None
            self._open()
        finally:
            self._owner = owner
            self._settle()

    def send(self, message, opcode=None, fin=True):
        """Send a message, or a fragment of one; blocks while the TCP stack has no room.

        `message`: `str` (sent as text) or bytes-like (binary); never copied as a whole. `opcode`:
        1 or 2 overrides that; 0 continues a message; 9, 10 send a ping or pong of at most 125
        bytes. `fin`: False if more fragments follow (RFC 6455 5.4).

        Raises `ValueError` for an opcode or sequence that RFC 6455 forbids and for text that is
        not UTF-8, `TypeError` for another message, `OSError(ENOTCONN)` when not connected,
        `OSError(EALREADY)` in a callback that has interrupted another method, `OSError(ETIMEDOUT)` after
        `send_timeout_ms` without room, which ends the connection, as does `MemoryError`.
        """
        owner = self._owner
        try:
            self._owner = _METHOD
            if owner >= _METHOD:
                raise OSError(errno.EALREADY, "send")
            kind = _BINARY
            if isinstance(message, str):
                kind = _TEXT
                try:
                    view = memoryview(message)
                except TypeError:  # a str without the buffer protocol
                    view = memoryview(message.encode())
            else:
                view = memoryview(message)
                if not isinstance(message, (bytes, bytearray)) and len(bytes(view[:1])) > 1:
                    view = load("_wserror").memory(message)  # items of more than a byte
            n = len(view)
            if opcode is None:
                opcode = kind
            connection = self._connection
            opened = self._state == _OPEN
            text = connection.text if opened else None
            wrong = None
            # not a tuple: it would be a constant, and stay
            data = opcode == _CONTINUATION or opcode == _TEXT or opcode == _BINARY
            if not (data or opcode == _PING or opcode == _PONG):
                wrong = "opcode"
            elif opcode > _CLOSE:
                if n > 125 or not fin:
                    wrong = "send"
            elif opened:
                if (text is None) == (opcode == _CONTINUATION):
                    wrong = "fin"
                else:
                    if opcode:
                        text = 0 if opcode == _TEXT else -1
                    # a str is UTF-8 already, but on MicroPython it may hold surrogates
                    if text > 0 or text == 0 and (kind == _BINARY or len(message) != n):
                        text = connection.utf8(view, 0, n, text)
                        if text < 0 or fin and text:
                            wrong = "text"
                    if fin:
                        text = None
            if wrong:
                load("_wserror").throw(wrong, opcode)
            if not opened:
                raise OSError(errno.ENOTCONN, "send")

            begun = False
            try:
                end = ticks_add(ticks_ms(), self._options[_SEND_TIMEOUT])
                self._write(connection, end)  # a control frame may be waiting
                opcode |= _FIN if fin else 0
                connection.more = begun = True
                done = 0
                while connection.more:
                    done = connection.fill(opcode, view, done)
                    self._write(connection, end, False)
                connection.text = text
            except BaseException as error:
                if self._connection is connection and self._state == _OPEN:
                    out = not connection.more and connection.start >= connection.end
                    if connection.torn is None or begun and connection.torn and not out:
                        self._end(-199)
                    elif begun and out:
                        connection.text = text
                    elif begun:
                        connection.start = connection.end
                        connection.more = False
                        connection.buffer = connection.out_buf
                        if isinstance(error, MemoryError):
                            self._fail(-16)
                raise
        finally:
            self._owner = owner
            self._settle()

    def poll(self, timeout_ms=0):
        """Do what is due, and wait for events up to `timeout_ms` milliseconds, below 0 until one comes.

        Returns True while the client is alive, False once it is closed and all is told. Returns
        as soon as something was handled, at once if the background has handled something since the last call.
        Called by a callback while a method runs, it does nothing. What a handler raises comes out here. Raises
        `RuntimeError` in a handler of this client that asks it to wait.
        """
        if self._owner == _HANDLER and timeout_ms:
            load("_wserror").throw("wait")
        alive = self._serve(timeout_ms)
        if not (self._owner or _loading):  # else it has done nothing
            self._news = False
        return alive

    def _serve(self, timeout_ms=0):
        """Poll for the background: what is handled ends the next `poll()` at once. Returns what `poll()` returns."""
        owner = self._owner
        if owner or _loading:
            self._asked = True  # who is inside, or loads, has the background called when it ends
            return True
        handled = False
        try:
            self._owner = _METHOD
            if self._news:
                timeout_ms = 0
            end = ticks_add(ticks_ms(), min(max(timeout_ms, 0), _NEVER))
            while not handled:
                if self._noted:
                    self._owner = _NOBODY
                    self._settle()
                    self._owner = _METHOD
                if self._ended or self._unmade:
                    self._news = True
                    self._tell()
                    break
                if self._state == _CLOSED:
                    break
                connection = self._connection
                wait = _SLICE if timeout_ms < 0 else ticks_diff(end, ticks_ms())
                handled = wait <= 0  # the last round
                if not connection or not connection.ready:
                    # Wait for what the connection needs now; meanwhile callbacks may use the client.
                    wait = max(min(wait, self._left(), _SLICE), 0)
                    flags = connection and connection.mask()
                    self._owner = _WAIT
                    if not connection:
                        sleep_ms(wait)
                    else:
                        connection.wait(flags, wait)
                    self._owner = _METHOD
                    if self._connection is not connection:
                        continue
                self._owner = _CRITICAL
                if connection and connection.ready:
                    connection.count = _BUDGET
                    if connection.waiting and self._state != _OPENING:
                        self._write(connection)
                        if connection.waiting and connection.task is None:
                            sleep_ms(min(max(wait, 0), 1))  # lwIP shows room after a FIN, and takes nothing
                    try:
                        if self._connection is connection and self._run():
                            self._news = True
                            handled = True
                    finally:
                        if connection.count != _BUDGET:
                            connection.pings = 0
                            connection.got_ms = ticks_ms()
                if self._connection is connection and self._left() <= 0:
                    self._due(connection)
                self._owner = _METHOD
        except BaseException as error:
            short = isinstance(error, MemoryError)
            if self._owner == _CRITICAL:
                self._end(-101 if short else -199)
            if not short or self._owner < _METHOD:
                raise
        finally:
            self._owner = owner
            self._settle()
        return self._state != _CLOSED or self._ended is not None or self._unmade > 0

    def waits_for(self):
        """Return `(pollable, flags, ms)`: what to wait for, and how long, until `poll(0)` has something to do.

        `pollable`: for a poll object, or `None` where there is only the clock; `flags`: its poll mask; `ms`: at
        most so long, below 0 for ever.
        """
        connection = self._connection
        pollable = connection and connection.pollable
        left = max(self._left(), 0)
        if self._ended or self._unmade or self._news or self._noted or connection and connection.ready:
            left = 0
        elif self._state == _CLOSED:
            left = -1
        if pollable is None:
            return None, 0, left
        return pollable, connection.mask(), left

    def close(self, code=1000, reason=""):
        """Close the connection, or give up opening it; "close" then tells 0 (RFC 6455 7.1).

        `code`: 1000 to 1003, 1007 to 1014 or 3000 to 4999; `reason`: at most 123 bytes of UTF-8.
        Does not block; nothing happens when not connected. Raises `ValueError` for other arguments.
        """
        payload = 1000
        if code != 1000 or reason != "":
            payload = load("_wserror").close(code, reason)
        self._noted = payload
        self._settle()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
        end = ticks_add(ticks_ms(), self._options[_CLOSE_TIMEOUT])
        # where the client is busy, the method that was interrupted closes; while a module is loaded nothing is polled
        while self.poll(100) and not (self._owner or _loading) and ticks_diff(end, ticks_ms()) > 0:
            pass

    # ---- states

    def _enter(self, state):
        if self._state != _CLOSING:  # the time to close is counted from its first step
            timeout = self._options[_CONNECT_TIMEOUT if state == _OPENING else _CLOSE_TIMEOUT]
            self._deadline = ticks_add(ticks_ms(), timeout)
        self._state = state
        self.connected = state == _OPEN

    def _left(self):
        # ms until the deadline of the state
        now = ticks_ms()
        connection = self._connection
        if self._state != _OPEN or connection is None:
            return ticks_diff(self._deadline, now)
        left = self._options[_PING_INTERVAL]
        if left < _NEVER:
            left -= max(ticks_diff(now, connection.got_ms), ticks_diff(now, connection.sent_ms))
        return left

    def _settle(self):
        # A method ends: what callbacks asked for meanwhile is done now, or by the method that was interrupted. What
        # the background could not do, it does soon.
        owner = self._owner
        if owner >= _METHOD:
            return
        connection = self._connection
        if self._noted:
            payload = self._noted
            try:
                self._owner = _METHOD
                if self._state == _WAITING:
                    self._enter(_CLOSED)
                elif connection:
                    connection.status = 0
                    if self._state == _OPENING or self._state == _BROKEN:
                        self._end(0)
                    elif self._state == _OPEN:
                        connection.close = payload
                        self._enter(_CLOSING)
                        self._write(connection)
                self._noted = None
            finally:
                self._owner = owner
        if owner:
            if connection and connection.poller:
                connection.wait(connection.mask(), 0)  # for poll(), which goes on waiting
        elif self._asked or self._ended or self._unmade or connection and connection.ready:
            self._asked = False
            if _board:
                _board.wake()
            elif _board is None and self._options[_BACKGROUND] is not False:
                try:
                    schedule(WebSocketClient._serve, self)
                except RuntimeError:  # the queue is full
                    pass

    # ---- how a connection begins and ends

    def _open(self):
        # Begins an attempt.
        state = self._state
        try:
            self._enter(_OPENING)
            if not _keep:
                gc.collect()
                if gc.mem_free() < _SHORT:
                    sys.modules.pop("_wsreceive", None)
            self.close_code = 1006
            self.close_reason = ""
            self.protocol = self.http_status = self.errno = self.error = None
            self._connection = connection = Connection()
            if _board is not False:
                connection.step = "_wsboard"
            if not _loading:  # else the next poll() begins
                self._run()
            connection.ready = True  # the background looks at once, for nothing may come
        except MemoryError as error:
            self._lost(error)
        except BaseException:
            if self._connection is None and self._state == _OPENING:
                self._state = state  # it has not begun
            self._end(-199)
            raise

    def _end(self, status):
        # The connection is over: poll() will tell "close". Needs no memory, and changes nothing when called again.
        connection = self._connection
        opening = self._state == _OPENING
        state = _CLOSED
        deadline = 0
        if connection:
            if connection.status is not None:
                status = connection.status
        elif not opening:
            return
        if self._options[_RECONNECT] and status < -4:
            state = _WAITING
            deadline = ticks_ms()
            least = self._options[_RECONNECT_MIN]
            if connection and (
                # a connection that stood for the longest pause (below 0: for longer than ticks_diff can tell)
                # begins the row of pauses anew
                opening or 0 <= ticks_diff(deadline, connection.opened_ms) < self._options[_RECONNECT_MAX]
            ):
                least = max(connection.pause_ms, least)
            else:
                self._tries = 0
            deadline = ticks_add(deadline, least)
        # No jump in what follows, at which Ctrl-C could come: all of it happens or nothing.
        if connection is None:
            self._unmade += 1
            self._state = state
            self._deadline = deadline
        else:
            connection.status = status * (self._noted is None)  # 0 where the user has asked for it before
            connection._ended = self._ended
            self._ended = connection
            self._connection = None
            self._state = state
            self._deadline = deadline
            self.connected = False
            connection.task = None
            connection.release()
            if opening:
                self._addresses = None  # they did not serve

    def _lost(self, error, write=False):
        # The network, or a lack of memory, ends the connection. When writing has failed, what the server had sent
        # before, above all why it closed, is still read.
        connection = self._connection
        status = -101
        if isinstance(error, EOFError):
            status = -99
        elif isinstance(error, ValueError):
            status = -161
        elif isinstance(error, OSError):
            n = self.errno = error.errno
            status = -199
            if isinstance(n, int):  # TLS gives the numbers of errors negated, and has its own beyond 255
                status = _statuses.get(abs(n), -161 if abs(n) > 255 else -199)
            elif not error.args and self._state != _OPENING:
                status = -109  # with a full heap the ESP8266 raises it without its number
        if self._state == _OPENING and connection is not None and status != -101:
            if connection.heard is None or status == -161:
                status = -128
                try:
                    self.error = self.error or str(error).strip()
                except MemoryError:
                    pass
            elif status == -109 and not connection.heard:
                status = -111  # lwIP tells a refused connection as a reset
        if write and self._state == _OPEN:
            connection.status = status
            connection.start = connection.end = 0
            connection.more = connection.waiting = False
            connection.ready = True
            self._enter(_BROKEN)
            self._deadline = ticks_ms()
        else:
            self._end(status)

    def _fail(self, status):
        # What the server sent, or a lack of memory, ends the connection: Close frames are exchanged (RFC 6455 7.4.1).
        connection = self._connection
        if self._state != _OPEN and self._state != _CLOSING:
            self._end(status)
            return
        if connection.status is None:
            connection.status = status
            close = 1002  # protocol error
            if status > -14 and status < -7:
                close = 1009  # message too big
            elif status == -207:
                close = 1007  # invalid payload data
            elif status == -16:
                close = 1011  # internal error
            elif status == -19:
                close = 1001  # going away
            connection.close = close
        connection.task = None
        self._enter(_ENDING)
        self._write(connection)

    # ---- sending

    def _write(self, connection, end=None, idle=True):
        # Writes what waits, as far as there is room. For send(), which gives an `end`, it waits until then, and raises
        # an OSError when the connection ends; else it never waits.
        waited = False
        try:
            while not connection.flush(idle) and end is not None:
                wait = ticks_diff(end, ticks_ms())
                if wait <= 0:
                    self._end(-103)
                    raise OSError(errno.ETIMEDOUT, "send")
                if waited:
                    sleep_ms(1)  # lwIP shows room after a FIN, and takes nothing
                waited = True
                connection.wait(_POLLIN | _POLLHUP if connection.locked else _POLLOUT | _POLLHUP, wait)
        except BaseException as error:
            if self._connection is not connection:
                raise
            if isinstance(error, _NETWORK):
                self._lost(error, True)
                if end is not None:
                    raise OSError(errno.ENOTCONN, "send")
            elif end is not None:
                raise
            elif isinstance(error, MemoryError):
                connection.waiting = True  # it waits on
            else:
                self._end(-199)
                raise
        connection.sent_ms = ticks_ms()
        if waited:
            connection.ready = True

    # ---- what poll() does

    def _tell(self):
        # Tells "close" of the connection that ended first.
        handler = self._handlers["close"]
        holder = self
        left = self._ended
        status = -101
        unmade = self._unmade > 0
        if not unmade:
            while left._ended is not None:
                holder = left
                left = left._ended
            left.release()
            status = left.status
            left = None
        # No jump, at which Ctrl-C could lose the event, from taking it to its handler.
        if handler is None:
            self._unmade -= unmade
            holder._ended = left
        else:
            self._unmade -= unmade
            holder._ended = left
            self._owner = _HANDLER
            handler(self, status)
        self._owner = _METHOD

    def _due(self, connection):
        # The deadline of the state has passed.
        state = self._state
        if state == _WAITING:
            # no attempt while the Wi-Fi is down
            self._deadline = ticks_add(ticks_ms(), _WIFI_MS)
            if not _board or _board.isconnected():
                self._open()
        elif state == _OPENING:
            self._run()  # it may have another address to try
            if self._connection is connection and self._state == state and self._left() <= 0:
                if connection.status is None:
                    self.error = connection.doing
                self._end(-18)
        elif state == _OPEN:
            if connection.ready:  # silence is judged when all is read
                return
            if connection.pings < self._options[_PING_LIMIT]:
                connection.pings += 1
                connection.got_ms = connection.sent_ms = ticks_ms()
                connection.ping = True
                self._write(connection)
            else:
                self._fail(-19)
                self._end(-19)
        elif not (connection.ready and state == _BROKEN):
            self._end(-99)

    def _run(self):
        # Lets what reads go on until it waits; True if something was handled.
        connection = self._connection
        handled = False
        try:
            while self._connection is connection and self._state != _ENDING:
                connection.ready = True
                if connection.task:
                    # not next(): the frame of this method would keep its StopIteration, amid the room for messages
                    for event in connection.task:
                        break
                    else:
                        connection.task = None
                if not connection.task:
                    if connection.step:
                        connection.task = load(connection.step).step(self, connection, load)
                        continue
                    # the last step has gone: what stays goes below the room for messages
                    receiver = load("_wsreceive", True)
                    gc.collect()
                    connection.buffer = connection.out_buf = bytearray(_SCRATCH)
                    connection.utf8 = receiver.utf8
                    connection.task = receiver.receiver(connection.read, self._handlers, self._options[_MAX_MESSAGE])
                    self._enter(_OPEN)
                    handler = self._handlers["connection"]
                    if handler:
                        self._owner = _HANDLER
                        handler(self)
                        self._owner = _CRITICAL
                elif not event:
                    if self._state == _OPENING:
                        connection.ready = False
                    return handled
                elif event < 0:
                    self._fail(event)
                else:
                    self._take(connection, event)
                handled = True
            if self._connection is connection:
                # Close frames are exchanged: what comes is thrown away, until the server closes TCP.
                if connection.start < connection.end:
                    connection.ready = False
                else:
                    while connection.read(connection.out_buf, 0, _SCRATCH):
                        pass
            return handled
        except MemoryError as error:
            if self._owner < _METHOD:
                raise  # it is a handler's
            if self._state == _OPEN:
                self._fail(-8)
            else:
                self._lost(error)
        except _NETWORK as error:
            if self._owner < _METHOD:
                raise
            self._lost(error)
        return True

    def _take(self, connection, event):
        # Handles an event. A method of its own, for the frame of a caller would keep the message from the garbage
        # collector while the next one needs room.
        content = next(connection.task)
        if event == _CLOSE:
            if self._state != _CLOSING:
                connection.status = -6
            self.close_code = content[0] << 8 | content[1] if content else 1005
            self.close_reason = str(content[2:], "utf-8")
            if self._state == _OPEN:
                connection.close = content[:2]
            self._fail(-6)
        elif event == _PING:
            if self._state == _OPEN:
                connection.pong = content
                self._write(connection)
        else:
            if event & _PART:
                handler = next(connection.task)
            else:
                handler = self._handlers["pong" if event == _PONG else "header" if event == _HEADER else "receive"]
            if handler and self._state != _CLOSING:
                # No jump, at which Ctrl-C could lose the message, from the change of the owner to the handler.
                if event & _PART:
                    self._owner = _HANDLER
                    handler(self, content, event & _OPCODE, event >= _LAST)
                elif event == _PONG:
                    self._owner = _HANDLER
                    handler(self, content)
                elif event == _HEADER:
                    self._owner = _HANDLER
                    handler(self, *content)
                else:
                    self._owner = _HANDLER
                    handler(self, content, event)
                self._owner = _CRITICAL


if not _keep and _folder != ".frozen":
    # The names in these modules stay when they go: take them in now, at the low end of the heap. And a module that is
    # missing is missed at once. The smallest comes first: something deep in the stack goes on to keep that one.
    load("_wsoffers")
    load("_wsurl")
    load("_wsconnect")
    load("_wsrequest")
    load("_wsreply")
    gc.collect()
    if gc.mem_free() >= _SHORT:
        load("_wsreceive", True)
        gc.collect()

createClient = WebSocketClient  # NodeMCU's name
