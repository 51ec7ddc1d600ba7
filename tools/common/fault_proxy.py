"""A TCP proxy on loopback that plays faults, the same ones for the same seed.

What happens to each connection is planned before its first byte, from the seed and the connection's number alone, and
is bound to positions in the stream, not to time. So one seed replays exactly, however the bytes arrive:

    pause    what comes after a position waits some milliseconds, and piles up; with 0, it is a packet of its own
    reset    RST to both sides
    fin      half-close: nothing more in that direction, the other one goes on
    stall    nothing more in that direction, and nobody is told
    byte     one byte changes
    frame    the header of one WebSocket frame changes, so that no peer may accept it (RFC 6455 section 5.2)

Every connection ends as one line of JSON: its plan, what passed, and where the fault struck, if it did.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import random
import signal
import socket
import struct
import sys
import threading
import time

WAYS = ("up", "down")  # to the server, to the client
KINDS = {"none": 20, "reset": 22, "fin": 20, "stall": 3, "byte": 16, "frame": 17}  # and how often each is planned

_HANDSHAKE = {False: 160, True: 2500}  # bytes that opening a connection takes, about; with TLS
_LARGEST = 1 << 14  # no fault or pause is planned after so many bytes
_FRAMES = 8
_PAUSES = 8
_LONGEST_PAUSE_MS = 4
_CHUNK = 1 << 16
_CONNECTION_S = 10  # no connection lives longer
_STALL_S = 5  # longer than any patience
_WATCH_S = 0.02
_STOP_S = 8
_GONE = (7, 8)  # states in tcp_info, CLOSE and CLOSE_WAIT: the other side has ended TCP
_RESERVED_OPCODES = (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)


@dataclasses.dataclass(frozen=True)
class Pause:
    """Where a direction waits, and for how long; 0 only begins a packet."""

    offset: int
    ms: int


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong, in which direction, at which offset, or in which frame for the kind "frame".

    `value` is xored to the byte; of a frame to its first two bytes, as one number.
    """

    kind: str
    way: str = "down"
    offset: int = 0
    value: int = 0


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that the proxy does to one connection."""

    fault: Fault
    up: tuple[Pause, ...] = ()
    down: tuple[Pause, ...] = ()


def make_plan(seed, number, tls=False):
    """Return the plan of connection `number`, with TLS or without: the same one for the same arguments.

    Without TLS only the handshake's bytes and the headers of frames change, for nothing protects the payload.
    """
    rng = random.Random(f"{seed}/{number}/{tls}")
    kind = rng.choices(list(KINDS), KINDS.values())[0]
    way = rng.choice(WAYS)
    if kind == "frame" and tls:
        kind = "byte"
    offset, value = _offset(rng, tls), 0
    if kind == "byte":
        value = rng.randrange(1, 256)
        if not tls:
            offset = rng.randrange(_HANDSHAKE[tls])
    elif kind == "frame":
        offset = rng.randrange(_FRAMES)
        value = rng.choice((0x4000, 0x2000, 0x1000, 0x0080, rng.choice(_RESERVED_OPCODES) << 16))
    return Plan(Fault(kind, way, offset, value), _pauses(rng, tls), _pauses(rng, tls))


def _offset(rng, tls):
    """Return a position: a quarter within the handshake, the others more often near than far."""
    if rng.random() < 0.25:
        return rng.randrange(_HANDSHAKE[tls])
    return _HANDSHAKE[tls] + int(_LARGEST ** rng.random())


def _pauses(rng, tls):
    number = rng.choice((0, 0, 2, _PAUSES))
    pauses = [Pause(_offset(rng, tls), rng.randrange(_LONGEST_PAUSE_MS + 1)) for _ in range(number)]
    return tuple(sorted(pauses, key=lambda pause: pause.offset))


class Spoiler:
    """Changes the bytes of one direction as they pass, where the fault says so; `struck` is true from then on."""

    def __init__(self, fault):
        self.struck = False
        self._fault = fault
        self._position = 0
        self._last = b""  # of the handshake, None once it is over
        self._frame = 0
        self._header = bytearray()
        self._payload = 0  # bytes that are left of it

    def spoil(self, data):
        """Return the data that passes instead."""
        data = bytearray(data)
        if self._fault.kind == "byte":
            index = self._fault.offset - self._position
            if 0 <= index < len(data):
                data[index] ^= self._fault.value
                self.struck = True
        elif self._fault.kind == "frame" and not self.struck:
            self._scan(data)
        self._position += len(data)
        return data

    def _scan(self, data):
        index = self._skip_handshake(data)
        while index < len(data) and not self.struck:
            if self._payload:
                step = min(self._payload, len(data) - index)
                self._payload -= step
                index += step
                continue
            byte = data[index]
            if self._frame == self._fault.offset:
                self._spoil_header(data, index)
            self._header.append(byte)
            index += 1
            self._end_header()

    def _skip_handshake(self, data):
        """Return where the frames begin in `data`."""
        if self._last is None:
            return 0
        seen = self._last + data
        found = seen.find(b"\r\n\r\n")
        if found < 0:
            self._last = bytes(seen[-3:])
            return len(data)
        index = found + 4 - len(self._last)
        self._last = None
        return index

    def _spoil_header(self, data, index):
        opcode, first, second = self._fault.value >> 16, self._fault.value >> 8 & 0xFF, self._fault.value & 0xFF
        if not self._header and (opcode or first):
            data[index] = data[index] & 0xF0 | opcode if opcode else data[index] ^ first
            self.struck = True
        elif len(self._header) == 1 and second:
            data[index] ^= second
            self.struck = True

    def _end_header(self):
        """Begin the payload once the header is complete."""
        header = self._header
        if len(header) < 2:
            return
        short = header[1] & 0x7F
        extended = {126: 2, 127: 8}.get(short, 0)
        if len(header) == 2 + extended + (4 if header[1] & 0x80 else 0):
            self._payload = int.from_bytes(header[2 : 2 + extended], "big") if extended else short
            self._frame += 1
            header.clear()


class _Over(Exception):
    """The connection has ended for both sides."""


class _Connection:
    """One client's connection and the one to the server."""

    def __init__(self, client, plan):
        self.passed = dict.fromkeys(WAYS, 0)
        self.struck = None  # what had passed when the fault struck
        self._plan = plan
        self._client = client
        self._server = None
        self._spoilers = {way: Spoiler(plan.fault if plan.fault.way == way else Fault("none")) for way in WAYS}

    async def serve(self, target):
        """Pass bytes between the client and `target` until both have ended, or the plan ends them."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECTION_S):
                self._server = await _connect(target)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(loop, "up", self._client, self._server))
                    group.create_task(self._pump(loop, "down", self._server, self._client))
        except (TimeoutError, OSError, _Over, BaseExceptionGroup) as error:
            if isinstance(error, BaseExceptionGroup) and error.split((_Over, OSError))[1]:
                raise
            self._reset()
        finally:
            for sock in filter(None, (self._client, self._server)):
                sock.close()

    async def _pump(self, loop, way, source, sink):
        plan, fault = self._plan, self._plan.fault
        stops = list(plan.up if way == "up" else plan.down)
        if fault.way == way and fault.kind in ("reset", "fin", "stall"):
            stops = [pause for pause in stops if pause.offset < fault.offset] + [fault]
        try:
            for stop in stops:
                if not await self._pass(loop, way, source, sink, stop.offset):
                    return
                if stop is fault:
                    await self._strike(sink)
                    break
                await asyncio.sleep(stop.ms / 1000)
            else:
                if not await self._pass(loop, way, source, sink, None):
                    return
            while await loop.sock_recv(source, _CHUNK):  # nobody hears it any more
                pass
        except ConnectionError:
            raise _Over from None

    async def _pass(self, loop, way, source, sink, until):
        """Pass bytes on up to position `until`; return False at the end of the stream."""
        spoiler = self._spoilers[way]
        while until is None or self.passed[way] < until:
            data = await loop.sock_recv(source, _CHUNK if until is None else min(_CHUNK, until - self.passed[way]))
            if not data:
                _end(sink)
                return False
            struck = spoiler.struck
            data = spoiler.spoil(data)
            if spoiler.struck and not struck:
                self.struck = dict(self.passed)
            try:
                await loop.sock_sendall(sink, data)
            except ConnectionError:
                until = 0  # what the other side had sent before it went still has to come
            self.passed[way] += len(data)
        return True

    async def _strike(self, sink):
        kind = self._plan.fault.kind
        self.struck = dict(self.passed)
        if kind == "reset":
            raise _Over
        if kind == "fin":
            _end(sink)
            return
        # A client that has ended is not seen while what it sent before fills the buffers.
        deadline = time.monotonic() + _STALL_S
        while time.monotonic() < deadline and self._client_is_there():
            await asyncio.sleep(_WATCH_S)
        raise _Over

    def _client_is_there(self):
        return self._client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] not in _GONE

    def _reset(self):
        for sock in filter(None, (self._client, self._server)):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _end(sock):
    """Send FIN, unless the connection is gone already."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


