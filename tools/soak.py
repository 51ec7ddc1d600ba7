"""Let the client talk for a long time, in a heap as small as the ESP8266's, to a server that ends every connection.

The server closes, resets, stalls, goes slow, refuses, breaks the protocol or is away, as the seed says; the client
connects again each time. The run fails when a message is lost or changed, when "close" tells another status than the
ending deserves, when the client stands still, when a socket stays open, or when the heap in use grows or falls to
pieces. What was measured goes to build/soak: soak.jsonl, a line every few seconds, and soak.svg.
"""

import argparse
import collections
import json
import queue
import re
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass

from common import chart, compiler, report, rigs, soak_server

PROGRAM = rigs.ROOT / "tools" / "programs" / "soak" / "soak_program.py"
OUT = rigs.BUILD / "soak"
SABOTAGES = ("heap", "descriptors", "hang", *soak_server.SABOTAGES)

_HANG_S = 20  # the longest silence of the program: the slowest endings take 3 s
_SAMPLE_S = 5
_SAMPLES_MIN = 20
_WARM_UP = 0.2  # of all samples
_GROWTH_B = 128  # how far the heap in use may differ between two moments of rest
_PIECE_LEFT = 0.75  # of the largest free piece
_BLOCK_B = {"micropython32": 16, "micropython64": 32, rigs.CHIP: 16}  # the heap's unit


class SoakError(RuntimeError):
    """The run has failed; the text says why."""


@dataclass(frozen=True)
class Sample:
    """A few seconds of the run: the least heap in use at rest, the largest free piece, the rest as at the end."""

    seconds: float
    used: int
    free: int
    largest: int
    messages: int
    connections: int
    descriptors: int


class Log:
    """Gathers what the program tells after each close into samples, and writes them to soak.jsonl."""

    def __init__(self, path, every_s, block):
        self.samples = []
        self.statuses = collections.Counter()
        self._file = open(path, "w")
        self._every_s = every_s
        self._block = block
        self._begin = time.monotonic()
        self._closes = []
        self._largest = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._flush()
        self._file.close()

    def seconds(self):
        """Return the time since the beginning."""
        return time.monotonic() - self._begin

    def heap_map(self, text):
        """Take a line of the program's map of the heap."""
        if found := re.search(r"max free sz: (\d+)", text):
            self._largest = int(found[1]) * self._block

    def close(self, told):
        """Take what the program tells after a close; return the new sample if it is time for one."""
        self.statuses[told["status"]] += 1
        self._closes.append((told, self._largest))
        due = len(self.samples) * self._every_s + self._every_s
        return self._flush() if self.seconds() >= due else None

    def _flush(self):
        if not self._closes:
            return None
        last = self._closes[-1][0]
        sample = Sample(
            round(self.seconds(), 1),
            min(told["used"] for told, _ in self._closes),
            last["free"],
            max(largest for _, largest in self._closes),
            last["messages"],
            self.statuses.total(),
            last["descriptors"],
        )
        self._closes.clear()
        self.samples.append(sample)
        self._file.write(json.dumps(asdict(sample)) + "\n")
        self._file.flush()
        return sample


class Program:
    """The client on MicroPython: a subprocess whose lines come with a bounded wait; a context manager."""

    def __init__(self, rig, url, seconds, sabotage):
        folder = OUT / "program"
        compiler.build_folder([*compiler.sources(), PROGRAM], folder)
        env = rigs.device_env(rig, built=True)
        if rig == rigs.CHIP:
            options = [str(PROGRAM)]
        else:
            options = ["-X", f"heapsize={rigs.HEAPS[rig]}", "-m", PROGRAM.stem]
            env |= {"MICROPYPATH": ".frozen"}
        self._process = subprocess.Popen(
            [*rigs.command(rig), *options, url, str(seconds), sabotage or "none"],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line.rstrip())
        self._lines.put(None)

    def lines(self):
        """Generate the lines until the program has ended well; SoakError where it hangs or fails."""
        last = ""
        while True:
            try:
                line = self._lines.get(timeout=_HANG_S)
            except queue.Empty:
                raise SoakError(f"the client stands still: nothing was told for {_HANG_S} s") from None
            if line is None:
                break
            last = line
            yield line
        if self._process.wait(_HANG_S):
            raise SoakError(f"the program ended with {self._process.returncode}: {last}")


def judge(told, seen, descriptors):
    """Raise SoakError where an attempt did not end as the server made it end; `descriptors`: those in use at first."""
    ending = seen.ending
    wrong = None
    if told["status"] != ending.status:
        wrong = f"status {told['status']} instead of {ending.status}"
    elif seen.code != seen.heard:
        wrong = f"the client sent Close {seen.heard} instead of {seen.code}"
    elif ending.status == -6 and told["code"] != seen.code:
        wrong = f"close_code {told['code']} instead of {seen.code}"
    elif told["echoed"] > seen.echoed or told["echoed"] < seen.echoed and not ending.loses:
        wrong = f"{told['echoed']} messages came back, {seen.echoed} were sent back"
    elif told["descriptors"] > descriptors:
        wrong = f"{told['descriptors']} descriptors are open, {descriptors} were at first"
    if wrong:
        raise SoakError(f"attempt {told['attempt']}: {wrong}")


