"""A board: its interpreter, network and clock, all in this process and fully determined."""

import builtins
import functools
import weakref
from collections import Counter
from pathlib import Path
from types import ModuleType

from mp_runtime import PortError, Scheduler

from . import modules, sockets
from .clock import HOUR_MS, Clock
from .peer import Peer, Server
from .profiles import NEWEST, profile
from .tls import TlsPeer

DEVICE = Path(__file__).resolve().parents[2] / "micropython"
LEVEL_CALLBACK_MS = 80
STATION_LAG_MS = 20
POLL_SLICE_MS = 10

# What CPython has built in and MicroPython has not
_NOT_BUILT_IN = (
    "BrokenPipeError",
    "ConnectionAbortedError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "EnvironmentError",
    "IOError",
    "BlockingIOError",
    "InterruptedError",
    "TimeoutError",
    "ascii",
    "breakpoint",
    "copyright",
    "credits",
    "format",
    "vars",
)


class BoardCrash(BaseException):
    """What would have reset or hung a real board. Not an Exception: no program catches it."""


class Stuck(BaseException):
    """A program that spins without letting time pass, or waits for what never comes."""


@functools.cache
def _device_code(name):
    """Return the code of a device module, None where there is no such module."""
    path = DEVICE / f"{name}.py"
    return compile(path.read_bytes(), str(path), "exec") if path.exists() else None


