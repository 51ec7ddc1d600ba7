"""Device programs on CPython: `python -m uwebsocket_host main.py` runs one, and pytest has the fixtures of `plugin`.

`pip install .` makes this package. Inside it lie the client, what CPython lacks of MicroPython (the shim), scripted
boards and servers, as in the project's tree. Of all that nothing can be imported by its own name until a program or a
fixture asks for it.
"""

from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE if (HERE / "micropython").is_dir() else HERE.parents[1]  # else it is not installed, but in the tree
DEVICE = ROOT / "micropython"
SHIM = ROOT / "host_tests" / "shim"

# uwebsocket_host.fakes and uwebsocket_host.servers
__path__.append(str(ROOT / "host_tests"))
