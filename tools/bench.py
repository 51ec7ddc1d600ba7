"""Measure how fast the client is: against a raw socket that sends and reads the same bytes, in the same run.

Raw socket and client take turns in the same program, on the same interpreter and with the same server, round after
round; each figure is the median of the rounds. The server knows the size of every frame beforehand, so that it costs
both the same little: it counts the bytes of an echo's frames and sends the answer to the first one again.

A processor that has gone to sleep takes longer to wake, above all in a virtual machine, than a small echo takes:
without care the raw socket, which leaves more time to sleep, would come out slower than the client. So for the small
echo each processor is kept awake by a loop of the lowest priority, which gives way to everything else at once.

On the virtual ESP8266 only connecting is measured, for each way that the client can get there: what takes time there is
to load what a connection needs.
"""

import argparse
import socket
import ssl
import statistics
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from common import certificates, compiler, echo_server, generated, measured, report, rigs, virtual_esp8266_client

COSTS = rigs.ROOT / "docs" / "costs.md"
PROGRAMS = rigs.ROOT / "tools" / "programs" / "measure"
INTERPRETERS = ("micropython32", "micropython64")
CONNECT_ON_CHIP = PROGRAMS / "bench_connect_on_chip.py"
CONNECT_MS = {"mpy": ("`.mpy`", 50, 15), "romfs": ("ROMFS", None, 15), "frozen": ("frozen", None, 15)}  # limit, goal
AIOHTTP_US = 24_000  # one echo of 64 KiB by micropython-lib's aiohttp on such an interpreter

_HEAP = "1m"
_RUNS = 5  # of the small echo: how fast processes wake each other differs from start to start
_TIMEOUT_S = 120
_SMALL = 128
_LARGE = 1 << 16
_TEXT = 12_000  # bytes of a text message, whole characters of 3 bytes
_ASCII, _WIDE = b"a", "\u20ac".encode()


class BenchError(RuntimeError):
    """A program did not do what was to be measured; the text is its last line."""


def _frame_size(size):
    """Return the bytes of a client's frame with a payload of `size` bytes."""
    return size + (6 if size < 126 else 8 if size < 1 << 16 else 14)


