"""Programs that measure: compiled beside the device code, and started on an interpreter as a board would start them."""

import subprocess

from common import compiler, rigs


class MeasureError(RuntimeError):
    """A program did not do what was to be measured; the text is its last line."""


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
    except subprocess.TimeoutExpired:
        raise MeasureError(f"no end within {timeout_s:.0f} s") from None
    if done.returncode:
        raise MeasureError(((done.stdout + done.stderr).strip().splitlines() or ["no message"])[-1])
    return done.stdout
