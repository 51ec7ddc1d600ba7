"""The modules that a board's programs import: one function each, from a board to the module.

`MODULES` names them all but TLS, whose module is called as the firmware's version has it.
"""

import random
import sys
import types
import weakref

import mp_runtime

from . import sockets, tls
from .profiles import EXPORTED

_PASSED_ON = (
    "array",
    "binascii",
    "collections",
    "deflate",
    "hashlib",
    "json",
    "math",
    "random",
    "re",
    "struct",
    "uctypes",
)
_SYNONYMS = ("binascii", "collections", "errno", "hashlib", "io", "json", "os", "random", "re", "struct", "sys")
_TLS_NAMES = ("tls", "ssl")

PERIODIC, ONE_SHOT = 1, 0


def _module(name, **content):
    module = types.ModuleType(name)
    vars(module).update(content)
    return module


def _errno(board):
    numbers = {name: board.profile.numbers[name] for name in EXPORTED}
    return _module("errno", errorcode={number: name for name, number in numbers.items()}, **numbers)


def _gc(board):
    def collect():
        board.calls["collect"] += 1

    return _module(
        "gc",
        collect=collect,
        enable=lambda: None,
        disable=lambda: None,
        isenabled=lambda: True,
        mem_free=lambda: board.mem_free,
        mem_alloc=lambda: 0,
        threshold=lambda *_: -1,
    )


def _io(board):
    host = __import__("io")
    return _module("io", BytesIO=host.BytesIO, StringIO=host.StringIO, IOBase=mp_runtime.IOBase, open=open)


def _micropython(board):
    host = sys.modules.get("micropython") or __import__("micropython")

    def schedule(function, argument):
        board.enter("schedule")
        board.scheduler.schedule(function, argument)

    return _module(
        "micropython",
        const=host.const,
        native=host.native,
        viper=host.viper,
        schedule=schedule,
        heap_lock=host.heap_lock,
        heap_unlock=host.heap_unlock,
        alloc_emergency_exception_buf=lambda size: None,
    )


def _os(board):
    generator = random.Random(board.seed)
    return _module("os", urandom=generator.randbytes, getcwd=lambda: "/", stat=board.stat)


def _sys(board):
    implementation = types.SimpleNamespace(name="micropython", version=(*board.version, 0, ""), _mpy=0x1306)
    return _module(
        "sys",
        platform=board.profile.platform,
        implementation=implementation,
        modules=board.modules,
        version="3.4.0",
        byteorder="little",
        maxsize=(1 << 31) - 1,
        path=["", ".frozen", "/lib"],
        argv=[],
        stdout=sys.stdout,
        stderr=sys.stderr,
        exit=sys.exit,
        print_exception=lambda error, file=None: board.printed.append(error),
    )


def _uselect(board):
    names = {name: getattr(mp_runtime, name) for name in ("POLLIN", "POLLOUT", "POLLERR", "POLLHUP")}
    return _module("uselect", poll=lambda: sockets.FakePoll(board), **names)


def _usocket(board):
    names = {
        name: getattr(sockets, name) for name in ("AF_INET", "AF_INET6", "SOCK_STREAM", "SOCK_DGRAM", "SOL_SOCKET")
    }
    if board.profile.nodelay and board.profile.nodelay[2]:
        names["IPPROTO_TCP"], names["TCP_NODELAY"] = board.profile.nodelay[:2]
    return _module("usocket", socket=board.new_socket, getaddrinfo=board.getaddrinfo, **names)


