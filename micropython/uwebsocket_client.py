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
import os
from sys import modules, path, platform

import machine
from micropython import const, schedule
from utime import sleep_ms, ticks_add, ticks_diff, ticks_ms

TEXT = 1
BINARY = 2

# Opcodes (RFC 6455 5.2) and the bit that ends a message
_CONTINUATION = const(0)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)
_FIN = const(0x80)
_OPCODE = const(0x0F)

# What the tasks yield beside opcodes: a piece of a message, its last piece; a header of the reply
_PART = const(0x10)
_LAST = const(0x30)
_HEADER = const(5)
_OPENED = const(6)  # the last phase of opening is over

# Indices of the options, see KEYS in uwebsocket_config
_HEADERS = const(0)
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

# Which states may follow each state, a bit for each; _end() leads to _CLOSED or _WAITING from anywhere
_MAY_FOLLOW = bytes(
    (
        1 << _OPENING,  # closed
        1 << _OPEN,  # opening
        1 << _CLOSING | 1 << _BROKEN | 1 << _ENDING,  # open
        1 << _ENDING,  # closing
        0,  # broken
        0,  # ending
        1 << _OPENING | 1 << _CLOSED,  # waiting
    )
)

# Who is inside the client. A callback of a timer, a pin or the background may come at any jump of
# the byte code, and call any method.
_NOBODY = const(0)
_WAIT = const(1)  # poll() waits: callbacks may send and close
_HANDLER = const(2)  # a handler runs: it may, too, but not wait
_METHOD = const(3)  # a method is half-way: all others are refused, or noted
_CRITICAL = const(4)  # poll() is, and an exception, Ctrl-C above all, ends the connection

_SCRATCH = const(144)  # bytes of the scratch buffer
_BUDGET = const(16384)  # bytes that one poll() reads before it looks at the clock
_LONG = const((1 << 29) - 1)  # ms: the range of ticks_add, and ping_interval_ms for never
_SLICE = const(500)  # ms of one wait: a callback may have given the connection another deadline meanwhile
_WIFI_MS = const(500)  # between two looks at the Wi-Fi

_POLLIN = const(1)
_POLLOUT = const(4)
_POLLHUP = const(16)

# Payload bytes of one write, multiples of what is masked at once: where the heap has plenty; one TCP segment
# with the header; where segments are a little smaller (ESP32), and what one record of axTLS holds
_PLENTY = const(3872)
_SEGMENT = const(1452)
_RECORD = const(968)
_PLENTY_FREE = const(49152)

# The modules that take part in opening, in this order. Each has a `phase(ws, connection, load)`: a
# generator, or a function where nothing is to be waited for.
_PHASES = ("url", "connect", "tls", "request", "reply")


def _find():
    # Where this module was imported from, and whether what is loaded later stays in memory. Firmware for
    # the ESP8266 does not tell (it has no __file__), so the path is searched as the import has done.
    folders = ()
    for folder in path:
        if folder == ".frozen":
            folders = (folder,)  # frozen modules go before those in later folders, and cannot be seen
            continue
        if folder[:1] != "/":
            folder = os.getcwd().rstrip("/") + ("/" + folder if folder else "") or "/"
        for name in ("/uwebsocket_client.py", "/uwebsocket_client.mpy"):
            try:
                os.stat(folder + name)
            except OSError:
                continue
            # Compiled code goes where there is little room: an ESP8266, or what stands in for one.
            return folders + (folder,), name[-3:] == ".py" or folder[:4] == "/rom" or platform == "esp32"
    return folders, True


_folders, _keep = _find()
_added = len(_folders)
_loading = None  # the module that is being loaded; meanwhile no client is polled


