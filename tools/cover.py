"""Check that the tests of each device module cover it: those of its own name alone, line by line, on CPython.

The tests of `uwebsocket_url` are `host_tests/client/test_url*.py`. What only a board runs they reach through the shim
and the fakes. A line that no computer can run is named in OUT_OF_REACH, with the reason.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from common import compiler, report, rigs

TESTS = rigs.ROOT / "host_tests" / "client"
OUT = rigs.BUILD / "cover"
LEAST = 90  # percent of a module's lines
_TIMEOUT_S = 900


class CoverError(RuntimeError):
    """Coverage cannot be measured; the text says why."""


def modules():
    """Return the names of the device modules."""
    return [path.stem for path in compiler.sources()]


def tests(module):
    """Return the files of tests that have a module's name."""
    return sorted(TESTS.glob(f"test_{module.removeprefix('uwebsocket_')}*.py"))


def measure(module):
    """Run the tests of a module; return (percent of its lines that they ran, numbers of the other lines)."""
    files = tests(module)
    if not files:
        raise CoverError(
            f"{module} has no tests of its name (try: {TESTS / 'test_'}{module.removeprefix('uwebsocket_')}.py)"
        )
    OUT.mkdir(parents=True, exist_ok=True)
    data, told = OUT / f"{module}.data", OUT / f"{module}.json"
    coverage = [str(rigs.VENV / "bin" / "python"), "-m", "coverage"]
    source = rigs.DEVICE / f"{module}.py"
    options = ["-q", "-p", "no:cacheprovider", "-k", "not micropython32 and not micropython64", *map(str, files)]
    for command in (
        ["run", f"--data-file={data}", f"--include={source}", "-m", "pytest", *options],
        ["json", f"--data-file={data}", "-q", "-o", str(told)],
    ):
        done = subprocess.run(
            [*coverage, *command], cwd=rigs.ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
            raise CoverError(f"{module}: {said[-1]} (try: pytest {' '.join(os.path.relpath(file) for file in files)})")
    (found,) = json.loads(told.read_text())["files"].values()
    return found["summary"]["percent_covered"], found["missing_lines"]


def main(argv=None):
    """Measure and judge; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="modules (default: all)")
    options = parser.parse_args(argv)
    unknown = sorted(set(options.modules) - set(modules()))
    if unknown:
        parser.error(f"no module is called {', '.join(unknown)} (one of: {', '.join(modules())})")
    names = options.modules or modules()
    try:
        with ThreadPoolExecutor(2) as pool:
            found = dict(zip(names, pool.map(measure, names), strict=True))
    except CoverError as error:
        print(f"cover: {error}", file=sys.stderr)
        return 1
    rows = [[name, f"{percent:.1f} %", " ".join(map(str, lines))] for name, (percent, lines) in found.items()]
    print(report.aligned(["module", "lines run by its own tests", "not run"], rows))
    low = [name for name, (percent, _) in found.items() if percent < LEAST]
    for name in low:
        print(
            f"cover: {name}: {found[name][0]:.1f} %, the limit is {LEAST} % (try: a test for the lines above)",
            file=sys.stderr,
        )
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
