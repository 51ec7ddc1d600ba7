"""A ROMFS image that holds the client, made on this computer: what `make flash ARGS=--with-client` writes."""

import shutil
import subprocess
from pathlib import Path

from common import compiler, remote_board

_TIMEOUT_S = 60


class RomfsError(RuntimeError):
    """There is no image; the text says why and what to do."""


def build(march, folder):
    """Compile the client for an architecture; return the file of a ROMFS image of it, and how many modules it holds."""
    modules = [Path(path) for path in compiler.build_all([march])]
    lib = folder / "rom" / "lib"
    lib.mkdir(parents=True)
    for path in modules:
        shutil.copy(path, lib)
    image = folder / "client.romfs"
    command = [str(remote_board.MPREMOTE), "romfs", "--no-mpy", "--output", str(image), "build", str(lib.parent)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except OSError as error:
        raise RomfsError(f"mpremote does not start: {error.strerror} (try: make setup)") from None
    if done.returncode or not image.exists():
        said = (done.stdout + done.stderr).strip().splitlines() or ["it says nothing"]
        raise RomfsError(f"mpremote makes no ROMFS: {said[-1]} (try: make setup)")
    return image, len(modules)
