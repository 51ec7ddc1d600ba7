"""MicroPython's `machine` as a virtual board has it: what the PC's has, timers, pins and resets."""

import sys
import time

import board_signals
from umachine import *  # noqa: F403

from micropython import schedule

_SIGALRM = 14
_LONGEST_MS = 900  # ualarm() takes less than a second
_HARDWARE_TIMERS = 4

_levels = {}  # of pins, by their id

_steps = None  # the pipe to the host, see board_start
_timers = {}
_thread_runs = False


class Timer:
    """A timer as the ESP32's: ids 0 to 3, and `Timer(n)` is always the same object.

    With `ffi` (32-bit) it ticks at the idle prompt too, as on a board; without it only while code runs.
    """

    ONE_SHOT = 0
    PERIODIC = 1

    def __new__(cls, id, **options):
        if not 0 <= id < _HARDWARE_TIMERS:
            raise ValueError("invalid Timer number")
        if id not in _timers:
            _timers[id] = object.__new__(cls)
            _timers[id]._period = 0
        return _timers[id]

    def __init__(self, id, **options):
        if options:
            self.init(**options)

    def init(self, *, mode=PERIODIC, freq=-1, period=-1, callback=None):
        """Start, or start anew: `callback(timer)` every `period` ms, or `freq` times a second, or once."""
        self._mode = mode
        self._callback = callback
        self._period = max(1, period if freq < 0 else 1000 // freq)
        self._due = time.ticks_add(time.ticks_ms(), self._period)
        _arm()

    def deinit(self):
        """Stop."""
        self._period = 0

    def _next_ms(self, now):
        return time.ticks_diff(self._due, now)

    def _tick(self, now):
        if self._mode == self.PERIODIC:
            self._due = time.ticks_add(now, self._period)
        else:
            self._period = 0
        if self._callback:
            try:
                self._callback(self)
            except BaseException as error:
                sys.print_exception(error)


class Pin:
    """A pin that leads nowhere: what is written to it is read back, and an input is 0."""

    IN = 0
    OUT = 1

    def __init__(self, id, mode=-1, pull=-1, *, value=None):
        self._id = id
        _levels.setdefault(id, 0)
        if value is not None:
            self.value(value)

    def value(self, level=None):
        """Set the level, or return it."""
        if level is None:
            return _levels[self._id]
        _levels[self._id] = 1 if level else 0

    def on(self):
        """Set the level to 1."""
        self.value(1)

    def off(self):
        """Set the level to 0."""
        self.value(0)


def _wait_ms():
    """Return how long no timer is due, None when none runs."""
    now = time.ticks_ms()
    waits = [timer._next_ms(now) for timer in _timers.values() if timer._period]
    return max(1, min(min(waits), _LONGEST_MS)) if waits else None


def _serve(_):
    now = time.ticks_ms()
    for timer in tuple(_timers.values()):
        if timer._period and timer._next_ms(now) <= 0:
            timer._tick(now)
    _arm()


if board_signals.on_signal(_SIGALRM, _serve):
    _ualarm = board_signals.libc.func("i", "ualarm", "ii")

    def _arm():
        wait = (_wait_ms() or 0) * 1000
        _ualarm(wait, wait)  # repeats, for a signal that finds the queue full

else:
    import _thread

    def _arm():
        global _thread_runs
        if not _thread_runs:
            _thread_runs = True
            _thread.start_new_thread(_watch, ())

    def _watch():
        while True:
            time.sleep_ms(_wait_ms() or 50)
            if _wait_ms() is not None:
                try:
                    schedule(_serve, 0)
                except RuntimeError:  # the queue is full
                    pass


def _ask(letter):
    _steps.write(letter)
    while True:  # until the host has ended this process
        time.sleep(1)


def reset():
    """Restart the board, as its reset button does."""
    _ask(b"h")


def soft_reset():
    """Restart the interpreter, as Ctrl-D does."""
    _ask(b"s")


def unique_id():
    """Return the same bytes for each virtual board."""
    return b"virtual"


def freq(hz=None):
    """Return the clock's frequency; setting it does nothing."""
    return 80_000_000
