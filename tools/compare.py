"""Measure this client beside the others that a user of MicroPython could pick: memory, speed, and what they do.

All run on the same 32-bit MicroPython, from .mpy files made with the same options, and play the same sessions
(tools/programs/compare/): a generator yields what is to be sent and is given what has come, and a module for each
client drives it as that client's documentation says. Others' versions are pinned in pyproject.toml.

- Heap kept: gc.mem_alloc() after gc.collect(), before and after the import, in a fresh interpreter.
- Smallest heap: bisection of -X heapsize= in steps of 1 KiB; a size counts when three runs in a row succeed.
- Speed: a raw socket and the client take turns in one program, with the same server; medians of the rounds.
- What they do: tools/common/probe_server.py.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from common import chart, compiler, generated, measured, probe_server, report, rigs

PROGRAMS = rigs.ROOT / "tools" / "programs" / "compare"
DOCS = rigs.ROOT / "docs"
PAGE = DOCS / "comparison.md"
README = rigs.ROOT / "README.md"
INTERPRETER = "micropython32"

KIB = 1024
ECHOES = (100, 1000, 4000, 16000)
SIZES = (128, 1024, 4096, 16384, 65536)
WAYS = {"echo": "one echo", "out": "one message sent", "in": "one message received"}

_RUNS = 3
_TIMEOUT_S = 20
_SPEED_TIMEOUT_S = 120
_SPEED_HEAP = "2m"
_TURN_MS = 40
_STARTS = 3  # how fast processes wake each other differs from start to start
_AT_ONCE = 8
_ENDING_S = 3


@dataclass(frozen=True)
class Client:
    """A client to measure: what it is called, the module that drives it, what its programs import, its packages.

    `packages` are those of PyPI, `folders` what lies in the rig.
    """

    title: str
    module: str
    statement: str
    packages: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    ours: bool = False
    viper: bool = False


OURS = Client("this client", "via_uwebsocket", "import uwebsocket_client", ours=True)
CLIENTS = (
    OURS,
    Client("this client, viper", "via_uwebsocket", "import uwebsocket_client", ours=True, viper=True),
    Client(
        "chumicro-websockets",
        "via_chumicro",
        "from chumicro_sockets.sockets_factory import connector_factory\n"
        "from chumicro_timing import ticks_ms\n"
        "from chumicro_websockets import WebSocketClient, WebSocketState",
        ("chumicro-websockets", "chumicro-sockets", "chumicro-timing"),
        ("chumicro_websockets", "chumicro_sockets", "chumicro_timing"),
    ),
    Client(
        "micropython-websockets",
        "via_websockets",
        "import asyncio\nfrom micropython_websockets import websockets",
        ("micropython-websockets",),
        ("micropython_websockets",),
    ),
    Client(
        "micropython-websocket",
        "via_websocket",
        "from micropython_websocket import websocket",
        ("micropython-websocket",),
        ("micropython_websocket",),
    ),
    Client(
        "micropython-async-websocket-client",
        "via_async_client",
        "import asyncio\nfrom async_websocket_client.ws import AsyncWebsocketClient",
        ("micropython-async-websocket-client",),
        ("async_websocket_client",),
    ),
)
AIOHTTP = Client("aiohttp of micropython-lib", "via_aiohttp", "import asyncio\nimport aiohttp", folders=("aiohttp",))


class Bench:
    """One client, compiled beside the programs into a folder of its own, and what is measured of it."""

    def __init__(self, client, packages):
        self.client = client
        self._command = rigs.command(INTERPRETER)
        self._env = rigs.device_env(INTERPRETER, built=True) | {"MICROPYPATH": ".frozen"}
        self.folder = rigs.BUILD / "compare" / (client.module + ("_viper" if client.viper else ""))
        self._compile(packages)

    def _compile(self, packages):
        """Compile the client and the programs, as `make deploy` would for a board."""
        programs = [*PROGRAMS.glob("compare_*.py"), PROGRAMS / f"{self.client.module}.py"]
        if self.client.ours:
            measured.compile_programs(INTERPRETER, programs, self.folder, self.client.viper)
            return
        compiler.build_folder(programs, self.folder)
        for name in self.client.folders:
            for source in sorted((packages / name).rglob("*.py")):
                target = self.folder / source.relative_to(packages).with_suffix(".mpy")
                compiler.compile_file(source, target)
        # A board's firmware has a module `ssl`, which some import at once; this interpreter has only `tls`.
        stand_in = self.folder / "ssl.py"
        stand_in.write_text("")
        compiler.compile_file(stand_in, self.folder / "ssl.mpy")
        stand_in.unlink()

    def _start(self, arguments, heap=None, timeout_s=_TIMEOUT_S):
        """Run a program; return what it printed."""
        return measured.run(INTERPRETER, self.folder, ["-m", *map(str, arguments)], heap=heap, timeout_s=timeout_s)

    def kept(self):
        """Return the heap that the import keeps, in bytes."""
        return int(self._start(["compare_import", self.client.statement]))

    def heap_for_echo(self, url, size):
        """Return the smallest heap for connect, five echoes of `size` bytes, close, in bytes."""

        def attempt(heap):
            for _ in range(_RUNS):
                self._start(["compare_echo", self.client.module, url, size], heap)

        return measured.smallest(attempt, 4 * KIB, 256 * KIB, KIB)

    def turns(self, address, rounds, sizes=SIZES):
        """Run the speed program once; return what it printed, and why it stopped early or None."""
        program = ["compare_speed", self.client.module, *address, rounds, _TURN_MS, *sizes]
        try:
            return self._start(program, _SPEED_HEAP, _SPEED_TIMEOUT_S), None
        except measured.MeasureError as error:
            return error.printed, f"speed: {error}"

    def finding(self, probe):
        """Play a probe with the client; return its Finding."""
        limit_s = probe_server.LIMIT_S if probe.limited else 0

        def start(port):
            url = f"ws://127.0.0.1:{port}/"
            command = [*self._command, "-m", "compare_probe", self.client.module, url, probe.mode, str(limit_s)]
            output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
            process = subprocess.Popen(command, cwd=self.folder, env=self._env, **output)

            def finish():
                try:
                    return process.communicate(timeout=_ENDING_S)[0]
                except subprocess.TimeoutExpired:
                    process.kill()
                    return process.communicate()[0]

            return finish

        return probe_server.examine(probe, start)


def speeds(printed, rounds):
    """Return {(way, size): (microseconds, times of a raw socket)} per message: medians of what was printed.

    What was not measured `rounds` times is left out.
    """
    turns = {}
    for line in printed.splitlines():
        way, *numbers = line.split()
        if way in WAYS and len(numbers) == 5:
            size, count_raw, raw, count, took = map(int, numbers)
            turns.setdefault((way, size), []).append((took / count, took / count / max(1, raw) * count_raw))
    return {
        what: tuple(statistics.median(column) for column in zip(*rows, strict=True))
        for what, rows in turns.items()
        if len(rows) == rounds
    }


@dataclass(frozen=True)
class Result:
    """All that was measured of a client; None where it could not be, with the reason in `failures`."""

    client: Client
    kept: int | None
    heaps: dict
    speeds: dict
    findings: dict
    failures: tuple[str, ...] = ()

    @property
    def passed(self):
        """How many of the probes it passes."""
        return sum(finding.passed for finding in self.findings.values())


def _attempt(failures, what, measure):
    try:
        return measure()
    except measured.MeasureError as error:
        failures.append(f"{what}: {error}")
        return None


def _say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


def probes():
    """Return all probes, in order."""
    return [probe for group in probe_server.PROBES.values() for probe in group]


def measure(clients, packages, rounds):
    """Measure the clients; return their Results. `packages` tells the folder that a client's packages lie in."""
    benches = [Bench(client, packages(client)) for client in clients]
    failures = {bench: [] for bench in benches}
    kept, heaps, found = {}, {}, {}
    with probe_server.speed_server() as address, ThreadPoolExecutor(os.cpu_count()) as pool:
        url = "ws://{}:{}/".format(*address)

        def memory(bench):
            kept[bench] = _attempt(failures[bench], "import", bench.kept)
            heaps[bench] = {
                size: _attempt(failures[bench], f"echoes of {size} B", lambda size=size: bench.heap_for_echo(url, size))
                for size in ECHOES
            }
            _say(f"{bench.client.title}: memory")

        list(pool.map(memory, benches))
    with probe_server.speed_server() as address, measured.awake_processors():
        printed = dict.fromkeys(benches, "")
        for start in range(_STARTS):
            for bench in benches:
                text, failure = bench.turns(address, rounds)
                printed[bench] += text
                failures[bench] += [failure] * bool(failure)
            _say(f"speed, {start + 1} of {_STARTS}")
        fast = {bench: speeds(text, rounds * _STARTS) for bench, text in printed.items()}
    # Most of a probe is waiting.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for bench in benches:
            if not bench.client.viper:
                found[bench] = {probe: pool.submit(bench.finding, probe) for probe in probes()}
        for bench, futures in found.items():
            found[bench] = {probe: future.result() for probe, future in futures.items()}
            _say(f"{bench.client.title}: probes")
    return [
        Result(bench.client, kept[bench], heaps[bench], fast[bench], found.get(bench, {}), tuple(failures[bench]))
        for bench in benches
    ]