def judge_heap(samples):
    """Raise SoakError where the heap in use grows over the run, or where its free part falls to pieces."""
    steady = samples[int(len(samples) * _WARM_UP) :]
    halves = steady[: len(steady) // 2], steady[len(steady) // 2 :]
    if not all(halves):
        raise SoakError("too few connections to judge the heap")
    before, after = (min(sample.used for sample in half) for half in halves)
    if after - before > _GROWTH_B:
        raise SoakError(f"the heap in use has grown from {before} to {after} B")
    before, after = (max(sample.largest for sample in half) for half in halves)
    if after < before * _PIECE_LEFT:
        raise SoakError(f"the largest free piece has shrunk from {before} to {after} B")


def run(rig, seconds, seed, sabotage=None):
    """Run the client against the server for so many seconds; return the Log, or raise SoakError at the first fault."""
    OUT.mkdir(parents=True, exist_ok=True)
    every_s = min(_SAMPLE_S, seconds / _SAMPLES_MIN)
    with (
        Log(OUT / "soak.jsonl", every_s, _BLOCK_B[rig]) as log,
        soak_server.SoakServer(seed, sabotage) as server,
        Program(rig, server.url, seconds, sabotage) as program,
    ):
        descriptors = None
        for line in program.lines():
            if not line.startswith("{"):
                if line.startswith("ValueError: "):  # of a handler: the chip's background prints it, and goes on
                    raise SoakError(line)
                log.heap_map(line)
                continue
            told = json.loads(line)
            if told["last"]:  # ended by the program itself
                continue
            if descriptors is None:
                descriptors = told["descriptors"]
            judge(told, server.take(told["attempt"]), descriptors)
            if told["by_hand"] != 1 + log.statuses[0]:
                raise SoakError(f"attempt {told['attempt']}: the client did not connect again by itself")
            sample = log.close(told)
            if sample and every_s == _SAMPLE_S:
                print(f"soak: {sample.seconds:.0f} s, {sample.connections} connections, {sample.messages} messages, "
                      f"heap in use {sample.used} B, largest free {sample.largest} B", flush=True)  # fmt: skip
    judge_heap(log.samples)
    return log


def draw(samples):
    """Return the chart of a run."""
    pairs = list(zip([Sample(*[0] * 7), *samples], samples, strict=False))
    rates = {
        name: [(getattr(b, name) - getattr(a, name)) / max(b.seconds - a.seconds, 0.1) for a, b in pairs]
        for name in ("messages", "connections")
    }
    columns = {name: [getattr(sample, name) for sample in samples] for name in ("used", "free", "largest")}
    panels = (
        chart.Panel("heap between connections, bytes", columns),
        chart.Panel("messages a second", {"messages": rates["messages"]}),
        chart.Panel("connections a second", {"connections": rates["connections"]}),
        chart.Panel("open descriptors", {"descriptors": [sample.descriptors for sample in samples]}),
    )
    return chart.svg(panels, [sample.seconds for sample in samples])


def _load(path):
    return [Sample(**json.loads(line)) for line in path.read_text().splitlines()]


def main(argv=None):
    """Run the soak test; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="what decides everything that the server does (default: 1)")
    parser.add_argument("--on", choices=list(_BLOCK_B), help="the interpreter (default: the 32-bit one where it is)")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="break it on purpose: the run must then fail")
    options = parser.parse_args(argv)
    if options.minutes < 0.1:
        parser.error("--minutes: at least 0.1")
    try:
        rig = options.on or rigs.nearest_to_a_board()
        print(rigs.describe(rig), flush=True)
        log = run(rig, options.minutes * 60, options.seed, options.sabotage)
    except (compiler.BuildError, rigs.RigMissing) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    except SoakError as error:
        print(f"soak: {error} (try: the same --seed {options.seed}, and build/soak/soak.jsonl)", file=sys.stderr)
        return 1
    finally:
        if (OUT / "soak.jsonl").exists():
            (OUT / "soak.svg").write_text(draw(_load(OUT / "soak.jsonl")))
    first, last = log.samples[0], log.samples[-1]
    statuses = [[str(status), str(count)] for status, count in sorted(log.statuses.items())]
    print(report.aligned(["status", "connections"], statuses))
    print(f"\n{last.messages} messages came back unchanged; heap in use {first.used} B at first, {last.used} B at last")
    print(f"{(OUT / 'soak.svg').relative_to(rigs.ROOT)} shows the run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
