# _wsboard: clients in the background of a board. MIT licence, see LICENSE.
"""What only a board has: a scheduler, a socket that calls back, Wi-Fi; with `_wstimer`, a timer.

Imported by the first `connect()` where `machine` has a `Timer`, and kept. The timer and the socket callback
are hints, both may be lost: each only schedules a `_serve()` of all clients that run in the
background, and one that comes while a client is busy does nothing.
"""

import sys

from micropython import const, schedule
from uwebsocket_client import ticks_diff, ticks_ms, usocket

_BACKGROUND = const(13)  # index of the option, see KEYS in _wsconfig

_HANDLER = const(2)  # an owner, as in uwebsocket_client

# Those that run in the background and are not closed. Changed in place, for a callback may change it meanwhile too.
_clients = []
timer = None  # the module _wstimer, once a client has wanted a period
_scheduled = False

if sys.platform == "esp32":
    from uwebsocket_client import load

    isconnected = load(__name__[:3] + "network", True).isconnected  # a literal would be a name more
    del load
else:

    def isconnected():
        """Return False where the network has no link: a Wi-Fi station without one, and no access point instead."""
        try:
            import network

            station = network.WLAN(network.STA_IF)
            if station.active() and not station.isconnected():
                return network.WLAN(network.AP_IF).active()
        except (ImportError, AttributeError, OSError):
            pass
        return True


def step(ws, connection, load):
    """Begin an attempt: let the client `ws` run in the background if it is configured so, else no longer.

    This comes before all that goes again, so that what stays lies at the low end of the heap. Raises `ValueError` for
    a timer that the board does not have; the attempt has then ended with -199.
    """
    global timer
    connection.step = "_wsurl"
    background = ws._options[_BACKGROUND]
    if background is False:
        if ws in _clients:
            _clients.remove(ws)
    elif ws not in _clients:
        _clients.append(ws)
    # on an ESP8266 only for a period that was given: _wstimer says why
    if not (timer or background is False or background is True and sys.platform == "esp8266"):
        timer = load(__name__[:3] + "Timer".lower(), True)  # a literal would be a name more
    if timer:
        try:
            timer.update(_clients[:], True)
        except ValueError:
            _clients.remove(ws)
            ws._owner = _HANDLER  # it is the program's, as what a handler raises
            ws._end(-199)
            raise


def register(ws, connection):
    """Let the data of the new socket of `connection` wake the background, where the port can.

    Without a timer nothing would tell that TCP is connected, so this waits for it, at most
    until the deadline of the client.
    """
    if ws not in _clients:
        return
    try:
        connection.raw.setsockopt(usocket.SOL_SOCKET, 20, wake)
    except (AttributeError, OSError, TypeError, ValueError):
        pass
    if not (timer and timer.timer):
        connection.wait(connection.mask(), max(0, ticks_diff(ws._deadline, ticks_ms())))


def wake(arg=None):
    """Have all clients served soon. May be called from an interrupt. `arg`: the socket that calls."""
    global _scheduled
    if _clients and not _scheduled:
        _scheduled = True
        try:
            schedule(_serve, 0)
        except RuntimeError:  # the queue is full: the next tick or packet tries again
            _scheduled = False


def _serve(_):
    global _scheduled
    _scheduled = False
    ended = False
    i = 0
    while i < len(_clients):
        ws = _clients[i]
        alive = True
        try:
            alive = ws._serve()
        except BaseException as error:
            sys.print_exception(error)
        if ws in _clients:  # its handlers may have taken it out, or others before it
            i = _clients.index(ws)
            if alive:
                i += 1
            else:
                _clients.remove(ws)
                ended = True
    if timer:
        timer.update(_clients, ended)