def _utime(board):
    def ticks_ms():
        board.enter("ticks")
        return (board.ticks_start + board.clock.now) % mp_runtime.TICKS_PERIOD

    def ticks_us():
        board.enter("ticks")
        return (board.ticks_start + board.clock.now) * 1000 % mp_runtime.TICKS_PERIOD

    def sleep_ms(milliseconds):
        board.enter("sleep")
        board.wait(max(0, milliseconds), idle=True)

    def now():
        return (board.ticks_start + board.clock.now) // 1000

    return _module(
        "utime",
        ticks_ms=ticks_ms,
        ticks_us=ticks_us,
        ticks_add=mp_runtime.ticks_add,
        ticks_diff=mp_runtime.ticks_diff,
        sleep_ms=sleep_ms,
        sleep=lambda s: sleep_ms(int(s * 1000)),
        sleep_us=lambda us: sleep_ms(us // 1000),
        time=now,
    )


def _network(board):
    if not board.profile.network:
        return None

    class WLAN:
        """A network interface: the station, or an access point that is never up."""

        IF_STA, IF_AP = 0, 1

        def __init__(self, interface):
            self._station = interface == WLAN.IF_STA

        def active(self, is_active=None):
            """Return whether the interface is up."""
            return self._station

        def isconnected(self):
            """Return whether the station has a link; it learns of a loss a little after the sockets."""
            board.enter("isconnected")
            return self._station and board.station_connected

    return _module("network", WLAN=WLAN, STA_IF=WLAN.IF_STA, AP_IF=WLAN.IF_AP)


class _TimerBase:
    """A timer of a board: init(), deinit(), the two modes."""

    PERIODIC, ONE_SHOT = PERIODIC, ONE_SHOT
    _event = None
    _board = None

    def init(self, *, mode=PERIODIC, callback=None, period=0xFFFFFFFF):
        """Call `callback(timer)` every `period` ms, or once."""
        self.deinit()
        self._board.enter("timer")
        self._arm(mode, callback, period)

    def deinit(self):
        """Stop."""
        if self._event:
            self._event.cancel()
            self._event = None

    @property
    def running(self):
        """Whether the timer will fire."""
        return self._event is not None

    def _arm(self, mode, callback, period):
        board, resets, found = self._board, self._board.resets, self._kept()

        def fire():
            timer = found()
            if timer is None or board.resets != resets:
                board.crash("a Timer fired after its memory was handed out: by a soft reset, or not referenced")
            timer._event = None
            if mode == PERIODIC:
                timer._arm(mode, callback, period)
            board.interrupt(callback, timer)

        self._event = board.clock.after(max(1, period), fire)

    def _kept(self):
        """Return what gives the timer when it fires; it keeps the timer alive."""
        return lambda: self


def _os_timers(board):
    """The ESP8266's: any number of them, whatever their argument; nothing keeps one alive that is not referenced."""

    class Timer(_TimerBase):
        _board = board

        def __init__(self, number, /):
            board.timers.add(self)

        def _kept(self):
            return weakref.ref(self)

    return Timer


def _esp32_timers(board):
    """The ESP32's: one object for each hardware timer; virtual ones where the firmware has them."""
    virtual = board.profile.timer == "virtual"
    by_id = {}

    class Timer(_TimerBase):
        _board = board

        def __new__(cls, number=-1 if virtual else None, /, **settings):
            if number is None:
                raise TypeError("function missing 1 required positional arguments")
            if board.profile.timer_ids_wrap:
                number %= board.profile.timer_ids
            if number >= board.profile.timer_ids or (number < 0 and not virtual):
                raise ValueError("invalid Timer number")
            if number not in by_id or number < 0:
                by_id[number] = super().__new__(cls)
                board.timers.add(by_id[number])
            return by_id[number]

        def __init__(self, number=-1, /, **settings):
            if settings:
                self.init(**settings)

        def init(self, *, hard=None, **settings):
            """As the base class does; there are no hard timers."""
            if hard is not None and not virtual:
                raise TypeError("extra keyword arguments given")
            if hard:
                raise ValueError("hard Timers are not implemented")
            super().init(**settings)

    return Timer


_TIMERS = {"os": _os_timers, "hardware": _esp32_timers, "virtual": _esp32_timers}


def _machine(board):
    if not board.profile.timer:
        return _module("machine")
    return _module("machine", Timer=_TIMERS[board.profile.timer](board))


def _esp32(board):
    if board.idf_free is None:
        return None
    return _module("esp32", HEAP_DATA=4, idf_heap_info=lambda _: [(250000, board.idf_free, board.idf_free, 0)])


MODULES = {
    "errno": _errno,
    "esp32": _esp32,
    "gc": _gc,
    "io": _io,
    "machine": _machine,
    "micropython": _micropython,
    "network": _network,
    "os": _os,
    "select": _uselect,
    "socket": _usocket,
    "sys": _sys,
    "time": _utime,
    "uselect": _uselect,
    "usocket": _usocket,
    "utime": _utime,
}


def make(name, board):
    """Return the module `name` of the firmware, None where it has none."""
    if name[:1] == "u" and name[1:] in _SYNONYMS:
        return board.import_module(name[1:])
    if name in MODULES:
        return MODULES[name](board)
    if name in _PASSED_ON:
        return __import__(name)
    if name in _TLS_NAMES:
        found, content = tls.library(board)
        return _module(name, **content) if found == name else None
    return None
