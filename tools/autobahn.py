"""Run the cases of Autobahn's fuzzing server on every interpreter and hold the results against the accepted ones.

The server is a program of Python 2.7; the first run unpacks that and the server under .rigs/autobahn, beside
the system. Its report goes to build/autobahn (index.html). A case that is neither OK nor INFORMATIONAL fails the run
unless tools/programs/autobahn/accepted.json names it, with the reason; so does one that crashes or takes too long.
"""

import argparse
import ast
import contextlib
import datetime
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import namedtuple
from pathlib import Path

from common import generated, install, loopback, report, rigs

RIG = rigs.RIGS / "autobahn"
OUT = rigs.BUILD / "autobahn"
CLIENT = rigs.ROOT / "tools" / "programs" / "autobahn" / "autobahn_client.py"
ACCEPTED = rigs.ROOT / "tools" / "programs" / "autobahn" / "accepted.json"
DOCUMENT = rigs.ROOT / "docs" / "autobahn.md"
README = rigs.ROOT / "README.md"

SECTIONS = {
    "1": "Framing",
    "2": "Pings and pongs",
    "3": "Reserved bits",
    "4": "Opcodes",
    "5": "Fragmentation",
    "6": "UTF-8",
    "7": "Close handshake",
    "9": "Limits and performance",
    "10": "Auto-fragmentation",
    "12": "Compression",
    "13": "Compression parameters",
}
# Which of them run: in `make test`, and by default in `make autobahn`.
QUICK = "1-7,10"
FULL = "1-7,9,10"
COMPRESSED_SECTIONS = ("12", "13")
GOOD = ("OK", "INFORMATIONAL")
HEAP = "128m"  # case 9.1.6 needs 16 MiB several times: received, decoded, sent
# The virtual ESP8266 runs each case in the chip's heap, but for these, whose messages no chip could hold: they get one
# that QEMU has, the largest that the port can use. Those of TOO_LONG, with messages of 1 MiB and more or very many, are
# left out.
CHIP_HEAP = "38k"
LONG_HEAP = "1m"
LONG = (
    "1.1.6", "1.1.7", "1.1.8", "1.2.6", "1.2.7", "1.2.8", "7.1.6", "9.1.1", "9.1.2", "9.2.1", "9.2.2",
    "10.1.1",
)  # fmt: skip
TOO_LONG = (
    "9.1.3", "9.1.4", "9.1.5", "9.1.6", "9.2.3", "9.2.4", "9.2.5", "9.2.6", "9.3.", "9.4.", "9.5.", "9.6.", "12.",
    "13.",
)  # fmt: skip
# A column each.
AGENTS = (*rigs.INTERPRETERS, rigs.CHIP)
SERVER_SECONDS = 30
GRACE_SECONDS = 30  # what the client is given beyond its own bound before it is ended

Result = namedtuple("Result", "agent case behavior close")
Result.__doc__ = "What became of one case: Autobahn's verdict on the behaviour and on how the connection was closed."


class AutobahnError(RuntimeError):
    """The run cannot go on; the text says why and what to do."""


# The server and its Python


def bring_server(table, folder=RIG):
    """Put Python 2.7 and the fuzzing server into `folder`, where what `table` pins is not there yet; return the paths.

    `table` is [tool.uwebsocket.autobahn] of pyproject.toml. The paths are Python's root and the server's modules.
    """
    architecture = install.run(["dpkg", "--print-architecture"]).strip()
    python = folder / "python"
    changed = install.unpack_debian(python, architecture, [table["suite"]], table["debian"], recurse=False)
    modules = folder / install.fingerprint(table, architecture)[:16]
    if changed or not modules.exists():
        with tempfile.TemporaryDirectory(dir=folder, prefix=".unfinished-") as scratch:
            _install_modules(python, Path(scratch) / "modules", table)
            for old in folder.glob("[0-9a-f]" * 16):
                shutil.rmtree(old)
            (Path(scratch) / "modules").rename(modules)
    return python, modules


