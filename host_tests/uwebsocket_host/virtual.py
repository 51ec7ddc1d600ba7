"""The virtual board of a clone of the project, for tests: what `make board` runs, behind mpremote and the tools."""

import os
import subprocess
from pathlib import Path

from uwebsocket_host import ROOT

CHECKOUT = "UWEBSOCKET_CHECKOUT"  # names the clone
_RUN = """
import sys
from common import virtual_board
name, flash = sys.argv[1:]
rig = virtual_board.best_rig(name)
with virtual_board.running(name, flash if rig != virtual_board.CHIP else flash + ".bin", rig=rig) as board:
    print("port", board.port, flush=True)
    sys.stdin.read()
"""
_LONGEST_S = 300


class NoCheckout(RuntimeError):
    """There is no clone of the project to run a virtual board from; the text says what to do."""


def checkout():
    """Return the folder of the clone, NoCheckout where none is known."""
    named = os.environ.get(CHECKOUT)
    folder = Path(named) if named else ROOT
    if not (folder / "tools" / "common" / "virtual_board.py").exists():
        what = f"{named} is no clone of the project" if named else "the virtual board is no part of this package"
        raise NoCheckout(f"{what} (try: clone the project, make setup in it, {CHECKOUT}=its folder)")
    return folder.resolve()


class VirtualBoard:
    """A board that runs in a process of its own, with an empty flash; a context manager. `port`: for any tool."""

    def __init__(self, folder, name="ESP8266_GENERIC"):
        """Prepare one of that name; its flash lies in `folder`."""
        self._checkout = checkout()
        self._python = self._checkout / ".venv" / "bin" / "python"
        if not self._python.exists():
            raise NoCheckout(f"{self._checkout} is not set up (try: make setup in it)")
        command = [str(self._python), "-c", _RUN, name, str(Path(folder) / "flash")]
        environment = os.environ | {"PYTHONPATH": str(self._checkout / "tools")}
        self._process = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE)  # fmt: skip
        self.port = None

    def __enter__(self):
        said = []
        for line in self._process.stdout:
            if line.startswith("port "):
                self.port = line.split()[1]
                return self
            said.append(line)
        self.__exit__()
        raise RuntimeError("the virtual board does not start: " + "".join(said))

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(_LONGEST_S)
        self._process.stdout.close()

    def deploy(self, *arguments):
        """Do what `make deploy ARGS="..."` does, and return what it says."""
        return self._run(self._python, self._checkout / "tools" / "deploy.py", "--port", self.port, *arguments)

    def mpremote(self, *arguments):
        """Run mpremote on the board, and return what it says: `mpremote("exec", "print(1)")`."""
        return self._run(self._python.with_name("mpremote"), "connect", self.port, *arguments)

    def _run(self, *command):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=_LONGEST_S)
        if done.returncode:
            raise AssertionError(f"{done.stdout}{done.stderr}")
        return done.stdout
