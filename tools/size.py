"""Measure how much memory the client uses, against the limits of this project.

Everything runs on the 32-bit MicroPython, whose objects are as large as a board's, from .mpy files in the
working folder, as on a board; what a connection takes with the background on is measured on the virtual ESP8266, for
each way that the client can get there. How each figure is found:

- Heap kept: gc.mem_alloc() after gc.collect(), before and after, in a fresh interpreter.
- Smallest heap: bisection of -X heapsize= in steps of 256 B; a size counts when three runs in a row succeed.
- Heap allocated: the difference of gc.mem_alloc() with the collector switched off.
- Largest single allocation: the free heap is cut into pieces of equal size with used memory between them; the
  smallest "max free sz" of micropython.mem_info() with which send() still succeeds, or 0 where it does with
  the heap locked. Unlike a map of the heap, this also sees what is allocated and freed within the call.
- Growth: heap after gc.collect(), and entries of /proc/self/fd, between the 50th and the last round; with
  reconnects, entries before the first connection and after the last.
"""

import argparse
import functools
import itertools
import json
import logging
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from websockets.sync.server import serve

from common import (
    certificates,
    compiler,
    echo_server,
    generated,
    measured,
    report,
    rigs,
    virtual_esp8266,
    virtual_esp8266_client,
)

README = rigs.ROOT / "README.md"
COSTS = rigs.ROOT / "docs" / "costs.md"
PROGRAMS = rigs.ROOT / "tools" / "programs" / "measure"
KIB = 1024
MIB = 1 << 20
SENT = 4000  # bytes of the message whose send() is measured

PROGRAM_ON_CHIP = PROGRAMS / "size_on_chip.py"
ECHO_ON_CHIP = PROGRAMS / "size_echo_on_chip.py"
TLS_ON_CHIP = PROGRAMS / "size_tls_on_chip.py"
STAND_IN_TLS = PROGRAMS / "stand_in" / "tls.py"
CHIP = "virtual-esp8266"

# The rows that README.md shows
_SHORT = (
    "heap kept after `import uwebsocket_client`",
    "heap kept by one open idle connection",
    "smallest heap for connect, 5 binary echoes of 100 B, close",
    "smallest heap for connect, 5 binary echoes of 4000 B, close",
    'smallest heap for 1 MiB received by `"data"` and 1 MiB sent in fragments',
    "heap growth in 1000 rounds of connect, echo, close",
    "ESP8266, `.mpy`: heap free with a connection open, at least",
    "ESP8266, ROMFS: heap free with a connection open, at least",
    "ESP8266, frozen: heap free with a connection open, at least",
)
_STEP = 256
_CHIP_HEAP = 38 * KIB
_CHIP_STEP = 512
_RUNS = 3
_CHANCES = 5
_TIMEOUT_S = 10
_ROUND_TIMEOUT_S = 0.1
_BLOCK = {"micropython32": 16, "micropython64": 32}  # bytes of the heap's unit


def _answer(connection):
    """Serve one connection as its path asks: /echo, /once, /sink, /reply/<type>/<bytes>, /stream/<bytes>."""
    action, *arguments = connection.request.path.strip("/").split("/")
    if action == "echo":
        for message in connection:
            connection.send(message)
    elif action == "once":
        connection.send(connection.recv())
    elif action == "sink":
        for _ in connection:
            pass
    elif action == "reply":
        size = int(arguments[1])
        reply = "x" * size if arguments[0] == "text" else bytes(size)
        for _ in connection:
            connection.send(reply)
    elif action == "stream":
        connection.send(bytes(int(arguments[0])))
        connection.send(str(sum(map(len, connection.recv_streaming()))))
        for _ in connection:
            pass


