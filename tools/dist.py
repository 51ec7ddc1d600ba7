"""Build a release: build/dist/uwebsocket-<version>/, a .zip of it, and wheels, the same bytes on every computer.

It holds the sources, stubs and documents, and folders of what a board loads: mpy-6 suits every board, and those with an
architecture in their name add masking in its machine code. mpremote installs mpy-6 by the package.json at the top, the
others by their own. No package.json has the .py files: on a board they would hide .mpy files of the same name.

    mpremote mip install uwebsocket-<version>/package.json

The wheels are for PyPI: micropython_uwebsocket_client for Thonny, which copies what a wheel holds onto the board, one
for each extra, and uwebsocket_host for this computer. They hold compiled modules too: Thonny compiles nothing, an
ESP8266 could not compile the sources in its heap, and one wheel is for every board, so there is no machine code in it.

With --address the release knows where it will be: its README.md says so, and its packages name whole addresses, which
mip on a board needs up to firmware 1.25.
"""

import argparse
import hashlib
import json
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from common import compiler, install, rigs, wheels

PACKAGE = "package.json"
EXTRA_PACKAGES = {name: f"package-{name}.json" for name in compiler.EXTRAS}  # each installs but its own module
SUMS = "SHA256SUMS"
_AS_THEY_ARE = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "docs/*.md", "docs/*.svg", "docs/*.png",
    "boards/*/board.md",
    "tools/virtual_esp8266/README.md", "micropython/*.py", "micropython/*.pyi", "micropython/examples/*.py",
)  # fmt: skip
_LAST = "uwebsocket_client.py"
_README = "README.md"
_MIP = "mpremote mip install {}`"  # how README.md tells it
_ADDRESS = re.compile(r"(?:https?://|(?:github|gitlab):(?=[^/@]+/[^/@]+(?:@[^@]+)?$))[!-~]*[^/\s]")
_WHEEL = "micropython-uwebsocket-client"
_SUMMARY = "WebSocket client for MicroPython (ESP8266, ESP32): NodeMCU's websocket module, RFC 6455 to the letter"
_HEADING = re.compile(r"^## (\S+), (?:(\d{4})-(\d\d)-(\d\d)|not released yet)$", re.MULTILINE)


class DistError(RuntimeError):
    """There is nothing to release; the text says why and what to do."""


@dataclass(frozen=True)
class Form:
    """A folder of compiled modules: for which machine code, if any, and the rig that compiles it."""

    folder: str
    march: str | None = None
    cross: str = "mpy-cross"

    def names(self):
        """Return the names of its files."""
        sources = [*compiler.sources(), *compiler.extra_sources(), *[Path(compiler.MASKER)] * bool(self.march)]
        return [PACKAGE, *EXTRA_PACKAGES.values(), *(path.with_suffix(".mpy").name for path in sources)]


# Bytecode of version 6 loads everywhere, machine code only where both numbers fit: 6.2 is MicroPython 1.22.
FORMS = (
    Form("mpy-6"),
    Form("mpy-6.2-xtensa", "xtensa", "mpy-cross-6.2"),
    Form("mpy-6.3-xtensa", "xtensa"),
    Form("mpy-6.3-xtensawin", "xtensawin"),
    Form("mpy-6.3-rv32imc", "rv32imc"),
)


def version():
    """Return the version in pyproject.toml, the one place that decides it."""
    return install.load_pins(rigs.ROOT / "pyproject.toml")["project"]["version"]


def package(names, folder=""):
    """Return the text of a package.json for mip: `names` go to /lib, from `folder` relative to that file.

    The client comes last, for it needs the others: what was cut off does not start.
    """
    ordered = sorted(names, key=lambda name: (Path(name).stem == Path(_LAST).stem, name))
    urls = ",\n".join(f"    {json.dumps([name, folder + name])}" for name in ordered)
    return f'{{\n  "version": "{version()}",\n  "urls": [\n{urls}\n  ]\n}}\n'


def base(address):
    """Return what the names of a release's files are appended to; DistError where `address` is none for mip.

    `address`: of the release's folder, "https://host/folder" or "github:owner/repository@branch"; None for relative
    names. mip itself carries a branch over to the files that a package names.
    """
    if address is None:
        return ""
    if not _ADDRESS.fullmatch(address):
        raise DistError(f"{address!r} is no address for mip (try: https://..., or github:owner/repository@branch)")
    return f"{address}/" if "//" in address else f"{address.partition('@')[0]}/"


def release_day():
    """Return the day of this version as CHANGELOG.md has it; DistError where the newest there is another version."""
    newest = _HEADING.search((rigs.ROOT / "CHANGELOG.md").read_text())
    if newest is None or newest[1] != version():
        found = f"its newest version is {newest[1]}" if newest else "it has no version"
        wanted = f"## {version()}, <year-month-day>"
        raise DistError(f'CHANGELOG.md: {found}, pyproject.toml says {version()} (try: a heading "{wanted}")')
    return tuple(map(int, newest.groups()[1:])) if newest[2] else wheels.UNRELEASED


