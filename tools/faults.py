"""Play rounds against an echo server behind a proxy that delays, cuts, corrupts, stalls and resets.

Every round, on every interpreter, must end with all its messages intact or with exactly one "close" whose status fits
what the proxy did; in bounded time; and the same client must be able to connect again. At the end no socket may be open
and no heap taken that was not before. What the proxy does follows from the seed and the round's number, so a round that
failed is repeated with --only. Rounds, plans and results go to build/faults, one line of JSON for each.
"""

import argparse
import collections
import contextlib
import errno
import itertools
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from common import certificates, echo_server, fault_proxy, report, rigs

PROGRAM = rigs.ROOT / "tools" / "programs" / "faults" / "faults_program.py"
OUT = rigs.BUILD / "faults"
SCHEMES = ("ws", "wss")
SCHEMES_OF = {rigs.CHIP: ("ws",)}  # the virtual ESP8266 has no TLS
NAMES = (*rigs.INTERPRETERS, rigs.CHIP)
ROUNDS = 400

_HEAP = "4m"
_AT_ONCE = 16  # interpreters; most of the time they wait
_SHARE = 50  # rounds of one interpreter
_ROUND_S = 10
_START_S = 30
_LONGEST_MS = 7000  # of a round: its time-outs, and a busy machine
_LONGEST_POLL_MS = 2500
_HEAP_GROWTH = 4096
_FIRST_LINE = 34  # bytes of the reply's
_RAISED = (False, errno.ENOTCONN, errno.ETIMEDOUT)

# What "close" may tell: (fault, direction): (statuses before the connection was open, statuses after that).
_NOTHING = frozenset()
EXPECTED = {
    "ws": {
        ("reset", "up"): ({-109, -111}, {-109}),
        ("reset", "down"): ({-109, -111}, {-109}),
        ("fin", "up"): ({-99}, {-99}),
        ("fin", "down"): ({-99}, {-99}),
        ("stall", "up"): ({-18}, {-19, -103}),
        ("stall", "down"): ({-18}, {-19, -103}),
        ("byte", "up"): ({-7, -17, -18, -99}, {-6}),  # open: the path has changed, and the server dislikes it
        ("byte", "down"): ({-7, -17, -18, -99}, _NOTHING),
        ("frame", "up"): (_NOTHING, {-6}),
        ("frame", "down"): (_NOTHING, {-202}),
    },
    "wss": {
        ("reset", "up"): ({-109, -111, -128}, {-109}),
        ("reset", "down"): ({-109, -111, -128}, {-109}),
        ("fin", "up"): ({-128, -99}, {-99, -161}),  # open: the server tells that the end came without TLS's own
        ("fin", "down"): ({-128, -99}, {-99}),
        ("stall", "up"): ({-18}, {-19, -103}),
        ("stall", "down"): ({-18}, {-19, -103}),
        # -19: the length of a record has changed, and the server waits for the rest
        ("byte", "up"): ({-128, -18}, {-161, -109, -99, -19}),
        ("byte", "down"): ({-128, -18}, {-161, -19}),
    },
}


# The same where the virtual ESP8266 sees more: modlwip drops what it has not read when a reset comes, and QEMU's
# network passes on many a reset as an end.
EXPECTED_ON_CHIP = EXPECTED["ws"] | {("reset", way): ({-109, -111, -99}, {-109, -99}) for way in fault_proxy.WAYS}


class FaultsError(RuntimeError):
    """The rounds cannot be played; the text says why and what to do."""


@dataclass
class Outcome:
    """What became of the rounds of one interpreter with one scheme: their results, the proxy's log, what is wrong."""

    rig: str
    scheme: str
    results: dict = field(default_factory=dict)
    log: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)


def allowed(rig, scheme, entry, result):
    """Return the statuses that fit what the proxy did in a round: `entry` of its log, `result` of the program."""
    if entry["struck"] is None:
        return {0} if result["asked"] else _NOTHING
    fault = entry["fault"]
    expected = EXPECTED_ON_CHIP if rig == rigs.CHIP else EXPECTED[scheme]
    before, after = expected[fault["kind"], fault["way"]]
    if result["asked"]:  # the chip's background may have ended the connection before the program did
        return {0} | after if rig == rigs.CHIP else {0}
    if result["opened"]:
        return after
    if rig == rigs.CHIP:
        return before
    if fault["kind"] == "reset":  # -111 as long as nothing came from the server; a line that the reset cuts is lost
        heard = entry["struck"]["down"]
        return before - {-111} if heard >= _FIRST_LINE else before if heard else before - {-109}
    return before