@contextmanager
def loopback_server():
    """Run the server that the programs talk to; gives its URL."""
    logger = logging.Logger("size", logging.CRITICAL)  # programs that ran out of memory just vanish
    options = {"compression": None, "ping_interval": None, "max_size": None, "logger": logger}
    with serve(_answer, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def tls_server():
    """Run a server that echoes over TLS; gives its URL."""
    with tempfile.TemporaryDirectory() as folder:
        with echo_server.running(tls=certificates.issue(Path(folder)).server_context()) as root:
            yield root.rstrip("/")


class _ShortFolder:
    """A folder in that for temporary files, with the shortest name that is free; it goes with this object.

    The path of a module that is loaded stays in memory, and on a board it is as short as /lib.
    """

    def __init__(self):
        for number in itertools.count():
            self.path = Path(tempfile.gettempdir()) / str(number)
            with suppress(FileExistsError):
                self.path.mkdir()
                break
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class Measure:
    """One interpreter, the compiled programs, and the servers' URLs."""

    def __init__(self, interpreter, url, tls_url, rounds):
        self._interpreter = interpreter
        self._url = url
        self._tls_url = tls_url
        self._rounds = rounds
        programs = [*compiler.extra_sources(), *sorted(PROGRAMS.glob("size_*.py"))]
        self._scratch = {viper: _ShortFolder() for viper in (False, True)}
        self._folders = {
            viper: measured.compile_programs(interpreter, programs, scratch.path, viper)
            for viper, scratch in self._scratch.items()
        }

    def _start(self, arguments, folder, heap, timeout_s):
        return measured.run(self._interpreter, folder, arguments, heap=heap, timeout_s=timeout_s)

    def _program(self, name, path, *arguments, viper=False, heap=None, timeout_s=_TIMEOUT_S, tls=False):
        """Run tools/programs/measure/<name>.py against a path of the server; return its output."""
        command = ["-m", name, (self._tls_url if tls else self._url) + path, *map(str, arguments)]
        return self._start(command, self._folders[viper], heap, timeout_s)

    def _smallest_heap(self, start):
        """Return the smallest heap with which start(heap) succeeds several times in a row.

        Once is not enough: where the data is cut differs from run to run.
        """

        def attempt(heap):
            for _ in range(_RUNS):
                start(heap)

        return measured.smallest(attempt, 4 * KIB, 256 * KIB, _STEP)

    def kept_by_import(self):
        """Heap kept after the import, in bytes."""
        return int(self._program("size_import", ""))

    def kept_by_connection(self, *reconnect):
        """Heap kept by an open idle connection, in bytes; of a client that config() was told to reconnect, or not."""
        return int(self._program("size_connection", "/sink", *map(int, reconnect)).split()[0])

    def kept_by_config(self):
        """Heap that the first config() of a program keeps, in bytes."""
        return self.kept_by_connection(False) - self.kept_by_connection()

    def kept_by_reconnecting(self):
        """Heap that an open idle connection keeps more with reconnect=True than with False, in bytes."""
        return self.kept_by_connection(True) - self.kept_by_connection(False)

    def kept_by_tls(self):
        """Heap that stays more after an echo over wss than after one over ws, in bytes.

        What looks like an address somewhere on the stack keeps garbage by chance: the smallest of some runs counts.
        """
        over_tls, over_tcp = (
            min(int(self._program("size_closed", "/echo", tls=tls)) for _ in range(_CHANCES)) for tls in (True, False)
        )
        return over_tls - over_tcp

    def kept_by_extra(self, name):
        """Heap kept after the import of an extra, beside the client and asyncio, in bytes."""
        return int(
            self._start(["-m", "size_extra", Path(compiler.EXTRAS[name]).stem], self._folders[False], None, _TIMEOUT_S)
        )

    def allocated_by_idle_poll(self):
        """Heap allocated by 210 idle polls, in bytes; they have also passed with the heap locked."""
        return int(self._program("size_connection", "/sink").split()[1])

    def heap_for_echo(self, size):
        """Smallest heap for connect, five binary echoes of `size` bytes, close."""
        return self._smallest_heap(lambda heap: self._program("size_echo", "/echo", size, heap=heap))

    def heap_for_url(self):
        """Heap that a URL of 2 KiB with a token of 1 KiB needs beside what a short one needs."""
        short, long = (
            self._smallest_heap(lambda heap, sizes=sizes: self._program("size_url", "/sink", *sizes, heap=heap))
            for sizes in ((10, 10), (2 * KIB, KIB))
        )
        return long - short

    def heap_for_stream(self):
        """Smallest heap for 1 MiB received by "data" and 1 MiB sent in fragments."""
        return self._smallest_heap(lambda heap: self._program("size_stream", f"/stream/{MIB}", MIB, heap=heap))

    def heap_for_source(self):
        """Smallest heap that can import the plain .py files."""
        command = ["-c", "import uwebsocket_client"]
        return self._smallest_heap(lambda heap: self._start(command, rigs.DEVICE, heap, _TIMEOUT_S))

    def allocated_by_receive(self, kind, size):
        """Heap allocated to receive a message of `size` bytes, in bytes."""
        return int(self._program("size_receive", f"/reply/{kind}/{size}"))

    def allocated_by_send(self, viper):
        """Heap allocated by one send(), in bytes."""
        return int(self._program("size_send", "/sink", SENT, viper=viper))

    def largest_of_send(self, viper):
        """Largest single allocation of one send(), in bytes."""
        block = _BLOCK[self._interpreter]
        largest = 0

        def attempt(piece):
            nonlocal largest
            output = self._program("size_send_crumbs", "/sink", SENT, piece, viper=viper, heap=64 * KIB)
            found = re.search(r"max free sz: (\d+)", output)
            largest = int(found[1]) * block if found else 0

        measured.smallest(attempt, 0, 8 * KIB, block)
        return largest

    @functools.cached_property
    def growth(self):
        """Heap growth in bytes and leaked descriptors after all rounds."""
        return self._growth("size_rounds", "/echo")

    @functools.cached_property
    def growth_by_reconnects(self):
        """The same after as many reconnects."""
        return self._growth("size_reconnect", "/once")

    def _growth(self, program, path):
        timeout_s = _TIMEOUT_S + _ROUND_TIMEOUT_S * self._rounds
        heap, descriptors = self._program(program, path, self._rounds, timeout_s=timeout_s).split()
        return int(heap), int(descriptors)


class ChipMeasure:
    """The virtual ESP8266 with the client, in each of virtual_esp8266_client.WAYS."""

    def __init__(self, url):
        self._url = url
        self._measured = {}

    def _figures(self, way):
        if way not in self._measured:
            self._measured[way] = self._measure(way)
        return self._measured[way]

    def _measure(self, way):
        # The run in which least was kept after the import: what looks like an address somewhere on the stack keeps
        # garbage by chance.
        with tempfile.TemporaryDirectory() as folder:
            flash = Path(folder) / "flash"
            try:
                virtual_esp8266_client.prepare(way, flash)
                with virtual_esp8266_client.running(way, flash) as session:
                    runs = []
                    for turn in range(_RUNS):
                        session.fresh()
                        session.exec(f"path = {self._url + f'/sink/{turn}'!r}")
                        # One part after the other: of a whole program the stack would hold old addresses all along.
                        *_, figures = map(session.exec, PROGRAM_ON_CHIP.read_text().split("# then\n"))
                        runs.append(tuple(map(int, figures.split())))
                    return min(runs)
            except (virtual_esp8266_client.ProgramError, virtual_esp8266.FatalException) as error:
                raise measured.MeasureError(str(error).strip().splitlines()[-1]) from error

    def heap_for_echo(self, size):
        """Smallest heap for connect, five binary echoes of `size` bytes, close, with the client as `.mpy`.

        The median of some bisections: where the data is cut differs from run to run.
        """
        with tempfile.TemporaryDirectory() as folder:
            flash = Path(folder) / "flash"
            virtual_esp8266_client.prepare("mpy", flash)
            with virtual_esp8266_client.running("mpy", flash) as session:

                def attempt(heap):
                    # As main.py runs, not as a module that is imported: that would keep 1.7 KB of what it imports.
                    arguments = f"path, slice, buffer = {self._url + '/echo'!r}, {size}, {_CHIP_HEAP - heap}"
                    try:
                        session.fresh()
                        session.exec(arguments)
                        status = session.exec(ECHO_ON_CHIP.read_text()).strip()
                    except virtual_esp8266_client.ProgramError as error:
                        raise measured.MeasureError(str(error).strip().splitlines()[-1]) from error
                    if status != "0":
                        raise measured.MeasureError(f"it closed with {status}")

                return statistics.median(
                    measured.smallest(attempt, 8 * KIB, 34 * KIB, _CHIP_STEP) for _ in range(_RUNS)
                )

    def free_for_tls(self, way):
        """Heap that is free when TLS begins, in bytes; the firmware of this chip has none, a stand-in notes it."""
        with tempfile.TemporaryDirectory() as folder:
            flash = Path(folder) / "flash"
            try:
                virtual_esp8266_client.prepare(way, flash, [STAND_IN_TLS])
                with virtual_esp8266_client.running(way, flash) as session:
                    session.fresh()
                    session.exec(f"path = {self._url.replace('ws:', 'wss:') + '/sink'!r}")
                    return int(session.exec(TLS_ON_CHIP.read_text()))
            except (virtual_esp8266_client.ProgramError, virtual_esp8266.FatalException) as error:
                raise measured.MeasureError(str(error).strip().splitlines()[-1]) from error

    def kept_by_import(self, way):
        """Heap kept after the import, in bytes."""
        return self._figures(way)[0]

    def kept_by_client(self, way):
        """Heap kept by a client that is not connected, in bytes."""
        return self._figures(way)[1]

    def kept_by_connection(self, way):
        """Heap kept by the first connection, with all that it loads, in bytes."""
        return self._figures(way)[2]

    def free(self, way):
        """Heap that is free while a connection is open, in bytes."""
        return self._figures(way)[3]


@dataclass(frozen=True)
class Row:
    """One figure: what it is, how to measure it, the limit and the goal in the same unit where there are any.

    `least`: the limit is one from below.
    """

    what: str
    measure: Callable
    limit: int | None
    goal: int | None
    unit: str = "B"
    least: bool = False

    def breaks(self, figure, limit=None):
        """Return whether a figure is beyond the limit, or another one than the row's own."""
        limit = self.limit if limit is None else limit
        if limit is None:
            return False
        return figure < limit if self.least else figure > limit

    def text(self, figure):
        """Return a figure with its unit."""
        if figure is None:
            return ""
        return f"{figure / KIB:g} KiB" if self.unit == "KiB" else f"{figure} {self.unit}".rstrip()


def rows(rounds):
    """Return the table's rows."""
    echo_limits = ((100, 16, 12), (1000, 18, 14), (4000, 24, 19), (16000, 48, 43))
    receive = [
        Row(
            f"heap allocated to receive {size} B of {kind}",
            lambda m, kind=kind, size=size: m.allocated_by_receive(kind, size),
            factor * size + 200,
            factor * size + 64,
        )
        for kind, factor in (("binary", 1), ("text", 2))
        for size in (1000, 4000)
    ]
    send = [
        row
        for viper, masker in ((False, ""), (True, " with viper"))
        for row in (
            Row(
                f"a send of {SENT} B{masker}: largest single allocation",
                lambda m, viper=viper: m.largest_of_send(viper),
                1480,
                0 if viper else None,
            ),
            Row(
                f"a send of {SENT} B{masker}: heap allocated in all",
                lambda m, viper=viper: m.allocated_by_send(viper),
                4 * SENT + 600,
                0 if viper else None,
            ),
        )
    ]
    return [
        Row("heap kept after `import uwebsocket_client`", Measure.kept_by_import, 10500, 7000),
        Row("heap kept by one open idle connection", Measure.kept_by_connection, 1200, 700),
        Row("heap kept by the first call of `config()`", Measure.kept_by_config, None, None),
        Row("heap kept by a client for reconnecting", Measure.kept_by_reconnecting, 600, None),
        Row("heap kept by TLS once it was used, the connection closed", Measure.kept_by_tls, 2000, None),
        Row("heap kept after `import uwebsocket_asyncio` beside it", lambda m: m.kept_by_extra("asyncio"), 2560, None),
        Row("heap kept after `import uwebsocket_deflate` beside it", lambda m: m.kept_by_extra("deflate"), None, None),
        *[
            Row(
                f"smallest heap for connect, 5 binary echoes of {size} B, close",
                lambda m, size=size: m.heap_for_echo(size),
                limit * KIB,
                goal * KIB,
                "KiB",
            )
            for size, limit, goal in echo_limits
        ],
        Row(
            "heap for a URL of 2 KiB with a token of 1 KiB, beside a short one",
            Measure.heap_for_url,
            7 * KIB,
            5 * KIB,
            "KiB",
        ),
        Row(
            'smallest heap for 1 MiB received by `"data"` and 1 MiB sent in fragments',
            Measure.heap_for_stream,
            17 * KIB,
            13 * KIB,
            "KiB",
        ),
        Row("smallest heap that can import the plain `.py` files", Measure.heap_for_source, 72 * KIB, 48 * KIB, "KiB"),
        Row("heap allocated by idle `poll()` calls", Measure.allocated_by_idle_poll, 0, 0),
        *receive,
        *send,
        Row(f"heap growth in {rounds} rounds of connect, echo, close", lambda m: m.growth[0], 0, 0),
        Row(f"sockets leaked in {rounds} rounds", lambda m: m.growth[1], 0, 0, ""),
        Row(f"heap growth in {rounds} reconnects", lambda m: m.growth_by_reconnects[0], 0, 0),
        Row(f"sockets leaked in {rounds} reconnects", lambda m: m.growth_by_reconnects[1], 0, 0, ""),
    ]


def chip_rows():
    """Return the rows of the virtual ESP8266."""
    ways = (
        ("mpy", "`.mpy`", (10500, 7000), (22.5, 26), (21000, 24000)),
        ("romfs", "ROMFS", (4500, 3000), (28, 30), (None, None)),
        ("frozen", "frozen", (2300, 1800), (31, 32), (None, None)),
    )
    echoes = ((100, 17, 13), (1000, 17.5, 14), (4000, 25, 20))
    return [
        *[
            Row(
                f"ESP8266, `.mpy`: smallest heap for 5 binary echoes of {size} B",
                lambda m, size=size: m.heap_for_echo(size),
                round(limit * KIB),
                goal * KIB,
                "KiB",
            )
            for size, limit, goal in echoes
        ],
    ] + [
        row
        for way, name, (limit, goal), (least, wanted), (least_for_tls, wanted_for_tls) in ways
        for row in (
            Row(f"ESP8266, {name}: heap kept after the import", lambda m, way=way: m.kept_by_import(way), limit, goal),
            Row(f"ESP8266, {name}: heap kept by a client", lambda m, way=way: m.kept_by_client(way), None, None),
            Row(
                f"ESP8266, {name}: heap kept by the first connection, background on",
                lambda m, way=way: m.kept_by_connection(way),
                3000,
                2000,
            ),
            Row(
                f"ESP8266, {name}: heap free with a connection open, at least",
                lambda m, way=way: m.free(way),
                round(least * KIB),
                wanted * KIB,
                "KiB",
                least=True,
            ),
            Row(
                f"ESP8266, {name}: heap free when TLS begins, at least",
                lambda m, way=way: m.free_for_tls(way),
                least_for_tls,
                wanted_for_tls,
                least=True,
            ),
        )
    ]


def measure_all(interpreter, rounds, chip=True):
    """Measure every row; return [(row, figure or None, failure or None)]. `chip`: those of the virtual ESP8266 too."""
    results = []
    with loopback_server() as url, tls_server() as tls_url:
        groups = [(Measure(interpreter, url, tls_url, rounds), rows(rounds))]
        if chip:
            groups.append((ChipMeasure(url), chip_rows()))
        wanted = [(row, measure) for measure, group in groups for row in group]
        for row, measure in wanted:
            try:
                results.append((row, row.measure(measure), None))
            except measured.MeasureError as error:
                results.append((row, None, str(error)))
            print(f"size: {row.what}: {_cells(*results[-1])[1]}", file=sys.stderr, flush=True)
    return results


def _cells(row, figure, failure):
    measured = f"failed: {failure}" if failure else row.text(figure)
    if not failure and row.breaks(figure):
        measured += " (over)"
    return row.what, measured, row.text(row.limit), row.text(row.goal)


# Rows that are over their limit, or so near to it that the length of a path decides, with what they may have. Over it
# they are shown as such, and fail when they grow more; a row goes from here when it is well within its limit again.
OVER = {
    "smallest heap for connect, 5 binary echoes of 4000 B, close": int(24.25 * KIB),
    "smallest heap for connect, 5 binary echoes of 16000 B, close": int(48.5 * KIB),
    'smallest heap for 1 MiB received by `"data"` and 1 MiB sent in fragments': int(17.5 * KIB),
    "ESP8266, `.mpy`: smallest heap for 5 binary echoes of 100 B": int(18.5 * KIB),
    "ESP8266, `.mpy`: smallest heap for 5 binary echoes of 1000 B": 21 * KIB,
    "ESP8266, `.mpy`: smallest heap for 5 binary echoes of 4000 B": int(26.5 * KIB),
    "ESP8266, `.mpy`: heap free when TLS begins, at least": 20500,
}


def over(results):
    """Return a line for each row that is over its limit, but no more than it is known to be."""
    return [
        f"{row.what}: {row.text(figure)}, over the limit of {row.text(row.limit)}"
        for row, figure, failure in results
        if not failure and row.what in OVER and row.breaks(figure) and not row.breaks(figure, OVER[row.what])
    ]


def broken(results):
    """Return a line for each row that failed or exceeds what is allowed, with the figure and the limit."""
    lines = []
    for row, figure, failure in results:
        limit = OVER.get(row.what, row.limit)
        if failure or row.breaks(figure, limit):
            told = f", the limit is {row.text(limit)}" if limit is not None else ""
            lines.append(f"{row.what}: {f'failed: {failure}' if failure else row.text(figure)}{told}")
    return lines


def version(interpreter):
    """Return what the interpreter says it is."""
    command = [*rigs.command(interpreter), "-c", "import sys; print(sys.version.split('; ')[1])"]
    return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True).stdout.strip()