# Tables.


def _kib(heap):
    return "fails" if heap is None else f"{heap / KIB:g}"


def _figure(value):
    """Return a number with about three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _time(microseconds):
    return f"{_figure(microseconds)} us" if microseconds < 1000 else f"{_figure(microseconds / 1000)} ms"


def _speed(result, way, size):
    if (way, size) not in result.speeds:
        return "fails"
    microseconds, times = result.speeds[way, size]
    return f"{_time(microseconds)}, {_figure(times)}x"


def _size(size):
    return f"{size} B" if size < KIB else f"{size // KIB} KiB"


def _cell(finding):
    if finding.what in ("yes", "no"):
        return finding.what if finding.passed else f"**{finding.what}**"
    return f"yes: {finding.what}" if finding.passed else f"**no**: {finding.what}"


def memory_table(results):
    """Return header and rows of the memory table, in bytes and KiB."""
    rows = [["heap kept after the import, B", *("fails" if one.kept is None else str(one.kept) for one in results)]]
    for size in ECHOES:
        rows.append([f"smallest heap for five echoes of {size} B, KiB", *(_kib(one.heaps[size]) for one in results)])
    return ["", *(one.client.title for one in results)], rows


def speed_table(results, way):
    """Return header and rows of one of WAYS: time for a message, and how many times a raw socket's that is."""
    rows = [[_size(size), *(_speed(one, way, size) for one in results)] for size in SIZES]
    return [WAYS[way], *(one.client.title for one in results)], rows


