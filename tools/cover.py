"""Check that the tests of each device module cover it: those of its own name, line by line, on CPython.

The tests of `_wsconfig` are `host_tests/client/test_config*.py`; those whose tests are named after what the
client does with them are in TESTS. What only a board has, tests reach through the shim and the fakes; the interpreter's
subprocesses count too.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from common import compiler, report, rigs

FOLDER = rigs.ROOT / "host_tests" / "client"
OUT = rigs.BUILD / "cover"
TESTS = {
    # those on scripted boards, which are quick
    "uwebsocket_client": (
        "client_events",
        "client_sending",
        "client_receiving",
        "client_closing",
        "client_reconnecting",
        "client_timers",
        "client_arguments",
    ),
    "_wsprotocol": ("protocol", "client_sending"),
    "_wsreceive": ("receive", "client_receiving"),
    "_wsurl": ("url", "client_connecting", "client_reconnecting"),
    "_wsoffers": ("request", "deflate"),
    "_wsrequest": ("request", "client_connecting", "tls_scripted"),
    "_wsreply": ("reply", "client_connecting"),
    "_wsconnect": ("client_connecting", "client_reconnecting"),
    "_wserror": ("errors", "client_closing"),
    "_wsnetwork": ("board",),
    "_wstimer": ("board",),
    "_wstls": ("tls_scripted",),
    "_wsaxtls": ("tls_scripted",),
}
# Percent of a module's lines. TLS and the board's part of connecting have tests of other names.
LEAST = {"_wsconnect": 70, "_wserror": 80}
LEAST_ELSE = 90

_CONFIGURATION = """\
[run]
patch = subprocess
parallel = true
data_file = {folder}/data
include = {include}
"""
# Only CPython is measured, and old firmware runs no line that new firmware does not.
_MANY = ("micropython32", "micropython64", "virtual-esp8266", "1.22", "1.23", "1.24", "1.25", "1.27")
_FEW = " and ".join(f"not {name}" for name in _MANY)
_TIMEOUT_S = 900


class CoverError(RuntimeError):
    """Coverage cannot be measured; the text says why."""


def modules():
    """Return the names of the device modules."""
    return [path.stem for path in compiler.sources()]


def tests(module):
    """Return the files of tests of a module."""
    own = module.removeprefix("uwebsocket_").removeprefix("_ws")
    files = [file for name in TESTS.get(module, (own,)) for file in sorted(FOLDER.glob(f"test_{name}*.py"))]
    if not files:
        raise CoverError(f"{module} has no tests of its name (try: {FOLDER.relative_to(rigs.ROOT)}/test_{own}.py)")
    return tuple(files)


def measure(names, files):
    """Run tests; return {module of `names`: (percent of its lines that ran, numbers of the others)}."""
    folder = OUT / names[0]
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("data*"):
        old.unlink()
    configuration = folder / "coveragerc"
    include = ",".join(str(rigs.DEVICE / f"{name}.py") for name in names)
    configuration.write_text(_CONFIGURATION.format(folder=folder, include=include))
    told = folder / "told.json"
    few = ["-q", "-p", "no:cacheprovider", "-k", _FEW]
    for command, *arguments in (
        ("run", "-m", "pytest", *few, *map(str, files)),
        ("combine", "-q"),
        ("json", "-q", "-o", str(told)),
    ):
        argv = [*rigs.command("cpython"), "-m", "coverage", command, f"--rcfile={configuration}", *arguments]
        done = subprocess.run(argv, cwd=rigs.ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
            again = " ".join(os.path.relpath(file, rigs.ROOT) for file in files)
            raise CoverError(f"{', '.join(names)}: {said[-1]} (try: .venv/bin/pytest {again})")
    found = {os.path.basename(path)[:-3]: entry for path, entry in json.loads(told.read_text())["files"].items()}
    untouched = [name for name in names if name not in found]
    if untouched:
        raise CoverError(f"{', '.join(untouched)}: not one line ran (try: tests that import it)")
    return {name: (found[name]["summary"]["percent_covered"], found[name]["missing_lines"]) for name in names}


def measure_all(names):
    """Measure modules, two runs of tests at a time; those with the same tests share a run."""
    groups = {}
    for name in names:
        groups.setdefault(tests(name), []).append(name)
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(measure, groups.values(), groups)
        together = {name: result for results in found for name, result in results.items()}
    return {name: together[name] for name in names}


def low(found):
    """Return a line for each module of which too little ran, with the figure and the limit."""
    return [
        f"{name}: {percent:.1f} % of its lines, the limit is {LEAST.get(name, LEAST_ELSE)} %"
        for name, (percent, _) in found.items()
        if percent < LEAST.get(name, LEAST_ELSE)
    ]


def main(argv=None):
    """Measure and judge; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="modules (default: all)")
    options = parser.parse_args(argv)
    unknown = sorted(set(options.modules) - set(modules()))
    if unknown:
        parser.error(f"no module is called {', '.join(unknown)} (one of: {', '.join(modules())})")
    try:
        rigs.need("cpython", "test-packages")
        found = measure_all(options.modules or modules())
    except (CoverError, rigs.RigMissing, subprocess.TimeoutExpired) as error:
        print(f"cover: {error}", file=sys.stderr)
        return 1
    rows = [[name, f"{percent:.1f} %", " ".join(map(str, lines))] for name, (percent, lines) in found.items()]
    print(report.aligned(["module", "its tests run", "lines not run"], rows))
    for line in low(found):
        print(f"cover: {line} (try: a test that runs one of those above)", file=sys.stderr)
    return 1 if low(found) else 0


if __name__ == "__main__":
    sys.exit(main())