def short(cells):
    """Return the rows that README.md shows, of those of the whole table."""
    return [row[:2] for row in cells if row[0] in _SHORT]


def main(argv=None):
    """Measure and report; see --help."""
    parser = argparse.ArgumentParser(description="Measure memory use, and fail where a limit is broken.")
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/costs.md, and six rows into README.md"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--rounds", type=int, default=1000, help="rounds of connect, echo, close (default: 1000)")
    parser.add_argument("--where-possible", action="store_true", help="leave out, but for CI, what cannot be judged")
    options = parser.parse_args(argv)
    if options.rounds < 100:
        parser.error("--rounds: at least 100")

    interpreter = "micropython32"
    if interpreter not in rigs.available():
        reason = rigs.missing()[interpreter]
        interpreter = "micropython64"
        print(
            f"size: measured on the 64-bit interpreter, where objects are twice as large and the limits do not "
            f"hold: no micropython32: {reason} (try: make setup)",
            file=sys.stderr,
        )
        if options.where_possible and os.environ.get("CI") != "true":
            print("left out: the limits of memory, which are those of 32 bits")
            return 0
    chip = interpreter == "micropython32"
    try:
        if chip:
            rigs.need(CHIP)
    except rigs.RigMissing as error:
        print(f"size: {error}", file=sys.stderr)
        if os.environ.get("CI") == "true" or not options.where_possible:
            return 1
        print("left out: the memory that is taken on an ESP8266")
        chip = False
    try:
        results = measure_all(interpreter, options.rounds, chip)
        name = f"{version(interpreter)}, {'32' if interpreter == 'micropython32' else '64'} bits"
    except (compiler.BuildError, rigs.RigMissing) as error:
        print(f"size: {error}", file=sys.stderr)
        return 1

    header = ("what", "measured", "limit", "goal")
    cells = [_cells(*result) for result in results]
    if options.json:
        keys = ("what", "measured", "limit", "goal", "failure")
        lines = [(row.what, figure, row.limit, row.goal, failure) for row, figure, failure in results]
        print(json.dumps({"interpreter": name, "rows": [dict(zip(keys, x, strict=True)) for x in lines]}, indent=2))
    else:
        print(report.aligned(header, cells))
    if interpreter != "micropython32":
        return 0
    if options.write:
        text = f"{report.markdown(header, cells)}\n\nMeasured with {report.origin('make size', name)}."
        try:
            generated.write(COSTS, "size", text)
            generated.write(README, "costs", report.markdown(header[:2], short(cells)))
        except (OSError, ValueError) as error:
            print(f"size: {error}", file=sys.stderr)
            return 1
    for line in over(results):
        print(f"size: {line}", file=sys.stderr)
    too_large = broken(results)
    for line in too_large:
        print(f"size: {line} (try: make size on the change before)", file=sys.stderr)
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main())