def _install_modules(python, modules, table):
    install.say("autobahn: the fuzzing server's packages")
    for wheel in (python / "usr/share/python-wheels").glob("*.whl"):
        shutil.unpack_archive(wheel, modules / "pip", "zip")
    argv, env = python2(python, modules)
    pip = [*argv, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-python-version-warning"]
    # Twisted comes last: other packages write into its folder.
    for packages in (table["packages"], table["packages_last"]):
        install.run([*pip, "install", "--no-deps", "--upgrade", "--target", modules / "site", *packages], env=env)
    (modules / "site/zope/__init__.py").touch()
    source = modules / "source"
    # Not by the pip of Python 2.7: 20.3.4 ends with an AssertionError when it only downloads an archive.
    pip = [*rigs.command("cpython"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    install.run([*pip, "download", "--no-deps", "--no-binary", ":all:", "--dest", source, table["server"]])
    shutil.unpack_archive(next(source.glob("*.tar.gz")), source)
    next(source.glob("*/setup.py")).parent.rename(modules / "suite")
    (modules / "suite/requirements.txt").touch()


def python2(python, modules):
    """Return (argv prefix, environment) of Python 2.7 with the server's modules."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env |= {
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, sorted((python / "usr/lib").glob("*-linux-gnu*")))),
        "PYTHONHOME": str(python / "usr"),
        "PYTHONPATH": os.pathsep.join(str(modules / name) for name in ("site", "suite", "pip")),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return [str(python / "usr/bin/python2.7")], env


@contextlib.contextmanager
def serving(start, env, patterns, out):
    """Run the fuzzing server on a loopback port, reporting to `out`: yields its URL and the ids of its cases.

    `start` and `env` are those of python2().
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    port = loopback.free_port()
    url = f"ws://127.0.0.1:{port}"
    spec = out / "server.json"
    spec.write_text(json.dumps({"url": url, "outdir": str(out), "cases": patterns, "exclude-agent-cases": {}}))
    program = "from autobahntestsuite.wstest import run; run()"
    # -u 0: without a web server of its own, which would want port 8080.
    argv = [*start, "-c", program, "-m", "fuzzingserver", "-s", str(spec), "-u", "0"]
    log = out / "server.log"
    with log.open("w") as stream:
        process = subprocess.Popen(argv, cwd=out, env=env, stdout=stream, stderr=subprocess.STDOUT)
    try:
        cases = _case_ids(process, log)
        if not loopback.listens(process, port, SERVER_SECONDS):
            raise _not_started(log)
        yield url, cases
    finally:
        loopback.end(process)


def _case_ids(process, log):
    """Wait until the server lists its cases, the last thing that it says before it listens."""
    end = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("Cases = ") and line.endswith("]"):
                return ast.literal_eval(line.removeprefix("Cases = "))
        time.sleep(0.1)
    raise _not_started(log)


def _not_started(log):
    said = log.read_text().strip().splitlines() or ["nothing"]
    return AutobahnError(f"the fuzzing server does not listen, it said: {said[-1]} (see {log}; try: once more)")


# The client


def expand(cases):
    """Turn "1-3,9.1.6,10" into the server's patterns: ["1.*", "2.*", "3.*", "9.1.6", "10.*"]."""
    patterns = []
    for part in cases.split(","):
        first, dash, last = part.partition("-")
        numbers = part.replace("-", ".").split(".")
        if not all(number.isdecimal() for number in numbers) or ("." in part and dash):
            raise ValueError(f"{part!r} is no section, range of sections or case (try: 1-7,9,10 or 9.1.6)")
        if "." in part:
            patterns.append(part)
        else:
            patterns += [f"{n}.*" for n in range(int(first), int(last or first) + 1) if str(n) in SECTIONS]
    if not patterns:
        raise ValueError(f"{cases!r} names no section of the suite (one of: {', '.join(SECTIONS)})")
    return patterns


def _lines(process, silence, deadline):
    """Yield the lines that a process prints; TimeoutError after `silence` seconds without one, or at `deadline`."""
    arrived = queue.SimpleQueue()

    def read():
        with process.stdout:
            for line in process.stdout:
                arrived.put(line)
        arrived.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (left := deadline - time.monotonic()) > 0:
        try:
            line = arrived.get(timeout=min(silence, left))
        except queue.Empty:
            break
        if line is None:
            return
        yield line
    raise TimeoutError


def run_client(argv, env, log, seconds, deadline, progress=print):
    """Run the client once: return (number of the case that it did not survive or None, {case number: trouble}).

    Trouble is "TIMEOUT" for a case that took more than `seconds`, "CRASHED" for one that ended the interpreter.
    """
    troubles = {}
    running = None
    with log.open("a") as stream:
        process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=stream, text=True)
    try:
        for line in _lines(process, seconds + GRACE_SECONDS, deadline):
            word, *fields = line.split()
            if word == "start":
                running = int(fields[0])
                progress(running)
            elif word == "end":
                if fields[1] == "timeout":
                    troubles[running] = "TIMEOUT"
                running = None
        if process.wait(GRACE_SECONDS) == 0:
            return None, troubles
        trouble = "CRASHED"
    except (TimeoutError, subprocess.TimeoutExpired):
        trouble = "TIMEOUT"
    finally:
        loopback.end(process)
    if time.monotonic() >= deadline:
        raise AutobahnError("the whole run took too long (try: a larger --seconds, or fewer --cases)")
    if running is None:
        raise AutobahnError(f"the client ended outside of a case (see {log})")
    troubles[running] = trouble
    return running, troubles


def ranges(numbers):
    """Return numbers as the client program takes them: "1-3,5-5" for 1, 2, 3 and 5."""
    parts = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(f"{first}-{last}" for first, last in parts)


def heaps(agent, cases):
    """Return {heap: numbers of the cases that run in it} for an interpreter; None is CPython's heap."""
    if agent not in rigs.VIRTUAL_ESP8266:
        return {None if agent == "cpython" else HEAP: list(range(1, len(cases) + 1))}
    parts = {CHIP_HEAP: [], LONG_HEAP: []}
    for number, case in enumerate(cases, 1):
        if not case.startswith(TOO_LONG):
            parts[LONG_HEAP if case in LONG else CHIP_HEAP].append(number)
    return {heap: numbers for heap, numbers in parts.items() if numbers}


def run_agent(agent, url, cases, case_seconds, deadline, out):
    """Run all cases on interpreter `agent`, starting it again after one that it did not survive: {case: trouble}."""
    env = rigs.device_env(agent) | {"PYTHONUNBUFFERED": "1"}
    compressed = sum(case.partition(".")[0] not in COMPRESSED_SECTIONS for case in cases) + 1  # they come last
    troubles = {}
    played = itertools.count(1)
    number_of_cases = sum(map(len, heaps(agent, cases).values()))

    def progress(_):
        if (number := next(played)) % 50 == 0 or number == number_of_cases:
            print(f"autobahn: {agent}: case {number} of {number_of_cases}", flush=True)

    for heap, numbers in heaps(agent, cases).items():
        argv = [*rigs.command(agent), *(["-X", f"heapsize={heap}"] if heap else [])]
        while numbers:
            rest = [str(CLIENT), url, agent, ranges(numbers), str(compressed), str(case_seconds)]
            lost, found = run_client([*argv, *rest], env, out / f"{agent}.log", case_seconds, deadline, progress)
            troubles |= {cases[number - 1]: trouble for number, trouble in found.items()}
            numbers = numbers[numbers.index(lost) + 1 :] if lost else []
    return troubles


# The verdict


def results(index, agents, cases, troubles):
    """Return a Result for each agent and case, from the server's index.json and the troubles of run_agent()."""
    found = []
    for agent in agents:
        for number in sorted(itertools.chain(*heaps(agent, cases).values())):
            case = cases[number - 1]
            entry = index.get(agent, {}).get(case)
            behavior, close = (entry["behavior"], entry["behaviorClose"]) if entry else ("MISSING", "MISSING")
            found.append(Result(agent, case, troubles.get(agent, {}).get(case, behavior), close))
    return found


def is_good(result):
    """Tell whether a result needs no accepting."""
    return result.behavior in GOOD and result.close in GOOD


def load_accepted(path=ACCEPTED):
    """Read the list of accepted deviations; ValueError where an entry is incomplete.

    Each entry is {"case": "6.4.1", "behavior": "NON-STRICT", "reason": "..."}, with "close" where that is not OK
    either, and "agents" where only some interpreters show it.
    """
    entries = json.loads(path.read_text())
    for entry in entries:
        unknown = set(entry) - {"case", "behavior", "close", "agents", "reason"}
        absent = [key for key in ("case", "behavior", "reason") if not str(entry.get(key, "")).strip()]
        if unknown or absent:
            amiss = [f"without {key}" for key in absent] + [f"unknown key {key}" for key in sorted(unknown)]
            raise ValueError(f"{path.name}: {', '.join(amiss)} (mend: {json.dumps(entry)})")
    return entries


def accepts(entry, result):
    """Tell whether an entry of the accepted list covers a result."""
    return (
        entry["case"] == result.case
        and entry["behavior"] == result.behavior
        and result.close in (*GOOD, entry.get("close"))
        and result.agent in entry.get("agents", [result.agent])
    )


def judge(found, accepted):
    """Split the results that are not good: (not accepted, accepted); and the entries that nothing showed."""
    deviations = [result for result in found if not is_good(result)]
    taken = [result for result in deviations if any(accepts(entry, result) for entry in accepted)]
    refused = [result for result in deviations if result not in taken]
    ran = {result.case for result in found}
    unused = [
        entry for entry in accepted if entry["case"] in ran and not any(accepts(entry, result) for result in taken)
    ]
    return refused, taken, unused


# The summary


def _cell(found, refused, taken, agent, section, cases):
    def count(some):
        return sum(result.agent == agent and result.case.partition(".")[0] == section for result in some)

    parts = [f"{count(found) - count(refused) - count(taken)} OK"]
    parts += [f"{count(some)} {word}" for some, word in ((taken, "accepted"), (refused, "**failed**")) if count(some)]
    if cases > count(found):
        parts.append(f"{cases - count(found)} too long")
    return ", ".join(parts)


def table(found, refused, taken, cases):
    """Return the results as {section: {column: cell}}: its number of `cases`, and a column for each interpreter."""
    agents = list(dict.fromkeys(result.agent for result in found))
    rows = {}
    for section in dict.fromkeys(case.partition(".")[0] for case in cases):
        number = sum(case.partition(".")[0] == section for case in cases)
        cells = {agent: _cell(found, refused, taken, agent, section, number) for agent in agents}
        rows[f"{section} {SECTIONS[section]}"] = {"cases": str(number), **cells}
    return rows


def explain(accepted):
    """Return the accepted deviations, one markdown line each, with the reason."""
    lines = [
        f"- {entry['case']}, {entry['behavior']} ({', '.join(entry.get('agents', ['everywhere']))}): {entry['reason']}"
        for entry in accepted
    ]
    return "\n".join(lines) or "No deviation had to be accepted."


def summarize(rows, origins, server):
    """Return the table as text, and below it what ran, where and when: `origins` is {interpreter: text}."""
    agents = list(dict.fromkeys(agent for cells in rows.values() for agent in cells if agent != "cases"))
    cells = [[section, row["cases"], *(row.get(agent, "") for agent in agents)] for section, row in rows.items()]
    lines = [f"- {agent}: {origins[agent]}" for agent in agents]
    return "\n".join(
        [report.markdown(["section", "cases", *agents], cells), "", f"`make autobahn`, {server}", "", *lines]
    )


def earlier(text):
    """Return (rows, origins) of a summary that stands in `text`, as table() and summarize() have them."""
    lines = text.partition("<!-- autobahn:begin -->")[2].partition("<!-- autobahn:end -->")[0].splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    rows = {section: dict(zip(cells[0][1:], row, strict=True)) for section, *row in cells[2:]}
    agents = {agent for row in rows.values() for agent in row}
    origins = dict(line.removeprefix("- ").split(": ", 1) for line in lines if line.startswith("- "))
    return rows, {agent: origin for agent, origin in origins.items() if agent in agents}


def merged(rows, origins, text):
    """Return rows and origins with those of the summary in `text`, where other interpreters or sections ran."""
    rows_before, origins_before = earlier(text)
    both = {section: rows_before.get(section, {}) | rows.get(section, {}) for section in {**rows_before, **rows}}
    agents = [agent for agent in AGENTS if agent in {**origins_before, **origins}]
    in_order = sorted(both, key=lambda section: int(section.partition(" ")[0]))
    return (
        {
            section: {name: both[section][name] for name in ("cases", *agents) if name in both[section]}
            for section in in_order
        },
        origins_before | origins,
    )


def run(pins, agents, patterns, case_seconds, seconds):
    """Run the cases that `patterns` name on all `agents`; return the results and the cases.

    The server's report is in OUT.
    """
    deadline = time.monotonic() + seconds
    start, env = python2(*bring_server(pins))
    troubles = {}
    with serving(start, env, patterns, OUT) as (url, cases):
        for agent in agents:
            begin = time.monotonic()
            troubles[agent] = run_agent(agent, url, cases, case_seconds, deadline, OUT)
            print(f"autobahn: {agent}: {time.monotonic() - begin:.0f} s", flush=True)
    index = OUT / "index.json"
    if not index.exists():
        raise AutobahnError(f"the server wrote no report (see {OUT / 'server.log'})")
    return results(json.loads(index.read_text()), agents, cases, troubles), cases


def main(argv=None):
    """Run the cases; see --help."""
    parser = argparse.ArgumentParser(description="Run Autobahn's fuzzing server against the client.")
    parser.add_argument("--on", default=",".join(AGENTS), help="interpreters (default: %(default)s)")
    parser.add_argument("--cases", default=FULL, help=f"sections, cases, or: quick, for {QUICK} (default: %(default)s)")
    parser.add_argument("--case-seconds", type=int, default=100, help="bound of one case (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=1800, help="bound of the whole run (default: %(default)s)")
    parser.add_argument(
        "--write", action="store_true", help="write these columns of the table in README.md and docs/autobahn.md"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be run")
    parser.add_argument("--where-possible", action="store_true", help="leave out, but for CI, what is missing here")
    options = parser.parse_args(argv)
    agents = options.on.split(",")
    if options.where_possible and os.environ.get("CI") != "true":
        agents = [agent for agent in agents if agent not in rigs.missing()]
        if not agents or not shutil.which("apt-get"):
            print("left out: autobahn: its server needs apt, and an interpreter to run on")
            return 0
    pins = install.load_pins()["tool"]["uwebsocket"]["autobahn"]
    try:
        patterns = expand(QUICK if options.cases == "quick" else options.cases)
        if options.write and not all(pattern.endswith(".*") for pattern in patterns):
            raise ValueError("--write takes whole sections")
        accepted = load_accepted()
        for agent in agents:
            rigs.arch(agent)  # there is such a rig
        if not options.dry_run:
            rigs.need(*agents)
    except (ValueError, rigs.RigMissing) as error:
        print(f"autobahn: {error}", file=sys.stderr)
        return 2
    print(f"autobahn: cases {' '.join(patterns)} on {', '.join(agents)}, report in {OUT}", flush=True)
    if options.dry_run:
        return 0
    try:
        found, cases = run(pins, agents, patterns, options.case_seconds, options.seconds)
        refused, taken, unused = judge(found, accepted)
        rows = table(found, refused, taken, cases)
        today = datetime.date.today().isoformat()
        origins = {agent: f"{rigs.probe(agent)}, {today}" for agent in agents}
        print(summarize(rows, origins, pins["server"]))
        if options.write:
            summary = summarize(*merged(rows, origins, DOCUMENT.read_text()), pins["server"])
            generated.write(README, "autobahn", summary)
            generated.write(DOCUMENT, "autobahn", f"{summary}\n\n{explain(accepted)}")
    except (AutobahnError, install.InstallError, OSError, ValueError) as error:
        print(f"autobahn: {error}", file=sys.stderr)
        return 1
    for entry in unused:
        print(f"autobahn: not seen, so {ACCEPTED.name} may not need it: {entry['case']} {entry['behavior']}")
    for result in refused:
        print(
            f"autobahn: {result.agent}: case {result.case}: {result.behavior}, close: {result.close}"
            f" (see {OUT / 'index.html'}; accept with a reason in {ACCEPTED.name})",
            file=sys.stderr,
        )
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
