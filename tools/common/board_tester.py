"""Test the client on a board: over mpremote, against servers on this computer; print a table for an issue.

Before and after, and when a step fails, the board talks to this computer through a bare socket as well. What that
cannot do either is the network's fault, everything else the client's.
"""

import contextlib
import datetime
import hashlib
import ipaddress
import json
import platform
import re
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import serial  # comes with mpremote

from common import board_test_server, deployment, payload, remote_board, report, rigs

PROGRAMS = rigs.ROOT / "tools" / "programs" / "board_test"

STEP_S = 90
_PROMPT_S = 10
_HEARD_S = 2
_SIZES = (0, 1, 125, 126, 127, 1000, 2000, 4000, 8000, 16000, 32000, 65535, 65536)
_MUST = 1000  # bytes of an echo that any board has room for
_STREAM = 1 << 18
_STREAM_UNIT = b"0123456789abcdef"
_ROUNDS = 16
_GROWTH_B = 64  # how far the heap in use may differ between two moments of rest
_PLAIN_ROUNDS = 10
_PLAIN_SIZE = 1 << 16
_WEAK_DBM = -80
_CLOSE = 4001, "see you"
_TIME_OUT = re.compile(r'no "\w+" came(?! while .*"close" told (?!-18\b|-19\b|-103\b|-108\b))')
_MAIN, _ASIDE = "main.py", "main.board-test"
_MOVE = """
import os
names = os.listdir('/')
if {old!r} in names and {new!r} not in names:
    os.rename('/' + {old!r}, '/' + {new!r})
    print('moved')
"""
_WIFI_REMEDY = "make deploy ARGS=--wifi"


@dataclass(frozen=True)
class Verdict:
    """Why the test has failed: "network", "client" or "heap", what happened, and what to do."""

    culprit: str
    text: str
    remedy: str

    def __str__(self):
        fault = "the heap is too small" if self.culprit == "heap" else f"the {self.culprit} is at fault"
        return f"{fault}: {self.text} (try: {self.remedy})"


@dataclass
class Outcome:
    """What became of a step: a cell of the table, the time on the board, its free heap afterwards, what it measured."""

    step: str
    passed: bool
    text: str
    ms: int | None = None
    free: int | None = None
    measured: dict = field(default_factory=dict)


@dataclass
class Report:
    """Everything that is known so far."""

    board: dict = field(default_factory=dict)
    plain: list[dict] = field(default_factory=list)  # before and after
    outcomes: list[Outcome] = field(default_factory=list)
    verdict: Verdict | None = None


class StepFailed(Exception):
    """A step has failed; the text says what was wrong."""


# ---- steps


@dataclass(frozen=True)
class Step:
    """A program of tools/programs/board_test/: what it is given, and how what it returns is told."""

    name: str
    program: str
    arguments: Callable[[board_test_server.Servers], tuple]
    tell: Callable[[dict], str]


def _speed(rate):
    return f"{rate / 1024:.0f} KiB/s"


def _times(times):
    shortest, median, longest = (us / 1000 for us in times)
    return f"{median:.1f} ms ({shortest:.1f} to {longest:.1f})"


