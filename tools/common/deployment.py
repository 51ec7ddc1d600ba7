"""Put the client on a board: compile what it can load, copy what changed, check it, measure its heap.

Files go to the board under unfinished names, are compared by SHA-256, and only then renamed: a deploy that is cut off
leaves the old client or the new one, and the next deploy removes what was left over.
"""

import ast
import contextlib
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from common import boards, compiler, payload, remote_board, rigs

UNFINISHED = ".new"  # how a file's name ends until it is complete

_LIB = "/lib"
_ROM_LIB = "/rom/lib"
_WIDE = ("x64",)  # where objects take twice the room
_SETTINGS = ("/boot.py", "/main.py", "/wifi.json")
_SLOWEST = 500  # bytes a second
_SOURCE_HEAP = 52 << 10  # that compiles the plain .py files where objects are 32 bits wide, see docs/costs.md

# Programs for the board.
_ROOM = """
import os
stat = os.statvfs('/') if hasattr(os, 'statvfs') else (0, 0, 0, 0)
print((stat[0], stat[3]))
"""
_MAKE_FOLDERS = """
import os
for parent, name in {folders!r}:
    if name not in os.listdir(parent):
        os.mkdir(parent.rstrip('/') + '/' + name)
"""
_RENAME = """
import os
for path in {paths!r}:
    os.rename(path + {unfinished!r}, path)
"""
_REMOVE = """
import os
for path in {paths!r}:
    os.remove(path)
"""
_LOOK_AT_ROM = """
import os
size = 0
try:
    import vfs
    if vfs.rom_ioctl(1) > 0:
        rom = vfs.rom_ioctl(2, 0)
        size = rom.ioctl(4, 0) * rom.ioctl(5, 0) if hasattr(rom, 'ioctl') else len(rom)
except (ImportError, AttributeError):
    pass
names = []
for folder in ('/rom', '/rom/lib'):
    try:
        names += os.listdir(folder)
    except OSError:
        pass
print((size, names))
"""
_MEASURE = """
import gc, sys
held = 'uwebsocket_client' in sys.modules
path = failed = masker = ''
gc.collect()
before = gc.mem_free()
try:
    import uwebsocket_mask
except Exception as error:
    masker = repr(error)
try:
    import uwebsocket_client
    path = getattr(uwebsocket_client, '__file__', '')
except Exception as error:
    failed = repr(error)
gc.collect()
print((before, gc.mem_free(), held, path, failed, masker))
"""


class DeployError(RuntimeError):
    """The board cannot get what was asked for; the text says why and what to do."""


_FAILURES = (DeployError, payload.PayloadError, remote_board.RemoteError, compiler.BuildError, rigs.RigMissing)


@dataclass(frozen=True)
class Options:
    """What to deploy, and how; the arguments of tools/deploy.py say what each is."""

    board: str | None = None
    wifi: Path | None = None
    example: str | None = None
    url: str | None = None
    extras: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    libs: tuple[Path, ...] = ()
    romfs: bool = False
    source: bool = False
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Heap:
    """What a board says after `import uwebsocket_client`."""

    before: int
    after: int
    held: bool  # main.py had imported it already
    path: str  # of the file that was imported
    failed: str  # why it could not be imported
    masker: str  # why the machine code could not be


def check_version(facts):
    """Raise DeployError where the firmware is older than what the client needs."""
    every = [boards.load(name) for name in boards.names()]
    oldest = min(board.oldest for board in [one for one in every if one.platform == facts.platform] or every)
    if facts.version[: len(oldest)] < oldest:
        needed = ".".join(map(str, oldest))
        raise DeployError(f"MicroPython {facts.version_text} is too old, the client needs {needed} (try: make flash)")


def changed(files, present):
    """Return what of `files`, {path on the board: local file}, differs from `present`, {path: (size, SHA-256)}."""
    return {path: file for path, file in files.items() if present.get(path, (0, ""))[1] != payload.digest(file)}


