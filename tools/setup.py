"""Make .venv, and in .rigs the interpreters and servers to test with, at the versions that pyproject.toml pins.

Without names it brings what every target needs; the rest comes with the first target that uses it, or when it is
named here, or all at once. A second run with unchanged pins does nothing. What this machine cannot provide is named
and recorded (tools/rigs.py lists it); with CI=true in the environment it is a failure.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (this line is for those)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    sys.exit(f"setup: Python 3.11 or later is needed, this is {version} (try: make setup PYTHON3=python3.11)")

import argparse
import os

from common import install, rigs

ALL = "all"


def main(argv=None):
    """Set up .venv and .rigs; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rigs", nargs="*", metavar="RIG", help=f"what to bring too: {ALL}, {', '.join(rigs.names())}")
    parser.add_argument("--dry-run", action="store_true", help="only say what is pinned")
    options = parser.parse_args(argv)
    unknown = set(options.rigs) - {ALL, *rigs.names()}
    if unknown:
        parser.error(f"no rig is called {', '.join(sorted(unknown))} (one of: {ALL}, {', '.join(rigs.names())})")
    if rigs.MICROPYTHON32 not in rigs.MICROPYTHONS32:
        parser.error(f"no MICROPYTHON32={rigs.MICROPYTHON32} is pinned (one of: {', '.join(rigs.MICROPYTHONS32)})")
    if options.dry_run:
        for line in pinned():
            install.say(line)
        return 0
    wanted = rigs.names() if ALL in options.rigs else list(dict.fromkeys((*rigs.BASE, *options.rigs)))
    left_out = rigs.bring(wanted)
    for name, reason in left_out.items():
        remedy = "" if "(try: " in reason else f" (try: {rigs.remedy(name)}, with the network, on Debian with apt)"
        print(f"setup: left out {name}: {reason}{remedy}", file=sys.stderr)
    # At home the tests of a rig that cannot be had are left out.
    required = {"cpython", "micropython64", "mpy-cross", "test-packages", *options.rigs}
    if os.environ.get("MICROPYTHON32"):
        required.add("micropython32")
    return 1 if left_out and (os.environ.get("CI") == "true" or required & set(left_out)) else 0


def pinned():
    """Return a line for each thing that is pinned."""
    pins = rigs.PINS["tool"]["uwebsocket"]
    lines = [requirement for group in rigs.PINS["dependency-groups"].values() for requirement in group]
    for name, wanted in pins["debian"].items():
        packages = (*wanted["packages"], *wanted.get("libraries", ()))
        lines.append(f"{name}: {', '.join(packages)} from {', '.join(wanted['suites'])}")
    lines += [f"{name}@{version}" for name, version in pins["npm"].items()]
    lines.append("{package}@{version}".format(**pins["chromium"]))
    lines.append(pins["firmware"]["package"])
    return lines + [f"{name}: {', '.join(requirements)}" for name, requirements in pins["stubs"].items()]


if __name__ == "__main__":
    sys.exit(main())