class Board:
    """A board of a port, as a context manager. See the package for how to use it.

    `calls` counts the calls by name, `printed` has the exceptions that were only printed, `warnings` the
    warnings of the firmware, `lost_callbacks` how many found the scheduler's queue full.
    """

    def __init__(self, port, version=NEWEST, *, latency_ms=5, ticks_start=0, seed=0, spin_limit=10000, compiled=None):
        """Switch a board on.

        `latency_ms`: of the network, one way; `ticks_start`: of ticks_ms, to try its wrap; `seed`: of os.urandom;
        `spin_limit`: calls without time passing that are still no spin; `compiled`: whether the modules of
        micropython/ lie in /lib as .mpy (default: on the ESP8266), which the client drops where memory is short.
        """
        self.profile = profile(port, version)
        self.version = tuple(version)
        self.latency_ms = latency_ms
        self.ticks_start = ticks_start
        self.seed = seed
        self.suffix = ".mpy" if (port == "esp8266" if compiled is None else compiled) else ".py"
        self.clock = Clock()
        self.scheduler = Scheduler(self.profile.schedule_depth, self._report)
        self.hosts = {}
        self.sockets = []
        self.timers = weakref.WeakSet()
        self.calls = Counter()
        self.printed = []
        self.warnings = []
        self.lost_callbacks = 0
        self.mem_free = 25000  # what the board's gc tells
        self.largest_block = None  # what a bytearray can have
        self.idf_free = 100000 if port == "esp32" else None  # of the heap that TLS uses there
        self.linked = True
        self.station_connected = True
        self.resets = 0
        self.modules = {}
        self._routes = {}
        self._faults = []
        self._failure = None
        self._spin_limit = spin_limit
        self._spins = 0
        self._spin_since = 0
        self._next_look = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        """Raise a crash that the program has swallowed."""
        if self._failure and not kind:
            raise self._failure

    # Programs

    def load(self, name):
        """Return a module of micropython/, imported on this board."""
        return self.import_module(name)

    def import_module(self, name):
        """Return a module by name as the board's `import` does; ImportError where it has none."""
        if name not in self.modules:
            module = modules.make(name, self)
            if module is None and self.import_module("sys").path == [".frozen"]:
                raise ImportError(f"no module named '{name}'")  # nothing is frozen
            if module is None:
                module = self._load_device_file(name)
            self.modules[name] = module
        return self.modules[name]

    def execute(self, source):
        """Run a program's text on this board and return its names."""
        names = {"__name__": "__main__", "__builtins__": self._builtins}
        exec(source, names)
        return names

    def soft_reset(self):
        """End all programs as Ctrl-D does. On the ESP8266 running timers stay: they crash the board when they fire."""
        for sock in self.sockets:
            sock.abandon()
        if self.profile.timer != "os":
            for timer in self.timers:
                timer.deinit()
        self.resets += 1
        self.scheduler.clear()
        self.modules.clear()

    # The network

    def listen(self, host, port, *, upgrade=False, on_connect=None, tls=None):
        """Let a Server listen there; with `upgrade` it answers each request by a right 101; `tls`: as a Tls says."""
        make_peer = functools.partial(TlsPeer, script=tls) if tls else Peer
        server = self._routes[host, port] = Server(upgrade, on_connect, make_peer)
        return server

    def refuse(self, host, port):
        """Let nobody listen there: connections are refused."""
        self._routes[host, port] = "refused"

    def blackhole(self, host, port):
        """Let no answer come from there."""
        self._routes[host, port] = "unanswered"

    def pair(self, host="10.0.0.2", port=80):
        """Return a plain non-blocking socket and the Peer that it is connected to, without a client."""
        server = self.listen(host, port)
        sock = self.new_socket()
        sock.setblocking(True)
        sock.connect(self.getaddrinfo(host, port)[0][-1])
        sock.setblocking(False)
        return sock, server.accept()

    def wifi_lost(self):
        """Take the link away: the ESP32's sockets abort, the others' connections fall silent and stay so."""
        self.linked = False
        loss_ms = self.profile.wifi_loss_ms
        for connection in self._connections():
            if loss_ms is None:
                connection.vanish()
            else:
                self.clock.after(loss_ms, functools.partial(connection.fail, "wifi_lost"))
        self.clock.after((loss_ms or 0) + STATION_LAG_MS, self._update_station)

    def wifi_back(self):
        """Bring the link back."""
        self.linked = True
        self._update_station()

    def memory_short(self, for_ms):
        """Let the TCP stack have no memory for segments: lwip's writes block, and lose the data after 10 s."""
        for connection in self._connections():
            connection.memory_short_until = self.clock.now + for_ms

    def fail(self, call, error, *, skip=0, times=1):
        """Let the next calls of that name raise: "socket", "connect", "read", "write", "getaddrinfo", "poll" ...

        `error`: the name of an errno or an exception; `skip`: calls that pass before.
        """
        if isinstance(error, str):
            error = PortError(self.profile.numbers[error])
        self._faults.append([call, error, skip, times])

    def open_sockets(self):
        """Return the sockets that the program has not closed."""
        return [sock for sock in self.sockets if sock.state != "closed"]

    # Time

    def advance(self, milliseconds):
        """Let time pass while the program runs other code: timers and scheduled callbacks run."""
        self.wait(milliseconds)

    def run_background(self, milliseconds):
        """Let time pass at the idle prompt: also the ESP32's socket callbacks run."""
        self.wait(milliseconds, idle=True)

    def wait(self, timeout_ms, done=None, *, callbacks=True, idle=False):
        """Let time pass up to `timeout_ms` (None: for ever) or until done(); return whether it is done."""
        deadline = self.clock.now + (HOUR_MS if timeout_ms is None else timeout_ms)
        looks = idle and self.profile.socket_callback == "level"
        while True:
            if callbacks:
                self._run_callbacks(looks)
            if done and done():
                return True
            if self.clock.now >= deadline:
                if timeout_ms is None:
                    self._stop(Stuck("waits for ever: nothing that is due would end it"))
                return False
            self.clock.step(min(deadline, self._next_look) if looks else deadline)

    def poll_until(self, client, condition, timeout_ms=10000):
        """Call `client.poll` until `condition()`; AssertionError where that takes longer."""
        deadline = self.clock.now + timeout_ms
        while not condition():
            if self.clock.now >= deadline:
                raise AssertionError(f"not within {timeout_ms} ms")
            before = self.clock.now
            client.poll(max(1, min(POLL_SLICE_MS, deadline - before)))
            if self.clock.now == before:
                self.wait(1)

    # For the modules of the board

    def enter(self, call):
        """Begin a call of the firmware: count it, raise what was ordered, run one pending callback."""
        self.calls[call] += 1
        if self.clock.now != self._spin_since:
            self._spin_since, self._spins = self.clock.now, 0
        self._spins += 1
        if self._spins > self._spin_limit:
            self._stop(Stuck(f"{self._spin_limit} calls without time passing, the last: {call}()"))
        for fault in self._faults:
            name, error, skip, times = fault
            if name == call and times:
                if skip:
                    fault[2] -= 1
                else:
                    fault[3] -= 1
                    raise error
        self.scheduler.run_one()

    def crash(self, reason):
        """Fail the test for what would crash a real board."""
        self._stop(BoardCrash(reason))

    def forgive(self):
        """Take a crash as expected: it does not come again at the end of the `with` block."""
        self._failure = None

    def has_block(self, size):
        """Tell whether the heap has so many bytes in one piece."""
        return self.largest_block is None or size <= self.largest_block

    def interrupt(self, callback, argument):
        """Schedule a callback as an interrupt does: silently lost when the queue is full."""
        try:
            self.scheduler.schedule(callback, argument)
        except RuntimeError:
            self.lost_callbacks += 1

    def stat(self, path):
        """Return what `os.stat` tells of a file: only the device code is there, in /lib."""
        self.enter("stat")
        folder, _, name = path.rpartition("/")
        stem = name.removesuffix(self.suffix)
        if folder != "/lib" or name == stem or _device_code(stem) is None:
            raise PortError(self.profile.numbers["ENOENT"])
        return (0x8000,) + (0,) * 9

    def new_socket(self, family=sockets.AF_INET, kind=sockets.SOCK_STREAM, *_):
        """Make a socket: `usocket.socket`."""
        self.enter("socket")
        if self.profile.max_sockets and len(self.open_sockets()) >= self.profile.max_sockets:
            raise PortError(self.profile.numbers["ENFILE"])
        if kind == sockets.SOCK_DGRAM:
            sock = sockets.FakeDatagramSocket(self)
            self.sockets.append(sock)
            return sock
        sock = sockets.FakeSocket(self)
        self.sockets.append(sock)
        return sock

    def getaddrinfo(self, host, port, family=0, kind=0, protocol=0, flags=0, /):
        """Look a host up: `usocket.getaddrinfo`."""
        self.enter("getaddrinfo")
        if ":" in host and self.profile.address == "name":
            return [(sockets.AF_INET6, kind or sockets.SOCK_STREAM, protocol, host, None)]
        found = self._look_up(host)
        if self.profile.address == "packed":
            kinds = [kind] if kind else [sockets.SOCK_STREAM, sockets.SOCK_DGRAM]
            return [
                (
                    sockets.AF_INET6 if ":" in one else sockets.AF_INET,
                    one_kind,
                    protocol,
                    None,
                    sockets.pack_address(one, int(port)),
                )
                for one in found
                for one_kind in kinds
            ]
        name = host if self.profile.address == "name" else ""
        return [(sockets.AF_INET, kind or sockets.SOCK_STREAM, protocol, name, (found[0], int(port)))]

    def resolve(self, host):
        """Return the address of a host; block as the port does."""
        return self._look_up(host)[0]

    def begin(self, connection, host, port):
        """Let a connection's SYN go out."""
        route = self._routes.get((host, port))
        if route is None:
            here = any(known == host for known, _ in self._routes)
            route = "refused" if here else "nobody"
        if isinstance(route, Server):
            connection.begin(lambda: route.connected(self.clock, connection))
            return
        delay, cause = {
            "refused": (2 * self.latency_ms, "refused"),
            "unanswered": (self.profile.syn_timeout_ms, "unanswered"),
            "nobody": (self.profile.arp_timeout_ms, "unanswered"),
        }[route]
        self.clock.after(delay, lambda: connection.fail(cause))

    # Inside

    def _load_device_file(self, name):
        code = _device_code(name)
        if code is None:
            raise ImportError(f"no module named '{name}'")
        module = ModuleType(name)
        if self.profile.platform != "esp8266":  # its firmware has no __file__, in any version
            module.__file__ = code.co_filename
        module.__builtins__ = self._builtins
        self.modules[name] = module
        try:
            exec(code, vars(module))
        except BaseException:
            del self.modules[name]
            raise
        return module

    @functools.cached_property
    def _builtins(self):
        names = {name: value for name, value in vars(builtins).items() if name not in _NOT_BUILT_IN}
        return names | {"OSError": PortError, "bytearray": self._bytearray(), "__import__": self._import}

    def _bytearray(self):
        """Return the board's built-in type, which finds no room for more than the largest block."""
        has_block = self.has_block

        class Type(type(bytearray)):
            """The type of the type: objects that the host has made are bytearrays too."""

            def __instancecheck__(cls, instance):
                return isinstance(instance, bytearray)

            def __call__(cls, *arguments):
                made = bytearray(*arguments)
                if not has_block(len(made)):
                    raise MemoryError(f"memory allocation failed, allocating {len(made)} bytes")
                return made

        return Type("bytearray", (), {})

    def _import(self, name, *_):
        return self.import_module(name)

    def _look_up(self, host):
        if sockets.is_literal(host) or (self.profile.ipv6 and ":" in host):
            return [host]
        address = self.hosts.get(host, "unknown") if self.linked else None
        if address is None:
            delay = self.profile.dns_silent_ms
        elif address == "unknown" and host.endswith(".local") and self.profile.dns_local_ms:
            delay = self.profile.dns_local_ms
        else:
            delay = self.profile.dns_unknown_ms
        self.wait(delay, callbacks=self.profile.dns_runs_callbacks)
        if address in (None, "unknown"):
            raise PortError(self.profile.unknown_name)
        return [address] if isinstance(address, str) else list(address)

    def _connections(self):
        return [sock.connection for sock in self.sockets if sock.connection]

    def _update_station(self):
        self.station_connected = self.linked

    def _report(self, error):
        self.printed.append(error)

    def _run_callbacks(self, look):
        while self.scheduler.run_one():
            pass
        if look and self.clock.now >= self._next_look:
            self._next_look = self.clock.now + LEVEL_CALLBACK_MS
            for sock in self.open_sockets():
                if sock.callback and sock.readable:
                    self.scheduler.protected(sock.callback, sock)

    def _stop(self, failure):
        self._failure = failure
        raise failure
