"""Look for bytes that the device code cannot take, with atheris, which watches what code each input reaches.

The targets of tools/common/fuzz_targets.py all run at once, from the inputs in tools/programs/fuzz/corpus and what
earlier runs found (build/fuzz). An input that breaks a promise goes to tools/programs/fuzz/crashes/<target>: from then
on `make test` replays it.
"""

import argparse
import os
import re
import subprocess
import sys
import time

from common import install, rigs

FOLDER = rigs.ROOT / "tools" / "programs" / "fuzz"
CORPUS = FOLDER / "corpus"
CRASHES = FOLDER / "crashes"
OUT = rigs.BUILD / "fuzz"
RIG = rigs.RIGS / "fuzz"
TARGETS = {"receiver": 4096, "reply": 4400, "url": 400}  # the longest inputs

_INPUT_S = 10  # for one input
_MEMORY_MB = 1024
_GRACE_S = 30
_PROGRESS_S = 10
_TOLD = re.compile(r"(\w+\.)*\w*(Finding|Error|Exception|Interrupt)\b|==\d+== ERROR")
_PATHS = (rigs.ROOT / "tools", rigs.ROOT / "host_tests", rigs.DEVICE, rigs.SHIM)


class Fuzzer:
    """One target in a subprocess."""

    def __init__(self, target, seconds):
        self.target = target
        self._log = OUT / f"{target}.log"
        found, crashes = OUT / target, CRASHES / target
        for folder in (found, crashes):
            folder.mkdir(parents=True, exist_ok=True)
        self._crashes = crashes
        self._known = set(crashes.iterdir())
        command = [
            str(RIG / "bin/python"),
            str(FOLDER / "fuzz_program.py"),
            target,
            f"-max_total_time={seconds}",
            f"-timeout={_INPUT_S}",
            f"-rss_limit_mb={_MEMORY_MB}",
            f"-max_len={TARGETS[target]}",
            f"-artifact_prefix={crashes}/",
            *map(str, (found, CORPUS / target, crashes)),
        ]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, _PATHS))}
        with open(self._log, "w") as log:
            self._process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)

    def runs(self):
        """Return whether it still runs."""
        return self._process.poll() is None

    def stop(self):
        """End it where it still runs; return what is to be said of it, and whether all was well."""
        if self.runs():
            self._process.kill()
            self._process.wait()
            return f"{self.target}: it did not end in time", False
        new = sorted(set(self._crashes.iterdir()) - self._known)
        if self._process.returncode or new:
            return f"{self.target}: {self._failure()}; kept in {', '.join(map(str, new)) or 'no file'}", False
        return f"{self.target}: {self.progress()}", True

    def progress(self):
        """Return how far it has come: inputs tried, branches reached."""
        found = re.findall(r"^#(\d+)\s.*?cov: (\d+)", self._log.read_text(errors="replace"), re.MULTILINE)
        tried, reached = found[-1] if found else ("0", "0")
        return f"{tried} inputs, {reached} places of the code"

    def _failure(self):
        lines = self._log.read_text(errors="replace").splitlines()
        told = [
            line for line in lines if re.match(r"(\w+\.)*\w*(Finding|Error|Exception|Interrupt)\b|==\d+== ERROR", line)
        ]
        return told[0] if told else f"ended with {self._process.returncode}: {lines[-1] if lines else 'no word'}"


def fuzz(targets, seconds):
    """Fuzz targets at the same time for so many seconds; return [(what is to be said, whether all was well)]."""
    OUT.mkdir(parents=True, exist_ok=True)
    fuzzers = [Fuzzer(target, seconds) for target in targets]
    begin = said = time.monotonic()
    try:
        while any(fuzzer.runs() for fuzzer in fuzzers) and time.monotonic() - begin < seconds + _GRACE_S:
            time.sleep(0.2)
            if time.monotonic() - said >= _PROGRESS_S:
                said = time.monotonic()
                for fuzzer in fuzzers:
                    print(f"fuzz: {said - begin:.0f} s, {fuzzer.target}: {fuzzer.progress()}", flush=True)
    finally:
        results = [fuzzer.stop() for fuzzer in fuzzers]
    return results


def main(argv=None):
    """Fuzz the device code; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    parser.add_argument("--on", choices=list(TARGETS), action="append", help="a target; repeat for more (default: all)")
    options = parser.parse_args(argv)
    if options.seconds < 1:
        parser.error("--seconds: at least 1")
    try:
        install.make_venv(install.load_pins()["dependency-groups"]["fuzz"], RIG)
    except install.InstallError as error:
        print(f"fuzz: {error} (try: the network, and a Python that atheris has a wheel for)", file=sys.stderr)
        return 1
    results = fuzz(options.on or list(TARGETS), options.seconds)
    for text, good in results:
        if good:
            print(f"fuzz: {text}")
        else:
            print(f"fuzz: {text} (try: pytest host_tests/tools/test_fuzz.py)", file=sys.stderr)
    return 0 if all(good for _, good in results) else 1


if __name__ == "__main__":
    sys.exit(main())
