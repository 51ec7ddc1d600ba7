"""MicroPython's `machine` as its unix port has it: there is no Timer, so nothing runs in the background."""