def load(name, keep=False):
    """Return the module uwebsocket_<name>, from the folder of this one and no other.

    `name`: `str`; `keep`: bool. Where memory is short the module is not kept unless asked: hold it only while it is
    needed. Raises `OSError(EALREADY)` where the interrupted program is loading the same, `ImportError`, `MemoryError`.
    """
    global _loading
    name = "uwebsocket_" + name
    if name == _loading:
        raise OSError(errno.EALREADY, name)
    if name in modules:
        return modules[name]
    # After a collection the module goes to the low end of the heap, where its names stay, not amid the free room.
    gc.collect()
    before = _loading
    keep = keep or _keep
    added = 0
    gone = name  # a module that is half loaded must not stay
    try:
        _loading = name
        path[0:0] = _folders
        added = _added
        module = __import__(name)
        gone = None if keep else name
        return module
    finally:
        # no jump, at which Ctrl-C could come, before all is as it was
        del path[:added]
        modules.pop(gone, None)
        _loading = before
        if not before and "uwebsocket_board" in modules:
            modules["uwebsocket_board"].wake()


try:
    path[0:0] = _folders
    from uwebsocket_connection import Connection, Output
    from uwebsocket_protocol import receiver, utf8
finally:
    del path[:_added]


def _refuse(what, value=None):
    # Raises the error for a wrong argument.
    load("errors").refuse(what, value)


def _status_of(error):
    # The status for an exception of an open connection, or of one that is being opened by TCP. The numbers differ
    # by port, so they are compared by name; ENETUNREACH (101, on the ESP32 114) and EPIPE (32) have none. TLS
    # gives them negated, and has its own beyond 255.
    if isinstance(error, MemoryError):
        return -101
    if isinstance(error, EOFError):
        return -99
    if isinstance(error, ValueError):
        return -161
    code = error.errno
    code = abs(code) if isinstance(code, int) else 0
    if code in (errno.ENOMEM, errno.ENOBUFS):
        return -101
    if code == errno.ETIMEDOUT:
        return -103
    if code in (errno.EHOSTUNREACH, 114 if platform == "esp32" else 101):
        return -104
    if code == errno.ECONNABORTED:
        return -108
    if code in (errno.ECONNRESET, 32):
        return -109
    if code == errno.ECONNREFUSED:
        return -111
    return -199 if code < 256 else -161


def _close_payload(status):
    # What the Close frame tells the server of a failure (RFC 6455 7.4.1).
    if status == -207:
        return b"\x03\xef"  # 1007: invalid payload data
    if status == -16:
        return b"\x03\xf3"  # 1011: internal error
    if status == -19:
        return b"\x03\xe9"  # 1001: going away
    return b"\x03\xf1" if -14 < status < -7 else b"\x03\xea"  # 1009: message too big; 1002: protocol error


def _serve(ws):
    # Called by the scheduler where the background itself could not be loaded.
    ws.serve()


