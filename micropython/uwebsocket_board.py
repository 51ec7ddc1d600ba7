# uwebsocket_board: clients in the background of a board. MIT licence, see LICENSE.
"""What only a board has: a timer, a scheduler, a socket that calls back, Wi-Fi.

Imported by the first `connect()` where `machine` has a `Timer`. The timer and the socket callback
are hints, both may be lost: each only schedules a `poll()` of all clients that run in the
background, and one that comes while a client is busy does nothing.
"""

import sys

import machine
import usocket
from micropython import const, schedule
from utime import ticks_diff, ticks_ms

# Indices of the options, see KEYS in uwebsocket_config
_BACKGROUND = const(13)
_TIMER = const(14)

_PERIOD_MS = const(50)

_clients = ()  # those that run in the background and are not closed
_timer = None
_period = 0
_scheduled = False


def link_is_up():
    """Return False where a Wi-Fi station is in use without a link, and no access point instead."""
    try:
        import network

        station = network.WLAN(network.STA_IF)
        if station.active() and not station.isconnected():
            return network.WLAN(network.AP_IF).active()
    except (ImportError, AttributeError, OSError):
        pass
    return True


def _start_timer(period, number):
    global _timer, _period
    if _timer is not None:
        if period < _period:
            _timer.init(period=period, mode=machine.Timer.PERIODIC, callback=wake)
            _period = period
        return
    # Virtual timers come with MicroPython 1.29 on the ESP32; before, the hardware timers are
    # tried from the last, the C3 has two. The ESP8266 takes any number.
    for one in (-1, 3, 2, 1, 0) if number is None else (number,):
        try:
            timer = machine.Timer(one)
            timer.init(period=period, mode=machine.Timer.PERIODIC, callback=wake)
        except ValueError:
            pass
        else:
            _timer = timer
            _period = period
            return
    raise ValueError("config: this board has no timer {}".format(number))


def _forget(ws):
    # a tuple, for a handler may change it while _serve() goes through it
    global _clients
    _clients = tuple([other for other in _clients if other is not ws])


def start(ws):
    """Let the client `ws` run in the background if it is configured so.

    Returns whether the network can be used: False while the Wi-Fi is down.
    Raises `ValueError` for a timer that the board does not have.
    """
    global _clients
    _forget(ws)
    period = ws._options[_BACKGROUND]
    if period is not False:
        # A Timer of the ESP8266 is not stopped by a soft reset and then writes into memory that
        # is in other use, so there the socket callback alone serves unless a period was given.
        if sys.platform != "esp8266" or period is not True:
            _start_timer(_PERIOD_MS if period is True else period, ws._options[_TIMER])
        _clients += (ws,)
    return link_is_up()


def watch(ws):
    """Let the data of the new socket of `ws` wake the background, where the port can.

    Without a timer nothing would tell that TCP is connected, so this waits for it, at most
    `connect_timeout_ms`. Returns whether it did.
    """
    if ws not in _clients:
        return False
    try:
        ws._sock.setsockopt(usocket.SOL_SOCKET, 20, wake)
    except (AttributeError, OSError, TypeError, ValueError):
        pass
    if _timer is not None:
        return False
    for _ in ws._poller.ipoll(max(0, ticks_diff(ws._deadline, ticks_ms()))):
        pass
    return True


def wake(_=None):
    """Have all clients polled soon. May be called from an interrupt."""
    global _scheduled
    if _clients and not _scheduled:
        _scheduled = True
        try:
            schedule(_serve, 0)
        except RuntimeError:  # the queue is full: the next tick or packet tries again
            _scheduled = False


def _serve(_):
    global _scheduled, _timer
    _scheduled = False
    for ws in _clients:
        try:
            alive = ws.poll()
        except BaseException as error:
            sys.print_exception(error)
            alive = True
        if not alive:
            _forget(ws)
    if not _clients and _timer is not None:
        _timer.deinit()
        _timer = None
