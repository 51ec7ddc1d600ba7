"""Wheels: that of the host, which `pip install .` builds by this module, and what any wheel is made of.

The project is its own build backend (PEP 517): what the host's wheel holds lies in several rooms of the tree, nothing
must be fetched to put it together, and the same tree gives the same bytes. Only the standard library is used, so that
pip runs this without `make setup`.
"""

import base64
import gzip
import hashlib
import io
import tarfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOST = "uwebsocket_host"
ABOUT = ("pyproject.toml", "README.md", "LICENSE", "tools/common/wheels.py")  # what else it takes to build it
_TAG = "py3-none-any"
UNRELEASED = (1980, 1, 1)  # the first day of .zip files
_SERVERS = ("__init__", "raw", "steps", "wire")
_FAKES = ("__init__", "board", "clock", "modules", "peer", "profiles", "sockets", "tcp", "tls")
_NOT_HOSTED = "manifest.py"


def project():
    """Return the table [project] of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def host_files():
    """Return {name in the package: path in the tree} of the host's wheel."""
    rooms = ROOT / "host_tests"
    files = {path.name: path for path in (rooms / HOST).glob("*.py")}
    paths = [path for path in (ROOT / "micropython").glob("*.py*") if path.name != _NOT_HOSTED]
    paths += (rooms / "shim").glob("*.py")
    paths += [rooms / "servers" / f"{name}.py" for name in _SERVERS]
    paths += [rooms / "fakes" / f"{name}.py" for name in _FAKES]
    return files | {path.relative_to(ROOT).as_posix(): path for path in paths}


def archive(entries, path, day=UNRELEASED):
    """Write [(name, bytes)] as a .zip, in this order: of one day, and stored, for zlib's versions differ."""
    with zipfile.ZipFile(path, "w") as file:
        for name, data in entries:
            entry = zipfile.ZipInfo(name, (*day, 0, 0, 0))
            entry.create_system = 3  # Unix, whose permissions follow
            entry.external_attr = 0o100644 << 16
            file.writestr(entry, data)


def write(folder, name, version, summary, entries, *, needs=(), python=None, entry_points="", readme=""):
    """Write a wheel of pure modules into `folder`, and return its path.

    `entries`: [(name, bytes)], installed in this order; `needs`: packages; `python`: which versions of it the package
    is for; `entry_points`: the text of that file; `readme`: the description in Markdown.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Summary: {summary}", "License: MIT"]
    lines += [f"Requires-Dist: {one}" for one in needs]
    lines += [f"Requires-Python: {python}"] if python else []
    lines += ["Description-Content-Type: text/markdown", "", readme] if readme else [""]
    entries = [
        *entries,
        (f"{info}/METADATA", "\n".join(lines).encode()),
        (f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: {HOST}\nRoot-Is-Purelib: true\nTag: {_TAG}\n".encode()),
        *([(f"{info}/entry_points.txt", entry_points.encode())] if entry_points else []),
    ]
    record = [f"{one},sha256={_digest(data)},{len(data)}\n" for one, data in entries]
    record.append(f"{info}/RECORD,,\n")
    path = Path(folder) / f"{stem}-{_TAG}.whl"
    archive([*entries, (f"{info}/RECORD", "".join(record).encode())], path)
    return path


def _digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


# What pip calls (PEP 517)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Write the host's wheel; return its name."""
    about = project()
    files = sorted(host_files().items())
    entries = [(f"{HOST}/{name}", path.read_bytes()) for name, path in files]
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in targets.items())
        for group, targets in about["entry-points"].items()
    )
    readme = (ROOT / about["readme"]).read_text(encoding="utf-8")
    path = write(wheel_directory, about["name"], about["version"], about["description"], entries,
                 python=about["requires-python"], entry_points=points, readme=readme)  # fmt: skip
    return path.name


def build_sdist(sdist_directory, config_settings=None):
    """Write what the host's wheel is built of as a .tar.gz; return its name."""
    about = project()
    stem = f"{about['name'].replace('-', '_')}-{about['version']}"
    paths = [*(ROOT / name for name in ABOUT), *host_files().values()]
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}
    files["PKG-INFO"] = f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n".encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(f"{stem}/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    (Path(sdist_directory) / f"{stem}.tar.gz").write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return f"{stem}.tar.gz"
