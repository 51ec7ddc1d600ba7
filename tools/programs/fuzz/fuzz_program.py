"""Fuzz one target: `fuzz_program.py TARGET [libFuzzer's options and folders]`; runs where atheris is installed."""

import gc
import sys

import atheris

with atheris.instrument_imports(include=["_wsreceive", "_wsreply", "_wsrequest", "_wsurl"]):
    import fuzz_targets

target = fuzz_targets.TARGETS[sys.argv.pop(1)]
gc.freeze()  # the receiver collects garbage when memory is short
atheris.Setup(sys.argv, target)
atheris.Fuzz()