def probe_table(results, group):
    """Return header and rows of a group of probes."""
    results = [one for one in results if one.findings]
    rows = [[probe.title, *(_cell(one.findings[probe]) for one in results)] for probe in probe_server.PROBES[group]]
    return [group, *(one.client.title for one in results)], rows


def readme_table(results):
    """Return header and six rows: the page in short."""
    shown = [one for one in results if one.findings]
    total = len(probes())
    rows = [
        ["heap kept after the import", *("fails" if one.kept is None else f"{one.kept} B" for one in shown)],
        *(
            [f"smallest heap for echoes of {size} B", *(f"{_kib(one.heaps[size])} KiB" for one in shown)]
            for size in (100, 4000)
        ),
        *(
            [f"one echo of {_size(size)}, and times of a raw socket", *(_speed(one, "echo", size) for one in shown)]
            for size in (SIZES[0], SIZES[-1])
        ),
        ["probes passed", *(f"{one.passed} of {total}" for one in shown)],
    ]
    return ["", *(one.client.title for one in shown)], rows


def memory_chart(results):
    """Return the memory table as SVG."""
    values = {one.client.title: one.kept and one.kept / KIB for one in results}
    groups = [chart.Bars("heap kept after the import, KiB", values)]
    for size in ECHOES:
        values = {one.client.title: one.heaps[size] and one.heaps[size] / KIB for one in results}
        groups.append(chart.Bars(f"smallest heap for five echoes of {size} B, KiB", values))
    return chart.bars(groups, OURS.title)


def speed_chart(results):
    """Return how many times a raw socket's an echo takes, as SVG."""
    groups = []
    for size in SIZES:
        values = {one.client.title: one.speeds.get(("echo", size), (None, None))[1] for one in results}
        title = f"time of one echo of {_size(size)}, in times of a raw socket's (logarithmic)"
        groups.append(chart.Bars(title, values))
    return chart.bars(groups, OURS.title, logarithmic=True)


