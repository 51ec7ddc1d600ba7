"""Compile the device code to .mpy: build/mpy/, the viper masker to build/mpy-<arch>/, extras to build/mpy-extras/."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from common import private_names, rigs

MASKER = "uwebsocket_mask.py"
# What a board gets only when it is asked for, by the name that asks
EXTRAS = {"asyncio": "uwebsocket_asyncio.py", "deflate": "uwebsocket_deflate.py"}
_MANIFEST = "manifest.py"
ARCHITECTURES = (
    "x86", "x64", "xtensa", "xtensawin", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "rv32imc",
)  # fmt: skip


class BuildError(RuntimeError):
    """mpy-cross refused a file; the text is what it said."""


def modules():
    """Return the modules of the client, extras and masker among them."""
    return sorted(path for path in rigs.DEVICE.glob("*.py") if path.name != _MANIFEST)


def sources():
    """Return the modules that become portable .mpy files."""
    return [path for path in modules() if path.name not in (MASKER, *EXTRAS.values())]


def extra_sources(names=tuple(EXTRAS)):
    """Return the modules of these extras."""
    return [rigs.DEVICE / EXTRAS[name] for name in names]


def compile_file(source, target, march=None, cross="mpy-cross"):
    """Compile one file with -O3 by the rig `cross`; of the client, its private names are replaced.

    `target` changes only when its bytes do, and never holds half a file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unfinished-") as scratch:
        output = Path(scratch) / target.name
        # The name embedded is the module's own, which the interpreter has anyway: any other costs
        # memory, and an absolute path differs by machine.
        command = [*rigs.command(cross), "-O3", "-s", source.stem, "-o", str(output)]
        if march:
            command.append(f"-march={march}")
        path = source
        if source.name in {path.name for path in modules()}:
            path = Path(scratch) / source.name
            path.write_bytes(private_names.replaced(source.read_bytes()))
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout or "mpy-cross has failed").strip()
            line = re.search(r"line \d+", said)
            where = f"{source.name}, {line[0]}" if line else source.name
            raise BuildError(f"{where}: {said.splitlines()[-1]} (try: python3 -m py_compile {source.name})")
        if not target.exists() or target.read_bytes() != output.read_bytes():
            os.replace(output, target)


def build_folder(paths, folder, march=None):
    """Compile `paths` into `folder`, which then holds nothing else; return the .mpy files."""
    folder.mkdir(parents=True, exist_ok=True)
    targets = [folder / path.with_suffix(".mpy").name for path in paths]
    for source, target in zip(paths, targets, strict=True):
        compile_file(source, target, march)
    for stale in set(folder.glob("*.mpy")) - set(targets):
        stale.unlink(missing_ok=True)
    return targets


def build_all(architectures=()):
    """Compile the portable modules, and the masker for each of `architectures`; return the .mpy files."""
    targets = build_folder(sources(), rigs.mpy_folder())
    for march in architectures:
        targets += build_folder([rigs.DEVICE / MASKER], rigs.mpy_folder(march), march)
    return targets


def build_extras(names=tuple(EXTRAS)):
    """Compile all extras; return the .mpy files of these."""
    build_folder(extra_sources(), rigs.mpy_folder("extras"))
    return [rigs.mpy_folder("extras") / path.with_suffix(".mpy").name for path in extra_sources(names)]
