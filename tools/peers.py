"""Talk to real servers, each plain and behind nginx with TLS, and tell what works.

The servers are those that MicroPython's users meet: websockets, aiohttp and tornado, ws of npm, libwebsockets' test
server, and mosquitto with MQTT over WebSockets. All of them listen on loopback while this runs, and end with it.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import string
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from common import certificates, generated, install, loopback, report, rigs

FOLDER = rigs.ROOT / "tools" / "programs" / "peers"
PROGRAM = FOLDER / "peers_program.py"
DOCUMENT = rigs.ROOT / "docs" / "peers.md"
CASES = (
    "text", "binary", "fragments out", "fragments in", "64 KiB", "1 MiB",
    "ping out", "ping in", "close out", "close in", "subprotocol",
)  # fmt: skip

_HEAP = "32m"  # 1 MiB is received, decoded, compared and made once more
_START_S = 20
_CASES_S = 120


class PeersError(RuntimeError):
    """A server does not run; the text says why and what to do."""


@dataclass(frozen=True)
class Peer:
    """A server: what kind it is to the program, which cases it cannot play, and the rig that it needs."""

    kind: str
    cannot: tuple[str, ...] = ()
    rig: str = "cpython"

    def cases(self):
        """Return the cases that it can play."""
        return [case for case in CASES if case not in self.cannot]


PEERS = {
    "websockets": Peer("echo"),
    "aiohttp": Peer("echo", ("fragments in",)),
    "tornado": Peer("echo", ("fragments in",)),
    "ws": Peer("echo", rig="node"),
    "libwebsockets": Peer("mirror", ("binary", "fragments in", "ping in"), rig="libwebsockets"),
    "mosquitto": Peer("mqtt", ("text", "fragments in", "ping in", "close in"), rig="mosquitto"),
}


def version(name):
    """Return the version of a peer."""
    if name == "ws":
        return install.load_pins()["tool"]["uwebsocket"]["npm"]["ws"]
    return rigs.probe(name) if name in rigs.SERVERS else importlib.metadata.version(name)


# Starting servers


class _Template(string.Template):
    delimiter = "@"


def _fill(name, folder, **values):
    """Write a configuration from its template; return its path."""
    path = folder / name
    path.write_text(_Template((FOLDER / name).read_text()).substitute(folder=folder, **values))
    return path


@contextlib.contextmanager
def _process(name, command, folder, **options):
    """Run a server that logs to a file of `folder`."""
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, stderr=log, cwd=folder, text=True, **options)
    try:
        yield process
    finally:
        loopback.end(process)
        if process.stdout:
            process.stdout.close()


def _failure(name, folder):
    said = (folder / f"{name}.log").read_text().strip().splitlines() or ["nothing"]
    return PeersError(f"{name} does not listen, it said: {said[-1]} (try: make setup RIGS=all)")


@contextlib.contextmanager
def _telling(name, command, folder, env=None):
    """Run a server that tells its port; gives the port."""
    with _process(name, command, folder, stdout=subprocess.PIPE, env=env) as process:
        word, _, address = process.stdout.readline().strip().partition(" ")
        if word != "serving":
            raise _failure(name, folder)
        yield int(address.rstrip("/").rpartition(":")[2])


@contextlib.contextmanager
def _listening(name, command, folder, port):
    """Run a server that was given its port; gives the port once it listens."""
    with _process(name, command, folder, stdout=subprocess.DEVNULL) as process:
        if not loopback.listens(process, port, _START_S):
            raise _failure(name, folder)
        yield port


def start(name, folder):
    """Return a context manager that runs a peer and gives its port."""
    if name == "websockets":
        command = [*rigs.command("cpython"), str(rigs.ROOT / "tools" / "common" / "echo_server.py"), "--port", "0"]
        return _telling(name, command, folder)
    if name in ("aiohttp", "tornado"):
        return _telling(name, [*rigs.command("cpython"), str(FOLDER / f"{name}_server.py")], folder)
    if name == "ws":
        env = os.environ | {"NODE_PATH": str(rigs.NODE_MODULES)}
        return _telling(name, [*rigs.command("node"), str(FOLDER / "ws_server.js")], folder, env)
    port = loopback.free_port()
    if name == "mosquitto":
        arguments = ["-c", str(_fill("mosquitto.conf", folder, port=port))]
    else:
        arguments = ["--port", str(port), "-i", "lo", "-d", "1"]
    return _listening(name, [*rigs.command(name), *arguments], folder, port)


@contextlib.contextmanager
def running(names):
    """Run peers, and nginx before them; gives {peer: {scheme: URL}} and the file of the CA's certificate."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # mosquitto reads its configuration as another user
        ports = {name: stack.enter_context(start(name, folder)) for name in names}
        issued = certificates.issue(folder)
        tls_port = loopback.free_port()
        locations = [f"location /{name}/ {{ proxy_pass http://127.0.0.1:{port}/; }}" for name, port in ports.items()]
        configuration = _fill(
            "nginx.conf",
            folder,
            port=tls_port,
            certificate=issued.server,
            key=issued.key,
            locations="\n".join(f"        {location}" for location in locations),
        )
        command = [*rigs.command("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(configuration)]
        stack.enter_context(_listening("nginx", command, folder, tls_port))
        urls = {
            name: {"ws": f"ws://127.0.0.1:{port}/", "wss": f"wss://127.0.0.1:{tls_port}/{name}/"}
            for name, port in ports.items()
        }
        yield urls, issued.ca


# Talking to them


def play(interpreter, name, url, ca):
    """Play all cases of a peer on an interpreter; return {case: "yes" or what went wrong}."""
    options = [] if interpreter == "cpython" else ["-X", f"heapsize={_HEAP}"]
    arguments = [url, PEERS[name].kind, str(ca) if url.startswith("wss") else "", *PEERS[name].cases()]
    command = [*rigs.command(interpreter), *options, str(PROGRAM), *arguments]
    try:
        done = subprocess.run(
            command, env=rigs.device_env(interpreter), capture_output=True, text=True, timeout=_CASES_S, check=False
        )
        output, end = done.stdout, f"{done.stderr}\nended with {done.returncode}"
    except subprocess.TimeoutExpired as error:
        output, end = (error.stdout or b"").decode(), f"no end within {_CASES_S} s"
    lines = output.splitlines()
    told = {line["case"]: line["told"] for line in map(json.loads, filter(lambda line: line[:1] == "{", lines))}
    # MicroPython writes its tracebacks to either stream.
    said = " ".join([*(line for line in lines if line[:1] != "{"), end]).strip()
    return {case: told.get(case, f"not played: {said[-300:]}") for case in PEERS[name].cases()}


def run(interpreters, names, progress=print):
    """Play everything; return {(peer, scheme): {interpreter: {case: "yes" or what went wrong}}}."""
    found = {}
    with running(names) as (urls, ca):
        for name in names:
            for scheme, url in urls[name].items():
                progress(f"peers: {name}, {scheme}")
                found[name, scheme] = {interpreter: play(interpreter, name, url, ca) for interpreter in interpreters}
    return found


def table(found):
    """Return the header and the rows of the table of results."""
    rows = []
    for (name, scheme), results in found.items():
        cells = []
        for case in CASES:
            failed = [interpreter for interpreter, told in results.items() if told.get(case, "yes") != "yes"]
            if case in PEERS[name].cannot:
                cells.append("\u2013")
            else:
                cells.append(f"**no** ({', '.join(failed)})" if failed else "yes")
        title = f"{name} {version(name)}" if scheme == "ws" else f"{name} behind nginx, TLS"
        rows.append([title, *cells])
    return ["peer", *CASES], rows


def failures(found):
    """Return a line for each case that went wrong."""
    return [
        f"{name}, {scheme}, {interpreter}: {case}: {told}"
        for (name, scheme), results in found.items()
        for interpreter, cases in results.items()
        for case, told in cases.items()
        if told != "yes"
    ]


def main(argv=None):
    """Play everything and print the table; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", help="interpreters, with commas between (default: all that are here)")
    parser.add_argument("--peers", help=f"with commas between (default: {','.join(PEERS)})")
    parser.add_argument("--write", action="store_true", help="put the table into docs/peers.md")
    options = parser.parse_args(argv)
    interpreters = options.on.split(",") if options.on else rigs.available()
    names = options.peers.split(",") if options.peers else list(PEERS)
    if not set(interpreters) <= set(rigs.INTERPRETERS) or not set(names) <= set(PEERS):
        parser.error(f"--on takes {', '.join(rigs.INTERPRETERS)}; --peers {', '.join(PEERS)}")
    try:
        rigs.need("test-packages", "nginx", *(PEERS[name].rig for name in names))
        found = run(interpreters, names)
    except (PeersError, rigs.RigMissing, OSError) as error:
        print(f"peers: {error}", file=sys.stderr)
        return 1
    header, rows = table(found)
    versions = (f"{interpreter} {rigs.probe(interpreter)}" for interpreter in interpreters)
    origin = report.origin("make peers", f"nginx {rigs.probe('nginx')}", *versions)
    print(report.aligned(header, rows), origin, sep="\n\n")
    if options.write:
        generated.write(DOCUMENT, "peers", f"{report.markdown(header, rows)}\n\n{origin}")
    for line in failures(found):
        print(f"peers: {line} (try: tools/peers.py --peers {line.partition(',')[0]})", file=sys.stderr)
    return 1 if failures(found) else 0


if __name__ == "__main__":
    sys.exit(main())