def page(results, origin):
    """Return the generated part of the page, as Markdown."""
    parts = [
        origin,
        "### Memory",
        report.markdown(*memory_table(results)),
        "![memory](comparison-memory.svg)",
        "### Speed",
        *(report.markdown(*speed_table(results, way)) for way in WAYS),
        "![speed](comparison-speed.svg)",
        "### What they do",
        *(report.markdown(*probe_table(results, group)) for group in probe_server.PROBES),
    ]
    failures = [f"- {one.client.title}, {failure}" for one in results for failure in one.failures]
    if failures:
        parts += ["What failed:", "\n".join(failures)]
    return "\n\n".join(parts)


def versions(clients, aiohttp):
    """Return the pinned versions of what the clients are made of."""
    pins = rigs.PINS["tool"]["uwebsocket"]["compare"]["packages"]
    wanted = {name for client in clients for name in client.packages}
    found = [pin for pin in pins if pin.partition("==")[0] in wanted]
    if aiohttp:
        manifest = aiohttp / "manifest.py"
        found_version = re.search(r'version="([^"]+)"', manifest.read_text() if manifest.exists() else "")
        found.append(f"aiohttp {found_version[1] if found_version else 'of unknown version'}")
    return found


def version():
    """Return what the interpreter says it is."""
    command = [*rigs.command(INTERPRETER), "-c", "import sys; print(sys.version.split('; ')[1])"]
    return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True).stdout.strip()


def write(results, origin):
    """Put tables and charts where they are read."""
    generated.write(PAGE, "comparison", page(results, origin))
    (DOCS / "comparison-memory.svg").write_text(memory_chart(results))
    (DOCS / "comparison-speed.svg").write_text(speed_chart(results))
    generated.write(README, "comparison", f"{report.markdown(*readme_table(results))}\n\n{origin}")


def main(argv=None):
    """Measure and print the tables; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=3, help=f"turns of raw socket and client in each of {_STARTS} starts (default: 3)"
    )
    parser.add_argument("--only", metavar="MODULE,...", help="of these (via_uwebsocket ...) alone")
    parser.add_argument("--aiohttp", type=Path, metavar="FOLDER", help="also aiohttp, from micropython-lib's")
    parser.add_argument("--write", action="store_true", help="put tables and charts into README.md and docs/")
    options = parser.parse_args(argv)
    clients = [*CLIENTS, *[AIOHTTP] * bool(options.aiohttp)]
    if options.only:
        modules = {client.module for client in clients}
        if options.write or not set(options.only.split(",")) <= modules:
            parser.error(f"--only takes {', '.join(sorted(modules))}, and goes without --write")
        clients = [client for client in clients if client.module in options.only.split(",")]
    if options.rounds < 1:
        parser.error("--rounds takes at least 1")
    if options.aiohttp and not (options.aiohttp / "aiohttp" / "aiohttp_ws.py").exists():
        parser.error(f"no aiohttp/aiohttp_ws.py in {options.aiohttp} (try: python-ecosys/aiohttp of micropython-lib)")
    try:
        rigs.need("other-clients")
        packages = rigs.OTHER_CLIENTS
        results = measure(clients, lambda client: options.aiohttp if client is AIOHTTP else packages, options.rounds)
    except (compiler.BuildError, rigs.RigMissing) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    command = 'make compare ARGS="--aiohttp FOLDER"' if options.aiohttp else "make compare"
    origin = report.origin(command, version(), *versions(clients, options.aiohttp))
    tables = [memory_table(results), *(speed_table(results, way) for way in WAYS)]
    tables += [probe_table(results, group) for group in probe_server.PROBES]
    print(*(report.aligned(*table) for table in tables), origin, sep="\n\n")
    for one in results:
        for failure in one.failures:
            print(f"{one.client.title}, {failure}")
    if options.write:
        try:
            write(results, origin)
        except (FileNotFoundError, ValueError) as error:
            print(f"compare: {error} (try: without --write)", file=sys.stderr)
            return 1
    broken = [failure for one in results if one.client.ours for failure in one.failures]
    if broken:
        print(f"compare: this client fails: {broken[0]} (try: make demo, which shows where)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
