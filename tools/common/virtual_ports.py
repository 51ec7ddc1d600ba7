"""Which serial ports belong to virtual boards that run: each such board keeps a file of its port's name locked."""

import contextlib
import fcntl
from pathlib import Path

from common import rigs

FOLDER = rigs.BUILD / "board" / "ports"


def _file(port):
    return FOLDER / Path(port).name


@contextlib.contextmanager
def announced(port, name):
    """Say, as long as this lasts, that the virtual board of that name is behind `port`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(_file(port), "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(name)
        file.flush()
        yield


def board_behind(port):
    """Return the name of the virtual board behind a port, None where it is any other port."""
    try:
        with open(_file(port)) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return _file(port).read_text()
    return None