def _streaming(servers):
    digest = hashlib.sha256(_STREAM_UNIT * (_STREAM // len(_STREAM_UNIT))).hexdigest()
    return f"{servers.echo}count", f"{servers.echo}hello?size={_STREAM}", _STREAM, digest


def _refused(measured):
    status = measured["status"]
    return f"{status}" if status == -111 else f"{status}: something drops packets to closed ports"


STEPS = (
    Step(
        "handshake",
        "handshake",
        lambda servers: (servers.echo,),
        lambda measured: f"open after {measured['open_ms']} ms, subprotocol {measured['protocol']}",
    ),
    Step(
        "echoes",
        "echo",
        lambda servers: (servers.echo, _SIZES, _MUST),
        lambda measured: f"binary up to {measured['binary']} B, text up to {measured['text']} B",
    ),
    Step(
        "fragments",
        "fragments",
        lambda servers: (servers.echo, f"{servers.echo}fragments?size=100"),
        lambda measured: f"{measured['sent']} out, {measured['received']} in",
    ),
    Step(
        "streaming",
        "streaming",
        _streaming,
        lambda measured: f"{_STREAM // 1024} KiB: out {_speed(measured['sent'])}, in {_speed(measured['received'])}",
    ),
    Step(
        "round trips",
        "pings",
        lambda servers: (servers.echo, f"{servers.echo}ping", 10, 100),
        lambda measured: f"ping {_times(measured['ping_us'])}, echo {_times(measured['echo_us'])}",
    ),
    Step(
        "close codes",
        "closing",
        lambda servers: (f"{servers.misbehaving}close", f"{servers.echo}close?code=4001&reason=see%20you", *_CLOSE),
        lambda measured: f"{measured['code']} out, {measured['code']} in",
    ),
    Step("refused port", "lost", lambda servers: (servers.refused, None, None, (-111, -18, -108)), _refused),
    Step(
        "dead server",
        "lost",
        lambda servers: (f"{servers.misbehaving}silent", "x", {"ping_interval_ms": 300}, (-19,)),
        lambda measured: f"{measured['status']} after two pings",
    ),
    Step(
        "server that vanishes",
        "lost",
        lambda servers: (f"{servers.misbehaving}vanish", "x", None, (-99,)),
        lambda measured: f"{measured['status']}",
    ),
    Step(
        "server that resets",
        "lost",
        lambda servers: (f"{servers.misbehaving}reset", "x", None, (-109, -108, -99)),
        lambda measured: f"{measured['status']}",
    ),
    Step(
        "reconnecting",
        "reconnect",
        lambda servers: (f"{servers.misbehaving}drop",),
        lambda measured: f"back after {measured['away_ms']} ms",
    ),
    Step(
        "memory",
        "memory",
        lambda servers: (servers.echo, _ROUNDS, _GROWTH_B),
        lambda measured: f"{measured['rounds']} connections, {measured['grown']} B lost",
    ),
)
PROMPT = "background at the prompt"


class Prompt:
    """The board's prompt as a user has it: over the serial line, without mpremote; a context manager."""

    def __init__(self, port):
        self._serial = serial.Serial(port, remote_board.BAUD, timeout=0.05, exclusive=True)
        self._said = ""

    def __enter__(self):
        self._serial.write(b"\r\x03\x03\x02")
        self.wait("\n>>> ")
        return self

    def __exit__(self, *_):
        self._serial.close()

    def wait(self, text):
        """Read until `text` has come; forget it, and return what came before it."""
        deadline = time.monotonic() + _PROMPT_S
        while text not in self._said:
            if time.monotonic() > deadline:
                last = self._said.strip().splitlines()[-1:] or ["nothing"]
                raise StepFailed(f"{text.strip()!r} did not come, the last that came: {last[0][:60]}")
            self._said += self._serial.read(self._serial.in_waiting or 1).decode(errors="replace")
        before, _, self._said = self._said.partition(text)
        return before

    def type(self, line, answer=""):
        """Type a line, and wait for its answer and until the prompt is free again."""
        self._serial.write(line.encode() + b"\r")
        self.wait(f"{line}\r\n{answer}")
        self._said = self.wait(">>> ") + self._said  # an event may be faster than the prompt


def type_example(port, servers):
    """Type the first program of the documentation at the prompt, and see its events come by themselves."""
    with Prompt(port) as prompt:
        prompt.type("import uwebsocket_client as websocket")
        prompt.type("ws = websocket.createClient()")
        prompt.type('ws.on("connection", lambda ws: ws.send("hello!"))')
        prompt.type('ws.on("receive", lambda ws, message, opcode: print("got", message))')
        prompt.type('ws.on("close", lambda ws, status: print("closed", status))')
        prompt.type(f'ws.connect("{servers.misbehaving}news")')
        prompt.wait("got hello!")
        prompt.type("6 * 7", "42")
        servers.tell("news")
        prompt.wait("got news")
        prompt.type("ws.close()")
        prompt.wait("closed 0")
        prompt.type("ws = None")


# ---- the board


def program(name):
    """Return the text of a program of tools/programs/board_test/."""
    return (PROGRAMS / f"{name}_program.py").read_text()


class Tester:
    """Runs programs on the board, and judges what becomes of them."""

    def __init__(self, board, given_host):
        self.board = board
        self.given_host = given_host
        self.servers = None

    def ask(self, name, *arguments):
        """Run a program that needs no client; return what its step() returns."""
        return self._run(name, "import json\nprint(json.dumps(step(*{!r})))", arguments)

    def _run(self, name, call, arguments):
        output = self.board.exec(f"{program(name)}\n{call.format(arguments)}\nstep = None\n", timeout_s=STEP_S)
        # what other clients in the background print may surround it
        lines = [line for line in output.splitlines() if line.startswith("{")]
        if not lines:
            raise StepFailed(f"the board printed no result: {output.strip()[-60:]!r}")
        return json.loads(lines[-1])

    def import_client(self):
        """Return what the board says of importing the client."""
        try:
            return self.ask("import")
        except remote_board.RemoteError as error:  # MicroPython reads a file that is cut off for ever
            return {"failed": _without_remedy(error)}

    def start(self):
        """Load what the steps share."""
        self.board.exec(program("kit"), timeout_s=STEP_S)

    def play(self, step):
        """Run a step; return its Outcome."""
        try:
            said = self._run(step.program, "kit.run(step, {!r})", step.arguments(self.servers))
        except (remote_board.RemoteError, StepFailed) as error:
            return Outcome(step.name, False, _without_remedy(error))
        outcome = Outcome(step.name, "result" in said, said.get("failed"), said["ms"], said["free"])
        if outcome.passed:
            outcome.measured = said["result"]
            outcome.text = step.tell(said["result"])
            if step.program == "closing" and (heard := self.servers.heard(_HEARD_S)) != _CLOSE:
                outcome.passed = False
                outcome.text = f"the server heard {heard} instead of {_CLOSE}"
        return outcome

    def play_at_prompt(self):
        """Run the step at the prompt; return its Outcome."""
        begin = time.monotonic()
        try:
            type_example(self.board.port, self.servers)
        except (OSError, StepFailed) as error:
            return Outcome(PROMPT, False, str(error))
        ms = round((time.monotonic() - begin) * 1000)
        return Outcome(PROMPT, True, "3 events by themselves, the prompt stayed free", ms)

    def host(self, network):
        """Return the address of this computer that the board can reach; a Verdict where there is none."""
        if network["up"] is False:
            return Verdict("network", "the board's Wi-Fi is down", f"{_WIFI_REMEDY}, or nearer to the access point")
        if self.given_host:
            return self.given_host
        if self.board.virtual:
            return "127.0.0.1"
        if not network["address"]:
            return Verdict("network", "the board is not on Wi-Fi", f"{_WIFI_REMEDY}, or --host for a wired board")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((network["address"], 9))
            except OSError as error:
                text = f"this computer has no way to the board at {network['address']}: {error.strerror}"
                return Verdict("network", text, "the same network for both")
            return probe.getsockname()[0]

    def plain(self):
        """Return what a bare socket measures; a Verdict where it fails."""
        network = self.ask("network")
        if network["up"] is False:
            return self.host(network)
        host = self.servers.host
        measured = self.ask("plain", host, self.servers.plain, _PLAIN_ROUNDS, _PLAIN_SIZE)
        if "failed" not in measured:
            return measured | {"rssi": network["rssi"]}
        board = network["address"] or "a board"
        text = f"a bare socket fails to {measured['failed']}, from {board} to {host}: {measured['errno']}"
        remedy = f"a firewall rule that lets {board} in, the same network for both, or --host"
        if network["mask"] and not _same_network(host, network):
            text += f"; {board} is in another network"
            remedy = "the same network for both, or --host"
        return Verdict("network", text, remedy)

    def judge(self, outcome):
        """Return the Verdict on a step that has failed."""
        plain = self.plain()
        if isinstance(plain, Verdict):
            return plain
        text = f"{outcome.step}: {outcome.text}"
        if "MemoryError" in outcome.text:
            return Verdict("heap", text, "a main.py that does nothing, and make deploy for compiled modules")
        if changed := self.changed_files():
            text += f"; {', '.join(changed)} on the board differs from this repository"
            return Verdict("client", text, "make deploy")
        text += "; a bare socket works"
        remedy = "an issue with this table"
        if plain["rssi"] is not None and plain["rssi"] < _WEAK_DBM:
            remedy = f"again nearer to the access point, the signal is weak ({plain['rssi']} dBm); then {remedy}"
        return Verdict("client", text, remedy)

    def changed_files(self):
        """Return the names of the client's files on the board that are not what this repository builds."""
        built, _ = payload.client(self.board.facts())
        there = sorted(self.board.files("/lib").items())
        return [name for name, (_, digest) in there if name in built and digest != payload.digest(built[name])]

    def restarted(self):
        """Return whether the board has lost what start() loaded."""
        return "kit" not in self.board.exec("print(dir())").replace("'", " ").split()


def _without_remedy(error):
    return str(error).partition(" (try: ")[0]


def _same_network(host, network):
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(f"{network['address']}/{network['mask']}", False)
    return True


@contextlib.contextmanager
def without_main(board):
    """Give the board as it is after a reset without its main.py, which is put aside meanwhile and runs again after.

    One that an interrupted test has left aside comes back now.
    """

    def move(old, new):
        return "moved" in board.exec(_MOVE.format(old=old, new=new))

    move(_ASIDE, _MAIN)
    if not move(_MAIN, _ASIDE):
        yield
        return
    try:
        say(f"{_MAIN} is put aside meanwhile, and comes back")
        remote_board.restart(board)
        yield
    finally:
        try:
            move(_ASIDE, _MAIN)
            board.hard_reset()
        except remote_board.RemoteError as error:
            say(f"{_MAIN} is still called {_ASIDE}: {error}")


def say(text):
    """Tell what happens, beside the table."""
    print(f"board_test: {text}", file=sys.stderr, flush=True)


def import_client(tester):
    """Return what the board tells of importing the client; a virtual one that lacks it gets it first."""
    told = tester.import_client()
    if "missing" in told and tester.board.virtual:
        with contextlib.redirect_stdout(sys.stderr):
            deployment.deploy(tester.board.port, deployment.Options())
        told = tester.import_client()
    return told


def examine(board, given_host, only, result):
    """Run the test and fill the Report; `only`: names of steps, empty for all."""
    tester = Tester(board, given_host)
    facts = board.facts()
    imported = import_client(tester)
    if "missing" in imported:
        text = f"the client is not on the board, or not all of it: {imported['missing']}"
        result.verdict = Verdict("client", text, "make deploy")
        return
    network = tester.ask("network")
    result.board = _described(facts, imported, network)
    host = tester.host(network)
    if isinstance(host, Verdict):
        result.verdict = host
        return
    with board_test_server.Servers(host) as tester.servers:
        plain = tester.plain()
        if isinstance(plain, Verdict):
            result.verdict = plain
            return
        result.plain.append(plain)
        if "failed" in imported:
            result.outcomes.append(Outcome("import", False, imported["failed"]))
            result.verdict = tester.judge(result.outcomes[0])
            return
        tester.start()
        _play_all(tester, only, result)
        if not result.verdict or result.verdict.culprit != "network":
            plain = tester.plain()
            if isinstance(plain, Verdict):
                result.verdict = plain
            else:
                result.plain.append(plain)


def _play_all(tester, only, result):
    """Run the steps; the first that fails decides the verdict, and when the network fails it is the last."""
    plays = {step.name: lambda step=step: tester.play(step) for step in STEPS} | {PROMPT: tester.play_at_prompt}
    for name, play in plays.items():
        if only and name not in only:
            continue
        outcome = play()
        if not outcome.passed and _TIME_OUT.match(outcome.text or "") and not tester.restarted():
            say(f"{name}: {outcome.text}; once more")
            first, outcome = outcome, play()
            if outcome.passed:
                outcome.text += f"; passed at the second attempt, the first: {first.text}"
        if outcome.passed:
            say(f"{name}: {outcome.text}")
        else:
            say(f"{name}: FAILED: {outcome.text}")
        result.outcomes.append(outcome)
        if outcome.passed:
            continue
        if tester.restarted():
            outcome.text += "; the board restarted"
            tester.start()
        result.verdict = result.verdict or tester.judge(outcome)
        if result.verdict.culprit == "network":
            break


# ---- what is printed


def _described(facts, imported, network):
    kept = "" if imported.get("kept") is None else f"; the client takes {imported['kept']} B"
    signal = "" if network["rssi"] is None else f", {network['rssi']} dBm"
    return {
        "board": facts.machine,
        "firmware": f"MicroPython {facts.version_text}",
        "heap": f"{facts.heap} B, {imported.get('free', facts.free)} B free{kept}",
        "network": f"{network['address'] or 'unknown'}{signal}",
        "computer": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "date": datetime.date.today().isoformat(),
    }


def table(result):
    """Return the report in Markdown."""
    rows = [[name, value] for name, value in result.board.items()]
    for when, plain in zip(("before", "after"), result.plain, strict=False):
        speeds = f"out {_speed(plain['sent'])}, in {_speed(plain['received'])}"
        rows.append([f"bare socket, {when}", f"echo {plain['echo_us'] / 1000:.1f} ms, {speeds}"])
    steps = [
        [
            outcome.step,
            outcome.text if outcome.passed else f"**failed**: {outcome.text}",
            "" if outcome.ms is None else f"{outcome.ms / 1000:.1f} s",
            "" if outcome.free is None else f"{outcome.free} B",
        ]
        for outcome in result.outcomes
    ]
    parts = [report.markdown(["what", ""], rows)]
    if steps:
        parts.append(report.markdown(["step", "result", "time", "free heap"], steps))
    parts.append(str(result.verdict) if result.verdict else f"all {len(steps)} steps passed")
    return "\n\n".join(parts)
