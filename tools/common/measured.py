"""Programs that measure: compiled beside the device code, and started on an interpreter as a board would start them.

And what those who start them share: bisection, and processors that do not sleep.
"""

import os
import subprocess
import sys
from contextlib import contextmanager

from common import compiler, rigs

# Ends by itself when its parent has gone.
_AWAKE = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile os.getppid() == {}: pass"


class MeasureError(RuntimeError):
    """A program did not do what was to be measured; the text is its last line, `printed` what it printed before."""

    def __init__(self, text, printed=""):
        super().__init__(text)
        self.printed = printed


def compile_programs(interpreter, programs, folder, viper=False):
    """Compile the device code and `programs` into `folder`, with `viper` the interpreter's masker too; return it.

    They lie side by side, as on a board: the length of a path would count as memory.
    """
    compiler.build_folder([*compiler.sources(), *programs], folder)
    if viper:
        masker = rigs.DEVICE / compiler.MASKER
        compiler.compile_file(masker, (folder / masker.name).with_suffix(".mpy"), rigs.arch(interpreter))
    return folder


def run(interpreter, folder, arguments, *, heap=None, timeout_s):
    """Run the interpreter in `folder` with a heap of `heap` (an option's value); return what it printed."""
    size = ["-X", f"heapsize={heap}"] if heap else []
    try:
        done = subprocess.run(
            [*rigs.command(interpreter), *size, *arguments],
            cwd=folder,
            env=rigs.device_env(interpreter, built=True) | {"MICROPYPATH": ".frozen"},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        raise MeasureError(f"no end within {timeout_s:.0f} s", (expired.stdout or b"").decode()) from None
    if done.returncode:
        raise MeasureError(((done.stdout + done.stderr).strip().splitlines() or ["no message"])[-1], done.stdout)
    return done.stdout


def smallest(attempt, low, high, step):
    """Return the smallest multiple of `step` in low..high with which `attempt` raises no MeasureError, by bisection.

    What it raises with `high` comes out.
    """
    low, high = low // step, high // step
    attempt(high * step)
    while low < high:
        middle = (low + high) // 2
        try:
            attempt(middle * step)
        except MeasureError:
            low = middle + 1
        else:
            high = middle
    return high * step


@contextmanager
def awake_processors():
    """Keep every processor from sleeping, by loops of the lowest priority."""
    command = [sys.executable, "-c", _AWAKE.format(os.getpid())]
    loops = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
