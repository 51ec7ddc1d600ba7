# _wsconnect: from a host name to a TCP connection. MIT licence, see LICENSE.
"""DNS and TCP, one step at a time.

Loaded when the URL is taken apart, and let go again, see `_wsurl`.
"""

import gc
from sys import platform

from micropython import const
from uwebsocket_client import _board, errno, ticks_add, ticks_diff, ticks_ms, uselect, usocket

_RECONNECT = const(9)  # index of the option, see KEYS in _wsconfig

# Payload bytes of one write, multiples of what is masked at once: where the heap has plenty; one TCP segment
# with the header; where segments are a little smaller (ESP32), and what one record of axTLS holds
_PLENTY = const(3872)
_SEGMENT = const(1452)
_RECORD = const(968)
_PLENTY_FREE = const(49152)
_PLENTY_FREE_ESP32 = const(24576)


def _addresses(ws, host, port):
    # What DNS finds, or the status.
    # The ESP32 is not asked where DNS is not needed: connect() raises at once there.
    known = ws._addresses or platform == "esp32" and host.replace(b".", b"").isdigit()
    if _board and not (known and platform == "esp32") and not _board.isconnected():
        ws.error = "the Wi-Fi is down"
        return -104
    if ws._addresses:
        return ws._addresses
    host = host.decode()
    try:
        # the ESP32 lists IPv6 results without an address
        found = [info for info in usocket.getaddrinfo(host, port, 0, usocket.SOCK_STREAM) if info[4]]
    except OSError as error:
        ws.errno = error.errno if isinstance(error.errno, int) else None
        found = ()
    if found:
        return found
    ws.error = "DNS did not find " + host
    return -5


def _begin(ws, connection, info):
    # Begins to connect to an address as getaddrinfo() tells it.
    connection.socket = connection.raw = sock = usocket.socket(info[0], info[1])
    sock.setblocking(False)
    if platform != "esp8266":
        # There a server that resets at the right moment would crash the board (in all versions that have the
        # option, 1.23 and later): lwIP waits in C for room in its send queue, which 8 small segments fill, and
        # goes on without a connection. With Nagle's algorithm the queue never fills, and a frame of one
        # segment waits for nothing.
        try:
            # IPPROTO_TCP and TCP_NODELAY, which not every port names. Before connect(), for after a reset it
            # would raise.
            sock.setsockopt(6, 1, 1)
        except OSError:
            pass
    try:
        sock.connect(info[4])
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            raise
    connection.poller = poller = uselect.poll()
    connection.pollable = sock
    connection.flags = connection.mask()
    poller.register(sock, connection.flags)  # with HUP, for the ESP32 to show a failure
    poller.ipoll(0)  # makes the tuple that it gives each time, before there is something to wait for
    if _board:
        _board.register(ws, connection)


def step(ws, connection, load):
    """Connect to the host of the URL by TCP; a generator.

    The first step does all that may block: DNS, and on an ESP8266 in the background TCP. Yields 0 when there is
    nothing to do until the poller or the clock moves, or the status (below 0). Raises `OSError` of the network,
    `EOFError`.

    Of several addresses each has its share of the time.
    """
    if isinstance(connection.args, int):
        yield connection.args
        return
    connection.doing = "time-out: DNS"
    found = _addresses(ws, connection.args[1], connection.args[2])
    if isinstance(found, int):
        yield found
        return
    gc.collect()
    connection.doing = "time-out: TCP"
    limit = ws._deadline
    left = len(found)
    first = 0 if ws._addresses else ws._tries - 1  # after a failure with another one than before
    while True:
        at = (first + len(found) - left) % len(found)
        ws._deadline = ticks_add(ticks_ms(), max(ticks_diff(limit, ticks_ms()), 0) // left)
        try:
            _begin(ws, connection, found[at])
            yield 0
            flags = 0
            while not flags:
                for _, flags in connection.poller.ipoll(0):
                    pass
                if not flags:
                    if left > 1 and ticks_diff(ws._deadline, ticks_ms()) <= 0:
                        raise OSError(errno.ETIMEDOUT, "")
                    yield 0
            if flags & ~uselect.POLLOUT:
                # raises what made TCP fail, which poll shows in a different way on each port
                flags = connection.raw.read(1)
                if flags:
                    ws.error = "the server spoke first"
                    yield -7
                    return
                if flags is not None:
                    raise EOFError
            break
        except OSError as error:
            left -= 1
            if not left:
                ws._deadline = limit
                raise
            ws.errno = error.errno
            connection.release()
    ws._deadline = limit
    ws.errno = None
    if ws._options[_RECONNECT]:
        ws._addresses = found[at:] + found[:at]
    tls = connection.args[0]
    connection.maxsize = _SEGMENT
    if platform == "esp8266":
        if tls:
            connection.maxsize = _RECORD
    elif not hasattr(gc, "mem_free") or gc.mem_free() > (_PLENTY_FREE_ESP32 if platform == "esp32" else _PLENTY_FREE):
        connection.maxsize = _PLENTY
    elif platform == "esp32":
        connection.maxsize = _RECORD
    connection.step = "_wstls" if tls else "_wsrequest"