def judge(rig, scheme, entry, result):
    """Return what is wrong with a round, as texts."""
    if entry is None:
        return ["the proxy saw no connection"]
    wrong = []
    if entry.get("trouble"):
        wrong.append(f"the proxy failed: {entry['trouble']}")
    if len(result["closes"]) != 1:
        wrong.append(f'"close" came {len(result["closes"])} times')
    elif result["closes"][0] not in (fits := allowed(rig, scheme, entry, result)):
        wrong.append(f"status {result['closes'][0]}, where {sorted(fits)} fit")
    if result["wrong"]:
        wrong.append(result["wrong"])
    if result["asked"] and result["echoes"] < result["enough"]:
        wrong.append("closed before all messages were back")
    if result["opened"] > 1 or (not result["opened"] and result["sent"]):
        wrong.append('"connection" came at the wrong time')
    if result["raised"] not in _RAISED:
        wrong.append(f"send() raised {result['raised']}")
    if result["alive"]:
        wrong.append("still alive at the end")
    if result["took_ms"] > _LONGEST_MS:
        wrong.append(f"took {result['took_ms']} ms")
    if result["longest_ms"] > _LONGEST_POLL_MS:
        wrong.append(f"one poll() took {result['longest_ms']} ms")
    return wrong


def judge_use(use):
    """Return what is wrong with what was in use before and after all rounds."""
    wrong = []
    if use["fds"][1] != use["fds"][0]:
        wrong.append(f"{use['fds'][1] - use['fds'][0]} file descriptors are left open")
    if use["heap"][1] - use["heap"][0] > _HEAP_GROWTH:
        wrong.append(f"{use['heap'][1] - use['heap'][0]} B of heap are not given back")
    return wrong


def describe(fault):
    """Return a fault in words."""
    where = "in frame" if fault["kind"] == "frame" else "at byte"
    return f"{fault['kind']} {fault['way']} {where} {fault['offset']}" if fault["kind"] != "none" else "no fault"


def play(rig, scheme, seed, first, count, server, ca=None, program=PROGRAM):
    """Play rounds in one process of interpreter `rig`; return their Outcome.

    `server` is the echo server's port, `ca` the file with the CA's certificate for wss.
    """
    outcome = Outcome(rig, scheme)
    options = ["-X", f"heapsize={_HEAP}"] if "micropython" in rig else []  # the chip has its own

    def plans(number):
        return fault_proxy.make_plan(seed, number, scheme == "wss")

    with fault_proxy.running(("127.0.0.1", server), plans, first) as proxy:
        url = "{}://{}:{}/".format(scheme, *proxy.address)
        command = [*rigs.command(rig), *options, str(program), url, str(seed), str(first), str(count)]
        command += [str(ca)] if ca else []
        try:
            done = subprocess.run(
                command,
                env=rigs.device_env(rig),
                capture_output=True,
                text=True,
                timeout=_START_S + _ROUND_S * count,
                check=False,
            )
            output, end = done.stdout, f"{done.stderr}\nended with {done.returncode}"
        except subprocess.TimeoutExpired as error:
            output, end = (error.stdout or b"").decode(), "does not end"
    outcome.log = proxy.log
    # MicroPython writes its tracebacks to either stream.
    lines = output.splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    said = " ".join([*(line for line in lines if not line.startswith("{")), end]).strip()
    outcome.results = {result["round"]: result for result in told if "round" in result}
    for number, result in outcome.results.items():
        entry = outcome.log.get(number)
        for problem in judge(rig, scheme, entry, result):
            fault = describe(entry["fault"]) if entry else "unknown"
            outcome.problems.append((number, f"round {number}, {fault}: {problem}"))
    for use in [use for use in told if "fds" in use]:
        outcome.problems += [(first, f"rounds {first} to {first + count - 1}: {problem}") for problem in judge_use(use)]
    if len(outcome.results) < count:
        lost = next(number for number in itertools.count(first) if number not in outcome.results)
        fault = describe(outcome.log[lost]["fault"]) if lost in outcome.log else "unknown"
        outcome.problems.append((lost, f"round {lost}, {fault}: the program {said[-500:]}"))
    return outcome