def _ignore(*event):
    # The handler of "close" where there is none.
    pass


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

    # The defaults, in the order of KEYS in uwebsocket_config
    _config = (None, (), 10000, 5000, 10000, 30000, 2, None, None, False, 1000, 60000, False, True, None)

    def __init__(self):
        self._handlers = {}
        self._options = self._config  # of this connect()
        self._url = None
        self._state = _CLOSED
        self._owner = _NOBODY
        self._noted = None  # the Close payload of a close() that could not be done yet
        self._asked = False  # the background could not poll meanwhile
        self._news = False  # the background has handled something since the last poll()
        self._connection = None  # the current one
        self._ended = None  # the last connection whose "close" is not told: it knows the one before
        self._unmade = 0  # attempts for which there was no memory at all, and not told either
        self._deadline = 0  # of the state, in ticks
        self._tries = 0  # since a connection stood for long
        self._addresses = None  # that have served, for the next attempt
        self._at = 0  # which of them comes first
        self._clear()

    def _clear(self):
        # what is told of the last connection
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
        if event not in ("connection", "receive", "data", "pong", "header", "close"):
            _refuse("event", event)
        if handler is None:
            self._handlers.pop(event, None)
        elif callable(handler):
            self._handlers[event] = handler
        else:
            _refuse("handler")

    def config(self, params):
        """Change the configuration; it applies from the next `connect()` on.

        `params`: dict; the keys that it lacks stay as they are. Raises `ValueError` that names an
        unknown key or a wrong value, and then changes nothing; `TypeError` for no dict;
        `ImportError` for `compression` without `uwebsocket_deflate`.
        """
        self._config = load("config").update(self._config, params, load)

    def connect(self, url):
        """Begin to connect; "connection" or "close" tells the outcome.

        `url`: "ws://host:port/path?query" (RFC 6455 3). Only the DNS look-up blocks. Raises
        `OSError(EALREADY)` unless the client is closed or waits to reconnect, `TypeError`
        for a URL that is no `str`.
        """
        if not isinstance(url, str):
            _refuse("url")
        owner = self._owner
        try:
            self._owner = _METHOD
            if owner >= _METHOD or self._state not in (_CLOSED, _WAITING):
                raise OSError(errno.EALREADY, "connect")
            self._noted = None
            self._url = url
            self._options = self._config
            self._tries = self._at = 0
            self._addresses = None
            self._open()
        finally:
            self._owner = owner
            if owner < _METHOD:
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
            self._send(message, opcode, fin)
        finally:
            self._owner = owner
            if owner < _METHOD:
                self._settle()

    def poll(self, timeout_ms=0):
        """Do what is due, and wait for events up to `timeout_ms` milliseconds, below 0 until one comes.

        Returns True while the client is alive, False once it is closed and all is told. Returns
        as soon as something was handled, at once if the background has handled something since the last call.
        Called by a callback while a method runs, it does nothing. What a handler raises comes out here. Raises
        `RuntimeError` in a handler of this client that asks it to wait.
        """
        owner = self._owner
        try:
            if owner or _loading:
                if owner == _HANDLER and timeout_ms:
                    raise RuntimeError("poll: a handler cannot wait")
                self._asked = True
                return True
            self._owner = _METHOD
            if self._news:
                timeout_ms = 0
            alive = self._turn(timeout_ms)
            self._news = False
            return alive
        finally:
            self._owner = owner
            if not owner:
                self._settle()

    def serve(self):
        """Poll for the background; return whether the client is alive."""
        owner = self._owner
        try:
            if owner or _loading:
                self._asked = True
                return True
            self._owner = _METHOD
            return self._turn(0)
        finally:
            self._owner = owner
            if not owner:
                self._settle()

    def waits_for(self):
        """Return `(pollable, flags, ms)`: what to wait for, and how long, until `poll(0)` has something to do.

        `pollable`: for a poll object, or `None` where there is only the clock; `flags`: its poll mask; `ms`: at
        most so long, below 0 for ever.
        """
        if self._ended or self._unmade or self._news or self._noted is not None:
            return None, 0, 0
        connection = self._connection
        if connection is None:
            return None, 0, max(self._left(), 0) if self._state == _WAITING else -1
        left = 0 if connection.ready else max(self._left(), 0)
        if connection.pollable is None:
            return None, 0, left
        return connection.pollable, connection.mask(), left

    def close(self, code=1000, reason=""):
        """Close the connection, or give up opening it; "close" then tells 0 (RFC 6455 7.1).

        `code`: 1000 to 1003, 1007 to 1014 or 3000 to 4999; `reason`: at most 123 bytes of UTF-8.
        Does not block; nothing happens when not connected. Raises `ValueError` for other arguments.
        """
        payload = b"\x03\xe8"
        if code != 1000 or reason != "":
            payload = load("errors").close_payload(code, reason)
        self._noted = payload
        if self._owner < _METHOD:
            self._settle()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._owner:
            raise RuntimeError("with: a handler cannot wait")
        self.close()
        end = ticks_add(ticks_ms(), self._options[_CLOSE_TIMEOUT])
        while self.poll(100) and ticks_diff(end, ticks_ms()) > 0:
            pass

    # ---- states

    def _enter(self, state):
        if not _MAY_FOLLOW[self._state] >> state & 1:
            raise RuntimeError(state)
        if self._state != _CLOSING:  # the time to close is counted from its first step
            timeout = self._options[_CONNECT_TIMEOUT if state == _OPENING else _CLOSE_TIMEOUT]
            self._deadline = ticks_add(ticks_ms(), timeout)
        self._state = state
        self.connected = state == _OPEN

    def _left(self):
        # ms until the deadline of the state
        now = ticks_ms()
        if self._state != _OPEN:
            return ticks_diff(self._deadline, now)
        interval = self._options[_PING_INTERVAL]
        if interval == _LONG:
            return interval
        connection = self._connection
        return interval - max(ticks_diff(now, connection.got_ms), ticks_diff(now, connection.sent_ms))

    def _settle(self):
        # A method ends: what callbacks asked for meanwhile is done now. What the background could not do, it does soon.
        owner = self._owner
        while self._noted is not None:
            try:
                self._owner = _METHOD
                payload = self._noted
                self._noted = None
                self._close(payload)
            finally:
                self._owner = owner
        connection = self._connection
        if owner == _WAIT:
            if connection is not None and connection.poller is not None:
                # poll() goes on waiting, for what has changed
                connection.poller.modify(connection.pollable, connection.mask())
        elif not owner and (self._asked or self._ended or self._unmade or connection is not None and connection.ready):
            self._asked = False
            if "uwebsocket_board" in modules:
                modules["uwebsocket_board"].wake()
            elif self._options[_BACKGROUND] is not False and hasattr(machine, "Timer"):
                try:
                    schedule(_serve, self)
                except RuntimeError:  # the queue is full
                    pass

    # ---- how a connection begins and ends

    def _open(self):
        # Begins an attempt.
        try:
            self._clear()
            try:
                connection = Connection()
            except MemoryError:
                connection = None
            self._connection = connection
            self._enter(_OPENING)
            if connection is None:
                self._end(-101)
                return
            if hasattr(machine, "Timer"):  # a PC has none
                load("board", True).start(self)
            headers = self._options[_HEADERS]
            if callable(headers):
                headers = load("config").check_headers(headers())
            connection.headers = headers or {}
            if self._noted is None and not _loading:  # else the next poll() begins
                self._run()
            if self._connection is connection:
                connection.ready = True  # the background looks at once, for nothing may come
        except MemoryError as error:
            self._lost(error)
        except BaseException:
            self._end(-199)
            raise

    def _close(self, payload):
        # The user closes.
        if self._state == _WAITING:
            self._enter(_CLOSED)
            return
        connection = self._connection
        if connection is None:
            return
        connection.status = 0
        if self._state == _OPENING:
            self._end(0)
        elif self._state == _OPEN:
            self._enter(_CLOSING)
            connection.output.close = payload
            self._push()

    def _end(self, status):
        # The connection is over: poll() will tell "close". Needs no memory, and changes nothing when called again.
        connection = self._connection
        opening = self._state == _OPENING
        if connection is None:
            if not opening:
                return
        elif connection.status is None:
            connection.status = status
        else:
            status = connection.status
        state = _CLOSED
        deadline = 0
        if self._options[_RECONNECT] and status < -4:
            state = _WAITING
            deadline = ticks_add(ticks_ms(), self._delay(connection))
        # No jump in what follows, at which Ctrl-C could come: all of it happens or nothing.
        if connection is None:
            self._unmade += 1
            self._state = state
            self._deadline = deadline
        else:
            connection._ended = self._ended
            self._ended = connection
            self._connection = None
            self._state = state
            self._deadline = deadline
            self.connected = False
            connection.shut()
            if opening:
                self._at += 1
                self._addresses = None

    def _delay(self, connection):
        # ms until the next attempt: at random between reconnect_min_ms and a limit that doubles with each
        # attempt, up to reconnect_max_ms. After a connection that stood for as long as that it begins anew.
        least = self._options[_RECONNECT_MIN]
        most = self._options[_RECONNECT_MAX]
        opened = connection and connection.opened_ms
        # below 0: it stood for longer than ticks_diff can tell
        if opened is not None and not 0 <= ticks_diff(ticks_ms(), opened) < most:
            self._tries = 0
        self._tries = min(self._tries + 1, 29)
        most = min(max(least, 1) << self._tries, most)
        try:
            return least + ((most - least) * os.urandom(1)[0] >> 8)
        except MemoryError:
            return most

    def _tell(self):
        # Tells "close" of the connection that ended first.
        handler = self._handlers.get("close", _ignore)
        holder = self
        status = -101
        if not self._unmade:
            while holder._ended._ended is not None:
                holder = holder._ended
            holder._ended.shut()
            status = holder._ended.status
        # No jump, at which Ctrl-C could lose the event, from taking it to its handler.
        if self._unmade:
            self._unmade -= 1
            self._owner = _HANDLER
            handler(self, status)
        else:
            holder._ended = None
            self._owner = _HANDLER
            handler(self, status)
        self._owner = _METHOD

    def _lost(self, error):
        # The network stack, or a phase of opening, raised an error.
        connection = self._connection
        status = _status_of(error)
        if isinstance(error, OSError):
            self.errno = error.errno
        if self._state == _OPENING:
            if connection.doing == "TLS":
                if not isinstance(error, MemoryError):
                    status = -128
                    try:
                        self.error = self.error or str(error).strip()
                    except MemoryError:
                        pass
            elif status == -161:
                status = -128
            elif status == -109 and not connection.heard:
                status = -111  # lwIP tells a refused connection as a reset
        self._end(status)

    def _fail(self, status):
        # What the server sent, or a lack of memory, ends the connection.
        connection = self._connection
        if self._state not in (_OPEN, _CLOSING):
            self._end(status)
            return
        if connection.status is None:
            connection.status = status
            connection.output.close = _close_payload(status)
        self._discard()

    def _discard(self):
        # Close frames are exchanged, or nothing more is wanted: what comes is thrown away.
        self._connection.task = None
        self._enter(_ENDING)
        self._push()

    # ---- sending

    def _send(self, message, opcode, fin):
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
                view = load("errors").bytes_of(message)  # items of more than a byte
        if opcode is None:
            opcode = kind
        connection = self._connection
        text = self._check(view, message, kind, opcode, fin)
        if self._state != _OPEN:
            raise OSError(errno.ENOTCONN, "send")

        output = connection.output
        if opcode > _CLOSE:
            text = connection.text
        elif fin:
            text = None
        begun = False
        try:
            end = ticks_add(ticks_ms(), self._options[_SEND_TIMEOUT])
            self._drain(connection, end, output.push)  # a control frame may be waiting
            output.more = begun = True
            how = output.begin(opcode | _FIN if fin else opcode, len(view), connection.room)
            done = output.fill(view, 0, how)
            self._drain(connection, end, output.flush)
            while done < len(view):
                done += output.fill(view, done, how)
                self._drain(connection, end, output.flush)
            connection.text = text
            connection.sent_ms = ticks_ms()
        except BaseException as error:
            if self._connection is connection and self._state == _OPEN:
                if output.unsure:
                    self._end(-199)
                elif begun:
                    if not output.more and output.start >= output.end:
                        connection.text = text  # all of it is out
                    elif output.torn:
                        self._end(-199)
                    else:
                        output.drop()
                        if isinstance(error, MemoryError):
                            self._fail(-16)
            raise

    def _check(self, view, message, kind, opcode, fin):
        # Refuses what RFC 6455 forbids to send; returns what is to be known of the text that goes on.
        n = len(view)
        wrong = None
        text = self._connection and self._connection.text
        if opcode not in (_CONTINUATION, TEXT, BINARY, _PING, _PONG):
            wrong = "opcode"
        elif opcode > _CLOSE:
            if n > 125 or not fin:
                wrong = "send"
        elif self._state == _OPEN:
            if (text is None) == (opcode == _CONTINUATION):
                wrong = "fin"
            else:
                if opcode:
                    text = 0 if opcode == TEXT else -1
                # a str is UTF-8 already, but on MicroPython it may hold surrogates
                if text > 0 or text == 0 and (kind == BINARY or len(message) != n):
                    text = utf8(view, 0, n, text)
                    if text < 0 or fin and text:
                        wrong = "text"
        if wrong:
            _refuse(wrong, opcode)
        return text

    def _drain(self, connection, end, write):
        # Writes, for send(), and waits for room until `end`. Raises an OSError when that ends the connection.
        waited = False
        try:
            while not write():
                wait = ticks_diff(end, ticks_ms())
                if wait <= 0:
                    self._end(-103)
                    raise OSError(errno.ETIMEDOUT, "send")
                if waited:
                    sleep_ms(1)  # lwIP shows room after a FIN, and takes nothing
                waited = True
                connection.wait(_POLLIN | _POLLHUP if connection.held else _POLLOUT | _POLLHUP, wait)
        except (OSError, ValueError) as error:
            if self._connection is connection:
                self._broken(error)
                raise OSError(errno.ENOTCONN, "send")
            raise
        if waited:
            connection.ready = True

    def _push(self):
        # Writes what waits, as far as there is room, never waits itself.
        connection = self._connection
        try:
            connection.output.push()
        except MemoryError:
            pass  # it waits on
        except (OSError, ValueError) as error:
            self._broken(error)
        except BaseException:
            if self._connection is connection:
                self._end(-199)
            raise

    def _broken(self, error):
        # Writing has failed. What the server had sent before, above all why it closed, is still read.
        if self._state != _OPEN:
            self._lost(error)
            return
        connection = self._connection
        connection.status = _status_of(error)
        if isinstance(error, OSError):
            self.errno = error.errno
        connection.output.stop()
        connection.ready = True
        self._enter(_BROKEN)
        self._deadline = ticks_ms()

    # ---- what poll() does

    def _turn(self, timeout_ms):
        # Does what is due, and waits, until something was handled or the time is over. Returns whether the client is alive.
        end = ticks_add(ticks_ms(), min(max(timeout_ms, 0), _LONG))
        try:
            while True:
                if self._noted is not None:
                    self._settle()
                if self._ended or self._unmade:
                    self._news = True
                    self._tell()
                    break
                if self._state == _CLOSED:
                    break
                wait = _SLICE if timeout_ms < 0 else ticks_diff(end, ticks_ms())
                connection = self._connection
                self._wait(connection, wait)
                if self._connection is connection and self._work(connection):
                    self._news = True
                    break
                if wait <= 0:
                    break
        except BaseException:
            if self._owner == _CRITICAL:
                self._end(-199)
            raise
        return self._state != _CLOSED or self._ended is not None or self._unmade > 0

    def _wait(self, connection, wait):
        # Waits at most so many ms, for what the connection needs now; meanwhile callbacks may use the client.
        if connection is not None and connection.ready:
            return
        wait = max(min(wait, self._left(), _SLICE), 0)
        flags = connection and connection.mask()
        self._owner = _WAIT
        if connection is None:
            sleep_ms(wait)
        else:
            connection.wait(flags, wait)
        self._owner = _METHOD

    def _work(self, connection):
        # Does what the network and the clock ask for; True if something was handled.
        handled = False
        self._owner = _CRITICAL
        if connection is not None and connection.ready:
            connection.budget = _BUDGET
            if connection.output is not None and connection.output.waiting():
                self._push()
            handled = self._run()
            if connection.budget != _BUDGET:
                connection.pings = 0
                connection.got_ms = ticks_ms()
        if self._connection is connection and self._left() <= 0:
            handled = self._due(connection) or handled
        self._owner = _METHOD
        return handled

    def _due(self, connection):
        # The deadline of the state has passed; True if something was handled.
        state = self._state
        if state == _WAITING:
            # no attempt while the Wi-Fi is down
            board = modules.get("uwebsocket_board")
            if board and not board.link_is_up():
                self._deadline = ticks_add(ticks_ms(), _WIFI_MS)
            else:
                self._open()
        elif state == _OPENING:
            if self._run():  # it may have another address to try
                return True
            if self._connection is connection and self._left() <= 0:
                self.error = connection.doing
                try:
                    self.error = "time-out: " + connection.doing
                except MemoryError:
                    pass
                self._end(-18)
        elif state == _OPEN:
            if connection.ready:  # silence is judged when all is read
                return False
            if connection.pings < self._options[_PING_LIMIT]:
                connection.pings += 1
                connection.got_ms = connection.sent_ms = ticks_ms()
                connection.output.ping = True
                self._push()
            else:
                self._fail(-19)
                self._end(-19)
        elif not (connection.ready and state == _BROKEN):
            self._end(-99)
        return False

    def _run(self):
        # Lets what reads go on until it waits; True if something was handled.
        connection = self._connection
        handled = False
        try:
            while self._connection is connection and self._state != _ENDING:
                connection.ready = True
                event = self._step(connection)
                if not event:
                    if self._state == _OPENING:
                        connection.ready = False
                    return handled
                handled = True
                if event < 0:
                    self._fail(event)
                else:
                    self._take(connection, event)
            if self._connection is connection:
                self._throw_away(connection)
            return handled
        except (MemoryError, OSError, EOFError, ValueError) as error:
            if self._owner < _METHOD:
                raise  # it is a handler's
            if isinstance(error, MemoryError) and self._state == _OPEN:
                self._fail(-8)
            else:
                self._lost(error)
        return True

    def _step(self, connection):
        # One step of what reads: the phases of opening, then the receiver. Returns what it yields.
        while True:
            if connection.task is not None:
                try:
                    return next(connection.task)
                except StopIteration:
                    connection.task = None
            if connection.phase == len(_PHASES):
                return _OPENED
            name = _PHASES[connection.phase]
            connection.phase += 1
            if name != "tls" or connection.target[0]:
                connection.task = load(name).phase(self, connection, load)

    def _take(self, connection, event):
        # Handles an event. A method of its own, for the frame of a caller would keep the message from the garbage
        # collector while the next one needs room. No jump, at which Ctrl-C could lose the message, from the change
        # of the owner to the handler.
        if event == _OPENED:
            self._opened(connection)
            handler = self._handlers.get("connection", _ignore)
            self._owner = _HANDLER
            handler(self)
            self._owner = _CRITICAL
            return
        content = next(connection.task)
        if event == _CLOSE:
            self._closed(connection, content)
        elif event == _PING:
            if self._state == _OPEN:
                connection.output.pong = content
                self._push()
        elif event == _HEADER:
            handler = self._handlers.get("header", _ignore)
            self._owner = _HANDLER
            handler(self, content[0], content[1])
            self._owner = _CRITICAL
        elif event & _PART:
            handler = next(connection.task)
            if self._state != _CLOSING:
                final = event & _LAST == _LAST
                self._owner = _HANDLER
                handler(self, content, event & _OPCODE, final)
                self._owner = _CRITICAL
        elif self._state != _CLOSING:
            if event == _PONG:
                handler = self._handlers.get("pong", _ignore)
                self._owner = _HANDLER
                handler(self, content)
            else:
                handler = self._handlers.get("receive", _ignore)
                self._owner = _HANDLER
                handler(self, content, event)
            self._owner = _CRITICAL

    def _opened(self, connection):
        # The handshake has succeeded.
        gc.collect()
        connection.output = Output(connection.sock, connection.sock is not connection.raw)
        connection.task = receiver(connection.read, self._handlers, self._options[_MAX_MESSAGE])
        if platform == "esp8266":
            connection.room = _SEGMENT if connection.sock is connection.raw else _RECORD
        elif not hasattr(gc, "mem_free") or gc.mem_free() > _PLENTY_FREE:
            connection.room = _PLENTY
        else:
            connection.room = _RECORD if platform == "esp32" else _SEGMENT
        connection.got_ms = connection.sent_ms = connection.opened_ms = ticks_ms()
        self._enter(_OPEN)

    def _closed(self, connection, content):
        # A Close frame has come.
        if self._state != _CLOSING:
            connection.status = -6
        self.close_code = content[0] << 8 | content[1] if content else 1005
        self.close_reason = str(content[2:], "utf8")
        if self._state == _BROKEN:
            self._end(-6)
        else:
            if self._state == _OPEN:
                connection.output.close = content[:2]
            self._discard()

    def _throw_away(self, connection):
        # Reads what comes after the Close frames, until the server closes TCP.
        try:
            if connection.output.start < connection.output.end:
                connection.ready = False
            else:
                while connection.read(connection.output.scratch, 0, _SCRATCH):
                    pass
        except (OSError, EOFError, ValueError):
            self._end(-99)


createClient = WebSocketClient  # NodeMCU's name

if not _keep:
    # The names in these modules stay when they go: take them in now, at the low end of the heap. And a module that is
    # missing is missed at once.
    for _name in ("url", "connect", "request", "reply"):
        load(_name)
    gc.collect()
