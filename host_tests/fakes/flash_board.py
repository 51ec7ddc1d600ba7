"""A board for tools/deploy.py whose power can fail at any write to its flash: MicroPython over littlefs in a file.

It has the interface of tools/common/remote_board.py, without mpremote between; each program meets a board that was
just started.
"""

import contextlib
import io
import subprocess
import types
from pathlib import Path

from mpremote.romfs import make_romfs

from common import rigs
from common.remote_board import RemoteError

_PROGRAM = Path(__file__).parent / "flash_board_program.py"
_CHUNK = 256  # what mpremote writes at once
_ROM_CHUNK = 4096

_FILES = """
import binascii, hashlib, os
for name, kind, *_ in os.ilistdir({folder!r}):
    if kind == 0x8000:
        with open({folder!r} + '/' + name, 'rb') as file:
            data = file.read()
        print(name, len(data), binascii.hexlify(hashlib.sha256(data).digest()).decode())
"""


class FlashBoard:
    """One such board, its images in `folder`; `left` is how many writes it does before the power fails, -1 for any.

    `facts` are those that differ from an ESP8266's.
    """

    port = "flash"
    virtual = True

    def __init__(self, folder, interpreter, blocks=64, rom_blocks=0, **facts):
        self._folder = folder
        self._interpreter = interpreter
        self._facts = {
            "platform": "esp8266",
            "machine": "ESP module with ESP8266",
            "version": (1, 29, 0),
            "version_text": "1.29.0",
            "mpy": (6, 3, 0),
            "march": rigs.arch(interpreter),
            "heap": 1 << 20,
        } | facts
        self.left = -1
        self.resets = []
        (folder / "flash.img").write_bytes(bytes(blocks << 12))
        if rom_blocks:
            (folder / "rom.img").write_bytes(b"\xff" * (rom_blocks << 12))
        self.exec("format")

    def facts(self):
        return types.SimpleNamespace(**self._facts)

    def exec(self, program, *, timeout_s=60):
        done = subprocess.run(
            [*rigs.command(self._interpreter), str(_PROGRAM), str(self._folder), str(self.left)],
            input=program, capture_output=True, text=True, timeout=timeout_s, check=False,
            env={"MICROPYPATH": f"{_PROGRAM.parent}:.frozen"},
        )  # fmt: skip
        self.left = int(done.stderr.split()[-1]) if done.stderr else self.left
        if not self.left:
            raise RemoteError("the board is gone (try: plug it in)")
        if done.returncode:
            raise RemoteError(f"{done.stdout.splitlines()[-1]} (try: something else)")
        return done.stdout

    def mpremote(self, *arguments, timeout_s=60):
        told = ""
        while arguments:
            end = arguments.index("+") if "+" in arguments else len(arguments)
            told += self._command(*arguments[:end])
            arguments = arguments[end + 1 :]
        return told

    def _command(self, name, *arguments):
        if name == "cp":
            source, target = arguments
            self.write(target.removeprefix(":"), Path(source).read_bytes())
            return ""
        if name == "cat":
            return self.read(arguments[0].removeprefix(":"))
        if name == "soft-reset":
            self.resets.append("soft")
            return ""
        if name == "romfs" and arguments[0] == "--no-mpy":
            _, _, image, _, source = arguments
            with contextlib.redirect_stdout(io.StringIO()):
                Path(image).write_bytes(make_romfs(source, mpy_cross=False))
            return ""
        if name == "romfs" and arguments[0] == "deploy":
            data = Path(arguments[1]).read_bytes()
            for start in range(0, len(data), _ROM_CHUNK):
                chunk = data[start : start + _ROM_CHUNK]
                self.exec(f"import vfs\nvfs.rom_ioctl(4, 0, {start}, {chunk!r})")
            return ""
        raise AssertionError(f"not a command that a deploy needs: {name} {arguments}")

    def files(self, folder):
        try:
            lines = self.exec(_FILES.format(folder=folder)).splitlines()
        except RemoteError as error:
            if "ENOENT" in str(error):
                return {}
            raise
        return {name: (int(size), digest) for name, size, digest in (line.split() for line in lines)}

    def hard_reset(self):
        self.resets.append("hard")

    # For tests.

    def write(self, path, data):
        """Write a file as mpremote does."""
        chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
        self.exec(f"file = open({path!r}, 'wb')\nfor data in {chunks!r}:\n    file.write(data)\nfile.close()")

    def read(self, path):
        """Return the text of a file."""
        return self.exec(f"print(open({path!r}).read(), end='')")

    def image(self):
        """Return everything that the flash holds."""
        return b"".join(path.read_bytes() for path in sorted(self._folder.glob("*.img")))

    def restore(self, image):
        """Make the flash hold what image() returned."""
        for path in sorted(self._folder.glob("*.img")):
            size = path.stat().st_size
            path.write_bytes(image[:size])
            image = image[size:]