async def _connect(target):
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        await asyncio.get_running_loop().sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


class FaultProxy:
    """The proxy before `target`, an address; serves between `start()` and `stop()`, in a thread of its own.

    `plans` is called with each connection's number, from `first` on, and returns its plan. `log` then holds
    {number: entry} of the connections that have ended; `ended`, if given, is called with each number and entry.
    """

    def __init__(self, target, plans, first=0, host="127.0.0.1", port=0, ended=None):
        self.log = {}
        self._target = target
        self._plans = plans
        self._ended = ended
        self._next = first
        self._open = set()
        self._listener = socket.create_server((host, port), backlog=64)
        self._listener.setblocking(False)
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._loop = self._stopping = None
        self._started = threading.Event()

    def start(self):
        """Begin to serve."""
        self._thread.start()
        self._started.wait(_STOP_S)

    def stop(self):
        """Give open connections a moment to end, then end them, and the proxy."""
        deadline = time.monotonic() + _STOP_S
        while self._open and time.monotonic() < deadline:
            time.sleep(_WATCH_S)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOP_S)
        self._listener.close()

    def _run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        accepting = asyncio.create_task(self._accept())
        self._started.set()
        await self._stopping.wait()
        for task in (accepting, *self._open):
            task.cancel()
        await asyncio.gather(accepting, *self._open, return_exceptions=True)

    async def _accept(self):
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(self._handle(self._next, client))
            self._next += 1
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _handle(self, number, client):
        plan = self._plans(number)
        connection = _Connection(client, plan)
        trouble = None
        try:
            await connection.serve(self._target)
        except Exception as error:  # a fault of the proxy must reach whoever reads the log
            trouble = repr(error)
        entry = {**dataclasses.asdict(plan), "passed": connection.passed, "struck": connection.struck}
        if trouble:
            entry["trouble"] = trouble
        self.log[number] = entry
        if self._ended:
            self._ended(number, entry)


@contextlib.contextmanager
def running(target, plans, first=0, host="127.0.0.1", port=0, ended=None):
    """Run a FaultProxy; a context manager that gives it."""
    proxy = FaultProxy(target, plans, first, host, port, ended)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()


def _print_entry(number, entry):
    print(json.dumps({"connection": number, **entry}), flush=True)


def main(argv=None):
    """Serve until Ctrl-C; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=int, help="port of the server on loopback")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any)")
    parser.add_argument("--seed", default="1", help="what all faults are derived from (default: 1)")
    parser.add_argument("--first", type=int, default=0, help="number of the first connection (default: 0)")
    parser.add_argument("--tls", action="store_true", help="plan for TLS: any byte may change")
    options = parser.parse_args(argv)

    def plans(number):
        return make_plan(options.seed, number, options.tls)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        target = ("127.0.0.1", options.target)
        with running(target, plans, options.first, port=options.port, ended=_print_entry) as proxy:
            print("serving {}:{}".format(*proxy.address), flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    except OSError as error:
        print(f"fault_proxy: port {options.port}: {error.strerror} (try: without --port)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