def parts(copies, present, block, free):
    """Return the paths of `copies` in groups that fit the flash beside what they replace; DeployError if none do.

    One group where there is room: the board then goes from old to new at once. `copies` and `present`: as of
    changed(); `block`: the unit of the file system in bytes, `free`: how many are left.
    """

    def blocks(size):
        return max(1, -(-size // block))

    needed = {path: blocks(file.stat().st_size) for path, file in copies.items()}
    total = sum(needed.values())
    if total <= free:
        return [list(copies)] if copies else []
    left = free
    for path, count in needed.items():
        if count > left:
            raise DeployError(
                f"the flash is full: {total * block // 1024} KiB to copy, {max(free, 0) * block // 1024} KiB free "
                "(try: .venv/bin/mpremote rm :NAME of what is not needed)"
            )
        left += (blocks(present[path][0]) if path in present else 0) - count
    return [[path] for path in copies]


class Deployment:
    """One board that gets the client.

    `board` is a remote_board.RemoteBoard, `folder` is for scratch files, `say` takes the lines that tell what happens.
    """

    def __init__(self, board, options, folder, say):
        self._board = board
        self._facts = board.facts()
        self._options = options
        self._folder = folder
        self._say = say

    def run(self):
        """Do everything that the options ask for; DeployError, PayloadError or RemoteError where it cannot be done."""
        machine = "virtual board" if self._board.virtual else self._facts.machine
        self._say(f"{machine}, MicroPython {self._facts.version_text}")
        check_version(self._facts)
        if not self._ask(_ROOM)[0]:
            raise DeployError("the firmware has no file system (try: make flash with another variant)")
        settings = self._settings()
        client, told = payload.client(self._facts, self._options.source, self._options.extras)
        self._refuse_source(client)
        self._say(f"{len(client)} modules, {told}")
        self._give_client(client)
        if not self._options.dry_run:
            heap = self._measure()
            if heap.masker and payload.MASKER in client:
                self._say(f"the machine code is removed again, the board cannot load it: {heap.masker}")
                del client[payload.MASKER]
                self._give_client(client)
                heap = self._measure()
            self._judge(heap)
        self._give(settings)  # only now, for a new main.py would be in the way of measuring
        if not self._options.dry_run:
            self._board.hard_reset()

    def _ask(self, program):
        """Run a program on the board and return the tuple that it prints; callbacks may print lines of their own."""
        lines = [line for line in self._board.exec(program).splitlines() if line.startswith("(")]
        if not lines:
            raise DeployError("the board does not answer what it is asked (try: make repl, and Ctrl-C there)")
        return ast.literal_eval(lines[-1])

    def _refuse_source(self, client):
        """Raise DeployError where the board's heap is too small to compile the plain files, before one is touched."""
        needed = _SOURCE_HEAP * (2 if self._facts.march in _WIDE else 1)
        if f"{payload.CLIENT}.py" in client and self._facts.heap < needed:
            remedy = "without --source" if self._options.source else "make flash, with a variant that loads .mpy"
            sizes = f"a heap of {needed // 1024} KiB, this board has {self._facts.heap // 1024}"
            raise DeployError(f"to compile plain .py files takes {sizes} (try: {remedy})")

    def _settings(self):
        """Return {path on the board: local file} of everything but the client; DeployError to save a user's file."""
        files = payload.own(self._options.files, self._options.libs)
        if self._options.wifi:
            files |= payload.wifi(self._options.wifi)
            if payload.is_example_network(self._options.wifi):
                self._say(f"warning: {self._options.wifi.name} names the network of the example (try: write yours in)")
        if self._options.example:
            files["/main.py"] = self._folder / "main.py"
            files["/main.py"].write_text(payload.example(self._options.example, self._options.url))
            if not self._options.url:
                own = payload.servers(files["/main.py"].read_text())[0]
                self._say(f"warning: {self._options.example} talks to {own} (try: --url with your server)")
        present = self._present() if files and not self._options.force else {}
        for path in changed(files, present):
            if path not in present or path not in ("/boot.py", "/main.py"):
                continue
            name = path.lstrip("/")
            text = self._board.mpremote("cat", f":{path}").replace("\r\n", "\n")
            if not payload.may_replace(name, text):
                raise DeployError(f"the board has a {name} of its own, which stays (try: --force to replace it)")
        return files

    def _present(self):
        """Return {path: (size, SHA-256)} of what lies in the folders that get our files."""
        return {
            f"{folder}/{name}": entry
            for folder in ("", _LIB)
            for name, entry in self._board.files(folder or "/").items()
        }

    def _beside(self, files):
        """Return {path: (size, SHA-256)} of what lies in the folders below /lib that get some of `files`."""
        folders = {path.rpartition("/")[0] for path in files} - {"", _LIB}
        return {
            f"{folder}/{name}": entry for folder in sorted(folders) for name, entry in self._board.files(folder).items()
        }

    def _give_client(self, client):
        modules = {f"{folder}/{name}" for folder in ("", _LIB) for name in payload.names()}
        wanted = {f"{_LIB}/{name}": file for name, file in client.items()}
        if self._options.romfs:
            self._give_romfs(client)
            wanted = {}
        self._give(wanted, modules - set(wanted))

    def _give(self, files, unwanted=()):
        """Make the board have `files`, {path on the board: local file}, and nothing at the paths `unwanted`."""
        present = self._present() | self._beside(files)
        copies = changed(files, present)
        stale = [path for path in present if path in unwanted]
        everything = {*_SETTINGS, *files, *unwanted}
        leftovers = [path + UNFINISHED for path in everything if path + UNFINISHED in present]
        for path, file in copies.items():
            self._say(f"copy {path}, {file.stat().st_size} B")
        for path in leftovers + stale:
            self._say(f"remove {path}")
        if not self._options.dry_run:
            self._remove(leftovers)
        groups = parts(copies, present, *self._ask(_ROOM))
        if self._options.dry_run:
            return
        for group in groups:
            self._send({path: copies[path] for path in group})
            self._board.exec(_RENAME.format(paths=group, unfinished=UNFINISHED))
        self._remove(stale)

    def _remove(self, paths):
        if paths:
            self._board.exec(_REMOVE.format(paths=list(paths)))

    def _send(self, copies):
        """Copy files to their unfinished names, and compare them there."""
        unfinished = {path + UNFINISHED: file for path, file in copies.items()}
        commands = [word for path, file in unfinished.items() for word in ("+", "cp", str(file), f":{path}")]
        size = sum(file.stat().st_size for file in copies.values())
        folders = {
            folder for path in (f"{_LIB}/", *copies) for folder in PurePosixPath(f"{path}x").parents if folder.name
        }
        self._board.exec(_MAKE_FOLDERS.format(folders=[(str(one.parent), one.name) for one in sorted(folders)]))
        try:
            self._board.mpremote(*commands[1:], timeout_s=60 + size // _SLOWEST)
        except remote_board.RemoteError:
            with contextlib.suppress(remote_board.RemoteError):  # if the board is still there, its flash is full
                self._remove(unfinished.keys() & self._present().keys())
            raise
        self._compare(unfinished, self._present() | self._beside(unfinished))

    def _give_romfs(self, client):
        """Make the ROMFS hold the client and nothing else."""
        size, found = self._ask(_LOOK_AT_ROM)
        if not size:
            raise DeployError("the firmware has no ROMFS (try: make flash with a ROMFS variant, or without --romfs)")
        others = sorted(set(found) - {"lib", *payload.names()})
        if others and not self._options.force:
            raise DeployError(f"the ROMFS also holds {', '.join(others)}, which would be lost (try: --force)")
        wanted = {f"{_ROM_LIB}/{name}": file for name, file in client.items()}
        if set(found) == {"lib", *client} and not changed(wanted, self._rom()):
            return
        image = self._image(client)
        needed = image.stat().st_size
        if needed > size:
            raise DeployError(f"the ROMFS has {size} B, the client needs {needed} B (try: without --romfs)")
        # What lies in / is imported before the ROMFS, which is of no use until all of it is written.
        self._give({f"/{name}": file for name, file in client.items()})
        self._say(f"write the ROMFS, {needed} of {size} B")
        if self._options.dry_run:
            return
        self._board.mpremote("romfs", "deploy", str(image), timeout_s=60 + needed // _SLOWEST)
        remote_board.restart(self._board)  # which mounts it
        self._compare(wanted, self._rom())

    def _rom(self):
        return {f"{_ROM_LIB}/{name}": entry for name, entry in self._board.files(_ROM_LIB).items()}

    def _image(self, client):
        """Return the file of a ROMFS that holds the client."""
        folder = self._folder / "rom"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "lib").mkdir(parents=True)
        for file in client.values():
            shutil.copy(file, folder / "lib")
        image = self._folder / "rom.romfs"
        self._board.mpremote("romfs", "--no-mpy", "--output", str(image), "build", str(folder))
        return image

    @staticmethod
    def _compare(files, present):
        if damaged := changed(files, present):
            raise DeployError(f"not as it was sent: {', '.join(damaged)} (try: make deploy again, or another cable)")

    def _measure(self):
        """Return the Heap after a fresh start."""
        if self._facts.platform == "esp8266":
            remote_board.restart(self._board)  # a soft reset would not stop its timers, which then write into anything
        else:
            self._board.mpremote("soft-reset")  # runs no main.py
        return Heap(*self._ask(_MEASURE))

    def _judge(self, heap):
        """Tell what the import takes; DeployError where it failed, or found another client than this one."""
        if heap.failed:
            smaller = "without --source" if self._options.source else "--romfs, or --freeze"
            remedy = smaller if "MemoryError" in heap.failed else "make deploy again, or make repl"
            raise DeployError(f"the board cannot import the client: {heap.failed} (try: {remedy})")
        folder = _ROM_LIB if self._options.romfs else _LIB
        if heap.path and not heap.path.startswith(f"{folder}/"):
            remedy = "--romfs" if heap.path.startswith("/rom") else "a firmware without it"
            raise DeployError(f"the board imports {heap.path}, which comes before {folder} (try: {remedy})")
        if heap.held:
            self._say(f"heap: {heap.after} B free beside main.py, which has imported the client already")
        else:
            self._say(f"heap: {heap.before} B free; import uwebsocket_client: {heap.before - heap.after} B, "
                      f"{heap.after} B left")  # fmt: skip


def next_step(board, options):
    """Return the line that says what to type after a deploy to see that it works."""
    port = f"PORT={remote_board.VIRTUAL if board.virtual else board.port}"
    name = f" BOARD={options.board}" if options.board else ""
    if options.example or "/main.py" in payload.own(options.files, options.libs):
        return f"main.py runs; to see it run again: make repl {port}{name}, then Ctrl-C and Ctrl-D"
    return f"to see the client work: make demo {port}{name}"


def deploy(port, options, label=""):
    """Deploy to the board at `port`; return whether it was done. Each line for the user begins with `label`."""

    def say(line):
        print(f"{label}{line}\n", end="", flush=True)  # in one piece, among the lines of other boards

    try:
        with remote_board.opened(port, options.board) as board, tempfile.TemporaryDirectory(prefix="deploy-") as folder:
            Deployment(board, options, Path(folder), say).run()
            if not options.dry_run:
                say(next_step(board, options))
    except _FAILURES as error:
        print(f"deploy: {label}{error}\n", end="", file=sys.stderr)
        return False
    return True
