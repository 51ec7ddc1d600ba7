# _wstimer: the timer of the background. MIT licence, see LICENSE.
"""Serves the clients in the background at a period.

Loaded by `_wsboard` for the first client that wants one, and kept. An ESP8266 does without: a Timer there is
not stopped by a soft reset and then writes into memory that is in other use (all versions), so the socket callback
alone serves unless a period was given.
"""

from sys import platform

import machine
from _wsboard import wake
from micropython import const
from uwebsocket_client import ticks_diff, ticks_ms

# Indices of the options, see KEYS in _wsconfig
_BACKGROUND = const(13)
_TIMER = const(14)

_PERIOD_MS = const(50)
_LOST_MS = const(1000)  # without a tick for so long, and for 4 periods, the timer is taken away

timer = None  # the one that runs
_number = None  # which one was asked for
_period = 0
_ticked_ms = 0


def _tick(one):
    global _ticked_ms
    if one is timer:
        _ticked_ms = ticks_ms()
    wake()


def update(clients, changed):
    """Start, stop or change the timer for the clients that there are.

    `changed`: whether they are others than before; else this is done only where the timer does not tick although it
    should, for the program may have used and stopped the same one. Raises `ValueError` for a timer that the board does
    not have.
    """
    global timer, _number, _period, _ticked_ms
    lost = timer is not None and ticks_diff(ticks_ms(), _ticked_ms) > max(_LOST_MS, 4 * _period)
    if not (changed or lost):
        return
    period = 0
    number = None
    for ws in clients:
        wanted = ws._options[_BACKGROUND]
        if wanted is True:
            wanted = 0 if platform == "esp8266" else _PERIOD_MS
        if wanted:
            period = min(period or wanted, wanted)
            if ws._options[_TIMER] is not None:
                number = ws._options[_TIMER]
    if timer is not None:
        if not period or number not in (None, _number):
            timer.deinit()
            timer = None
        elif period == _period and not lost:
            return
    _period = period
    if not period:
        return
    # Virtual timers come with MicroPython 1.29 on the ESP32; before, the hardware timers are
    # tried from the last, the C3 has two. The ESP8266 takes any number.
    for one in (-1, 3, 2, 1, 0) if number is None else (number,):
        try:
            if timer is None:
                timer = machine.Timer(one)
                _number = number
            _ticked_ms = ticks_ms()
            timer.init(period=period, mode=machine.Timer.PERIODIC, callback=_tick)
            return
        except ValueError:
            timer = None
    raise ValueError("config: this board has no timer {}".format(number))