def merge(outcomes):
    """Return one Outcome for each interpreter and scheme."""
    merged = {}
    for outcome in outcomes:
        whole = merged.setdefault((outcome.rig, outcome.scheme), Outcome(outcome.rig, outcome.scheme))
        whole.results |= outcome.results
        whole.log |= outcome.log
        whole.problems += outcome.problems
    return list(merged.values())


def _port(url):
    return int(url.rstrip("/").rpartition(":")[2])


def run(names, schemes, seed, first, count):
    """Play `count` rounds from number `first` on, on each interpreter with each scheme; return their Outcomes."""
    with contextlib.ExitStack() as stack:
        issued = certificates.issue(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        servers = {
            "ws": (_port(stack.enter_context(echo_server.running())), None),
            "wss": (_port(stack.enter_context(echo_server.running(tls=issued.server_context()))), issued.ca),
        }
        pool = stack.enter_context(ThreadPoolExecutor(_AT_ONCE))
        shares = [
            pool.submit(play, name, scheme, seed, start, min(_SHARE, first + count - start), *servers[scheme])
            for start in range(first, first + count, _SHARE)
            for name in names
            for scheme in schemes
            if scheme in SCHEMES_OF.get(name, SCHEMES)
        ]
        return merge(share.result() for share in shares)


def save(outcome, folder=OUT):
    """Write rounds, plans and results to a file; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.rig}-{outcome.scheme}.jsonl"
    lines = [
        json.dumps({"round": number, "proxy": outcome.log.get(number), "client": outcome.results.get(number)})
        for number in sorted(outcome.results.keys() | outcome.log.keys())
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def summary(outcomes):
    """Return a table for the terminal: each fault that struck, and how often each status was its end."""
    header = ["fault", *(f"{outcome.rig} {outcome.scheme}" for outcome in outcomes)]
    kinds = [
        "nothing struck",
        *(f"{kind} {way}" for kind in fault_proxy.KINDS if kind != "none" for way in fault_proxy.WAYS),
    ]
    rows = []
    for kind in kinds:
        cells = []
        for outcome in outcomes:
            statuses = collections.Counter()
            for number, result in outcome.results.items():
                entry = outcome.log.get(number)
                struck = f"{entry['fault']['kind']} {entry['fault']['way']}" if entry and entry["struck"] else kinds[0]
                if struck == kind:
                    statuses.update(result["closes"])
            cells.append(", ".join(f"{count} x {status}" for status, count in statuses.most_common()))
        if any(cells):
            rows.append([kind, *cells])
    return report.aligned(header, rows)


def main(argv=None):
    """Play the rounds; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="what all rounds are derived from (default: 1)")
    parser.add_argument("--runs", type=int, default=ROUNDS, help=f"rounds for each interpreter and scheme ({ROUNDS})")
    parser.add_argument("--only", type=int, metavar="ROUND", help="repeat this round alone")
    parser.add_argument("--on", help=f"of {', '.join(NAMES)} (default: all that are here)")
    parser.add_argument("--schemes", help=f"with commas between (default: {','.join(SCHEMES)})")
    options = parser.parse_args(argv)
    names = options.on.split(",") if options.on else [name for name in NAMES if name not in rigs.missing()]
    schemes = options.schemes.split(",") if options.schemes else SCHEMES
    if not set(names) <= set(NAMES) or not set(schemes) <= set(SCHEMES) or options.runs < 1:
        parser.error(f"--on takes {', '.join(NAMES)}; --schemes {', '.join(SCHEMES)}; --runs at least 1")
    first, count = (0, options.runs) if options.only is None else (options.only, 1)
    try:
        outcomes = run(names, schemes, options.seed, first, count)
    except (rigs.RigMissing, OSError) as error:
        print(f"faults: {error}", file=sys.stderr)
        return 1
    paths = [save(outcome) for outcome in outcomes]
    print(
        summary(outcomes),
        f"seed {options.seed}; {', '.join(str(path.relative_to(rigs.ROOT)) for path in paths)}",
        sep="\n\n",
    )
    for outcome in outcomes:
        for number, problem in sorted(outcome.problems):
            again = f"--seed {options.seed} --only {number} --on {outcome.rig} --schemes {outcome.scheme}"
            print(f"faults: {outcome.rig}, {outcome.scheme}: {problem} (try: tools/faults.py {again})", file=sys.stderr)
    return 1 if any(outcome.problems for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