def documents():
    """Return {name in the release: path} of the files that go in as they are."""
    paths = [path for pattern in _AS_THEY_ARE for path in rigs.ROOT.glob(pattern)]
    return {path.relative_to(rigs.ROOT).as_posix(): path for path in paths}


def names():
    """Return the names of all files of the release."""
    compiled = [f"{form.folder}/{name}" for form in FORMS for name in form.names()]
    return sorted([*documents(), *compiled, PACKAGE, *EXTRA_PACKAGES.values(), SUMS])


def contents(address=None):
    """Compile; return {name: bytes} of the release, which will be at `address`, see base()."""
    root = base(address)
    files = {name: path.read_bytes() for name, path in documents().items()}
    if address:
        files[_README] = files[_README].replace(_MIP.format(PACKAGE).encode(), _MIP.format(address).encode())
    with tempfile.TemporaryDirectory(prefix="dist-") as scratch:
        portable = compiler.build_folder(compiler.sources(), Path(scratch))
        extras = compiler.build_folder(compiler.extra_sources(), Path(scratch) / "extras")
        for form in FORMS:
            modules = {path.name: path.read_bytes() for path in portable}
            if form.march:
                masker = Path(scratch) / form.folder / Path(compiler.MASKER).with_suffix(".mpy")
                compiler.compile_file(rigs.DEVICE / compiler.MASKER, masker, form.march, form.cross)
                modules[masker.name] = masker.read_bytes()
            packages = {PACKAGE: list(modules)}
            for name, path in zip(EXTRA_PACKAGES, extras, strict=True):
                modules[path.name] = path.read_bytes()
                packages[EXTRA_PACKAGES[name]] = [path.name]
            files |= {f"{form.folder}/{name}": data for name, data in modules.items()}
            for name, listed in packages.items():
                files[f"{form.folder}/{name}"] = package(listed, root and f"{root}{form.folder}/").encode()
                if form == FORMS[0]:
                    files[name] = package(listed, f"{root}{form.folder}/").encode()
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    return files | {SUMS: "".join(lines).encode()}


def write_folder(files, folder):
    """Write {name: bytes} as a folder, which appears only when it is complete, in place of an older one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as scratch:
        tree = Path(scratch) / folder.name
        for name, data in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(data)
        shutil.rmtree(folder, ignore_errors=True)
        tree.rename(folder)


def write_archive(files, path, day):
    """Write {name: bytes} as a .zip: in order, all of one day."""
    unfinished = path.with_name(f".unfinished-{path.name}")
    wheels.archive([(f"{path.stem}/{name}", data) for name, data in sorted(files.items())], unfinished, day)
    unfinished.replace(path)


def write_wheels(files, folder):
    """Write the wheels of a release, {name: bytes} of whose files is given, into `folder`; return their paths.

    METADATA comes onto the board too, so it is short. The client is the last that is copied: without it nothing starts.
    """

    def entries(package):
        targets = [target for target, _ in json.loads(files[package])["urls"]]
        return [(target, files[f"{FORMS[0].folder}/{target}"]) for target in targets]

    made = [wheels.write(folder, _WHEEL, version(), _SUMMARY, entries(PACKAGE))]
    for extra, name in EXTRA_PACKAGES.items():
        stem = Path(compiler.EXTRAS[extra]).stem.replace("_", "-")
        summary = f"{extra} for {_WHEEL}"
        made.append(wheels.write(folder, f"micropython-{stem}", version(), summary, entries(name), needs=[_WHEEL]))
    return [*made, folder / wheels.build_wheel(folder)]


def main(argv=None):
    """Build a release; see --help."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="where its folder will be: https://..., or github:owner/repository@branch")
    parser.add_argument("--dry-run", action="store_true", help="only name the files")
    options = parser.parse_args(argv)
    folder = rigs.BUILD / "dist" / f"uwebsocket-{version()}"
    archive = folder.with_name(f"{folder.name}.zip")
    try:
        day = release_day()
        base(options.address)
        if options.dry_run:
            print("\n".join(names()))
            return 0
        rigs.need(*(form.cross for form in FORMS))
        files = contents(options.address)
        write_folder(files, folder)
        write_archive(files, archive, day)
        made = write_wheels(files, folder.parent)
    except (DistError, compiler.BuildError, rigs.RigMissing) as error:
        print(f"dist: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"dist: {error} (try: git status, and room on the disk)", file=sys.stderr)
        return 1
    for path in (folder, archive, *made):
        print(path.relative_to(rigs.ROOT))
    print(f"{len(files)} files; SHA-256 of the archive: {hashlib.sha256(archive.read_bytes()).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