class _Peer:
    """One accepted connection: the upgrade, then what its path asks for."""

    def __init__(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._protocol = ServerProtocol()

    def serve(self):
        """Serve until the client has gone."""
        while not (events := self._events()):
            pass
        request = events[0]
        self._protocol.send_response(self._protocol.accept(request))
        self._flush()
        action, *sizes = request.path.strip("/").split("/")
        {"echo": self._echo, "sink": self._sink, "source": self._source}[action](*map(int, sizes))

    def _events(self):
        data = self._sock.recv(1 << 16)
        if not data:
            raise ConnectionError
        self._protocol.receive_data(data)
        return self._protocol.events_received()

    def _flush(self):
        for data in self._protocol.data_to_send():
            self._sock.sendall(data)

    def _skip(self, size):
        """Read and drop exactly so many bytes."""
        buffer = memoryview(bytearray(min(size, 1 << 20)))
        while size:
            count = self._sock.recv_into(buffer[:size])
            if not count:
                raise ConnectionError
            size -= count

    def _echo(self, size):
        while not (events := self._events()):
            pass
        answer = Frame(Opcode.BINARY, events[0].data).serialize(mask=False)
        while True:
            self._sock.sendall(answer)
            self._skip(_frame_size(size))

    def _sink(self, size, count):
        while True:
            self._skip(_frame_size(size) * count)
            self._sock.sendall(Frame(Opcode.BINARY, b"!").serialize(mask=False))

    def _source(self, size, count):
        payloads = {b"b": (Opcode.BINARY, _ASCII), b"a": (Opcode.TEXT, _ASCII), b"u": (Opcode.TEXT, _WIDE)}
        batches = {
            kind: Frame(opcode, part * (size // len(part))).serialize(mask=False) * count
            for kind, (opcode, part) in payloads.items()
        }
        while True:
            for frame in self._events():
                self._sock.sendall(batches[bytes(frame.data)])


@contextmanager
def loopback_server(tls=None):
    """Run the server that the programs talk to, over TLS with the context `tls`; gives its host and port."""

    def accept():
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    def serve(sock):
        with suppress(ConnectionError, ssl.SSLError), tls.wrap_socket(sock, server_side=True) if tls else sock as peer:
            _Peer(peer).serve()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        thread.join()


class Bench:
    """One interpreter with or without the viper masker, the servers, and how often everything is repeated."""

    def __init__(self, interpreter, viper, address, tls_address, rounds):
        self.name = interpreter + (", viper" if viper else "")
        self.viper = viper
        self._interpreter = interpreter
        self._address = address
        self._tls_address = tls_address
        self._rounds = rounds
        folder = rigs.BUILD / f"bench-{rigs.arch(interpreter) if viper else 'portable'}"
        programs = [*compiler.extra_sources(["asyncio"]), *sorted(PROGRAMS.glob("bench_*.py"))]
        self._folder = measured.compile_programs(interpreter, programs, folder, viper)

    def _turns(self, program, size, count, tls=False):
        """Run a program; return for each round the microseconds of each of its tasks, per message."""
        address = self._tls_address if tls else self._address
        arguments = map(str, (*address, size, self._rounds, count, *["tls"] * tls))
        try:
            output = measured.run(
                self._interpreter, self._folder, ["-m", program, *arguments], heap=_HEAP, timeout_s=_TIMEOUT_S
            )
        except measured.MeasureError as error:
            raise BenchError(f"{program}: {error}") from None
        return [[int(word) / count for word in line.split()] for line in output.splitlines()]

    def _medians(self, *arguments, **options):
        """Run a program; return the median microseconds of each of its tasks, per message."""
        return [statistics.median(task) for task in zip(*self._turns(*arguments, **options), strict=True)]

    def figures(self):
        """Measure everything; return {row: text}."""
        with measured.awake_processors():
            runs = [self._medians("bench_echo", _SMALL, 200) for _ in range(_RUNS)]
            turns = [turn for _ in range(_RUNS) for turn in self._turns("bench_asyncio", _SMALL, 200)]
        # Of the two that took turns: a machine that is busy for a while slows both.
        task_ratio = statistics.median(by_asyncio / by_callbacks for by_callbacks, by_asyncio in turns)
        task_small = statistics.median(by_asyncio for _, by_asyncio in turns)
        raw_small, small = map(statistics.median, zip(*runs, strict=True))
        raw_large, large = self._medians("bench_echo", _LARGE, 10)
        raw_tls, tls = self._medians("bench_echo", _LARGE, 10, tls=True)
        raw_send, send = self._medians("bench_send", _LARGE, 10)
        binary, ascii_text, wide = self._medians("bench_receive", _TEXT, 20)
        return {
            "raw 128 B": Figure(f"{raw_small:.0f} us"),
            "128 B": Figure(f"{small:.0f} us, {small / raw_small:.1f} times raw", small / raw_small),
            "asyncio": Figure(f"{task_small:.0f} us, {task_ratio:.2f} times", task_ratio),
            "raw 64 KiB": Figure(f"{raw_large:.0f} us"),
            "64 KiB": Figure(f"{large:.0f} us, {large / raw_large:.1f} times raw"),
            "aiohttp": Figure(f"{AIOHTTP_US / large:.0f} times faster", AIOHTTP_US / large),
            "raw TLS": Figure(f"{raw_tls:.0f} us"),
            "TLS": Figure(f"{tls:.0f} us, {tls / raw_tls:.2f} times raw", tls / raw_tls),
            "raw send": _speed(_LARGE, raw_send),
            "send": _speed(_LARGE, send),
            "mask": _speed(_LARGE, send - raw_send),
            "binary": _speed(_TEXT, binary),
            "ascii": _speed(_TEXT, ascii_text),
            "wide": _speed(_TEXT, wide),
        }


@dataclass(frozen=True)
class Figure:
    """What was measured: the text for the table, and the number that a limit holds for."""

    text: str
    number: float | None = None


def _speed(size, microseconds):
    if microseconds <= 0:
        return Figure("not measurable")
    return Figure(f"{size / microseconds:.0f} MB/s", size / microseconds)


@dataclass(frozen=True)
class Row:
    """What a row of the table is about, its limit in `unit`, and the goal; a speed must be `least` the limit."""

    what: str
    limit: float | None = None
    unit: str = ""
    goal: str = ""
    least: bool = False

    def limit_text(self):
        """Return the limit with its unit."""
        return "" if self.limit is None else f"{self.limit:g} {self.unit}"

    def misses(self, figure):
        """Tell whether a figure is beyond the limit."""
        if self.limit is None or figure.number is None:
            return False
        return figure.number < self.limit if self.least else figure.number > self.limit


ROWS = {
    "raw 128 B": Row("one 128 B echo by a raw socket"),
    "128 B": Row("one 128 B echo", 5, "times raw", "3 times raw"),
    "asyncio": Row("one 128 B echo by asyncio, against callbacks", 1.5, "times"),
    "raw 64 KiB": Row("one 64 KiB echo by a raw socket"),
    "64 KiB": Row("one 64 KiB echo"),
    "aiohttp": Row("the same against aiohttp's 24 ms", 12, "times faster", "30, with viper", least=True),
    "raw TLS": Row("one 64 KiB echo by a raw TLS socket"),
    "TLS": Row("one 64 KiB echo over `wss`", 1.5, "times raw"),
    "raw send": Row("64 KiB messages sent by a raw socket"),
    "send": Row("64 KiB messages sent, masked"),
    "mask": Row("what sending costs more: masking alone"),
    "binary": Row("12 kB messages received: binary"),
    "ascii": Row("the same as text, strictly checked: ASCII", 4, "MB/s", "20 MB/s", least=True),
    "wide": Row("the same as text, strictly checked: 3-byte characters", 1, "MB/s", "4 MB/s", least=True),
}


def measure(interpreters, rounds):
    """Measure on all of `interpreters`, with and without viper; return {column: {row: figure}}."""
    with (
        tempfile.TemporaryDirectory() as folder,
        loopback_server() as address,
        loopback_server(certificates.issue(Path(folder)).server_context()) as tls_address,
    ):
        columns = {}
        for interpreter in interpreters:
            for viper in (False, True):
                bench = Bench(interpreter, viper, address, tls_address, rounds)
                print(f"measuring {bench.name} ...", file=sys.stderr)
                columns[bench.name] = bench.figures()
    return columns


def table(columns):
    """Return the header and the rows of the table."""
    texts = {name: [row.what, row.limit_text(), row.goal] for name, row in ROWS.items()}
    cells = [[*texts[name], *(figures[name].text for figures in columns.values())] for name in ROWS]
    return ["what", "limit", "goal", *columns], cells


def connecting(rounds):
    """Return the rows for connecting on the virtual ESP8266: [(what, median in ms, limit in ms, goal in ms)]."""
    rows = []
    with echo_server.running() as url, tempfile.TemporaryDirectory() as folder:
        for way, (name, limit, goal) in CONNECT_MS.items():
            print(f"measuring {rigs.CHIP}, {name} ...", file=sys.stderr)
            flash = Path(folder) / way
            virtual_esp8266_client.prepare(way, flash, [CONNECT_ON_CHIP])
            with virtual_esp8266_client.running(way, flash) as session:
                said = session.run(CONNECT_ON_CHIP.stem, url, str(rounds))
            rows.append((name, statistics.median(map(int, said.split())) / 1000, limit, goal))
    return rows


def connecting_table(rows):
    """Return the header and the rows of the table of connecting()."""
    cells = [[name, f"{ms:.0f} ms", f"{limit} ms" if limit else "", f"{goal} ms"] for name, ms, limit, goal in rows]
    return ["a connection on an ESP8266, from", "measured", "limit", "goal"], cells


def missed_connecting(rows):
    """Return a line for each row of connecting() that misses its limit."""
    return [
        f"connecting, {name}: {ms:.0f} ms, the limit is {limit} ms"
        for name, ms, limit, _ in rows
        if limit and ms > limit
    ]


def missed(columns):
    """Return a line for each limit that is missed, with the figure and the limit."""
    return [
        f"{column}: {row.what}: {figures[name].text}, the limit is {row.limit_text()}"
        for column, figures in columns.items()
        for name, row in ROWS.items()
        if row.misses(figures[name])
    ]


def main(argv=None):
    """Measure, print the table, and fail where a limit is missed; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", help="interpreters, with commas between (default: every MicroPython that is here)")
    parser.add_argument("--rounds", type=int, default=15, help="how often everything is repeated (default: 15)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/costs.md")
    options = parser.parse_args(argv)
    known = (*INTERPRETERS, rigs.CHIP)
    names = options.on.split(",") if options.on else [name for name in known if name not in rigs.missing()]
    if options.rounds < 1 or not set(names) <= set(known):
        parser.error(f"--on takes {', '.join(known)}, --rounds at least 1")
    if not names:
        print("bench: no MicroPython is here (try: make setup)", file=sys.stderr)
        return 1
    tables = {}  # by the name of its place in docs/costs.md
    lines = []
    try:
        if set(names) & set(INTERPRETERS):
            columns = measure([name for name in names if name != rigs.CHIP], options.rounds)
            tables["bench"] = table(columns)
            lines += missed(columns)
        if rigs.CHIP in names:
            rigs.need(rigs.CHIP)
            connections = connecting(options.rounds)
            tables["connecting"] = connecting_table(connections)
            lines += missed_connecting(connections)
    except (BenchError, compiler.BuildError, rigs.RigMissing, virtual_esp8266_client.ProgramError) as error:
        print(f"bench: {error} (try: make demo, which shows where it fails)", file=sys.stderr)
        return 1
    origin = report.origin("make bench", *names)
    for name, (header, rows) in tables.items():
        print(report.aligned(header, rows), origin, sep="\n\n", end="\n\n")
        if options.write:
            try:
                generated.write(COSTS, name, f"{report.markdown(header, rows)}\n\n{origin}")
            except (FileNotFoundError, ValueError) as error:
                print(f"bench: {error} (try: without --write)", file=sys.stderr)
                return 1
    for line in lines:
        print(f"bench: {line} (try: again on a quiet machine, then on the change before)", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
