# uwebsocket_board: clients in the background of a board. MIT licence, see LICENSE.
"""What only a board has: a timer, a scheduler, a socket that calls back, Wi-Fi.

Imported by the first `connect()` where `machine` has a `Timer`, and kept. The timer and the socket callback
are hints, both may be lost: each only schedules a `serve()` of all clients that run in the
background, and one that comes while a client is busy does nothing.
"""

import errno
import sys

import machine
import usocket
from micropython import const, schedule
from utime import ticks_diff, ticks_ms

# Indices of the options, see KEYS in uwebsocket_config
_BACKGROUND = const(13)
_TIMER = const(14)

_PERIOD_MS = const(50)
_LOST_MS = const(1000)  # without a tick for so long, and for 4 periods, the timer is taken away

_clients = ()  # those that run in the background and are not closed
_timer = None
_number = None  # which timer was asked for
_period = 0
_ticked_ms = 0
_scheduled = False


def isconnected():
    """Return False where the network has no link: a Wi-Fi station without one, and no access point instead."""
    if sys.platform == "esp32":
        # To ask for the station would start the Wi-Fi driver, on a board with Ethernet too. But without a link lwIP
        # refuses to send anything: an empty datagram to an address for documentation (RFC 5737), port 9 (discard).
        try:
            sock = usocket.socket(usocket.AF_INET, usocket.SOCK_DGRAM)
            try:
                sock.sendto(b"", ("192.0.2.1", 9))
            finally:
                sock.close()
        except OSError as error:
            return error.errno not in (errno.EHOSTUNREACH, 114)  # 114: ENETUNREACH
        return True
    try:
        import network

        station = network.WLAN(network.STA_IF)
        if station.active() and not station.isconnected():
            return network.WLAN(network.AP_IF).active()
    except (ImportError, AttributeError, OSError):
        pass
    return True


def _adjust():
    # Starts, stops or changes the timer for the clients that there are.
    global _timer, _number, _period, _ticked_ms
    period = 0
    number = None
    for ws in _clients:
        wanted = ws._options[_BACKGROUND]
        if wanted is True:
            # A Timer of the ESP8266 is not stopped by a soft reset and then writes into memory that is in other use
            # (all versions), so there the socket callback alone serves unless a period was given.
            wanted = 0 if sys.platform == "esp8266" else _PERIOD_MS
        if wanted:
            period = min(period or wanted, wanted)
            if ws._options[_TIMER] is not None:
                number = ws._options[_TIMER]
    if _timer is not None:
        if not period or number not in (None, _number):
            _timer.deinit()
            _timer = None
        elif period == _period and ticks_diff(ticks_ms(), _ticked_ms) <= max(_LOST_MS, 4 * period):
            return  # else the program may have used and stopped the same timer
    _period = period
    if not period:
        return
    # Virtual timers come with MicroPython 1.29 on the ESP32; before, the hardware timers are
    # tried from the last, the C3 has two. The ESP8266 takes any number.
    for one in (-1, 3, 2, 1, 0) if number is None else (number,):
        try:
            if _timer is None:
                _timer = machine.Timer(one)
                _number = number
            _ticked_ms = ticks_ms()
            _timer.init(period=period, mode=machine.Timer.PERIODIC, callback=wake)
            return
        except ValueError:
            _timer = None
    raise ValueError("config: this board has no timer {}".format(number))


def start(ws):
    """Let the client `ws` run in the background if it is configured so, else no longer.

    Raises `ValueError` for a timer that the board does not have.
    """
    global _clients
    before = _clients
    clients = tuple([other for other in before if other is not ws])
    if ws._options[_BACKGROUND] is not False:
        clients += (ws,)
    _clients = clients
    try:
        _adjust()
    except ValueError:
        _clients = tuple([other for other in clients if other is not ws])
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
    if _timer is None:
        connection.wait(connection.mask(), max(0, ticks_diff(ws._deadline, ticks_ms())))


def wake(arg=None):
    """Have all clients served soon. May be called from an interrupt. `arg`: the timer, or the socket, that calls."""
    global _scheduled, _ticked_ms
    if arg is not None and arg is _timer:
        _ticked_ms = ticks_ms()
    if _clients and not _scheduled:
        _scheduled = True
        try:
            schedule(_serve, 0)
        except RuntimeError:  # the queue is full: the next tick or packet tries again
            _scheduled = False


def _serve(_):
    global _clients, _scheduled
    _scheduled = False
    ended = False
    for ws in _clients:
        try:
            alive = ws.serve()
        except BaseException as error:
            sys.print_exception(error)
            alive = True
        ended = ended or not alive
    if ended:
        _clients = tuple([ws for ws in _clients if ws._state or ws._ended or ws._unmade])
    if ended or _timer is not None and ticks_diff(ticks_ms(), _ticked_ms) > max(_LOST_MS, 4 * _period):
        _adjust()
