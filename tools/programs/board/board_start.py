"""What a virtual board does between power-on and the prompt, and its raw REPL; runs on MicroPython.

tools/common/virtual_board.py, the host, is told each step by one byte through a pipe:

    b  booting: code runs, so Ctrl-C reaches it
    w  the raw REPL waits for the next code
    h  hard reset, s  soft reset: the host ends this process
"""

import io
import os
import sys
from builtins import execfile

import network
import vfs

import machine
import tls

_ENOSPC = 28
_NO_LIMIT = 1 << 29
_OWN_FRAME = '  File "board_start'


class Flash:
    """A file system of so many bytes in a folder of the host: when they are used up, writing raises ENOSPC."""

    def __init__(self, root, size):
        self._root = root
        self._files = vfs.VfsPosix(root)
        self._size = size
        self.free = 0
        self._measure()

    def __getattr__(self, name):
        return getattr(self._files, name)

    def rename(self, old, new):
        """Rename a file. A VfsPosix with a root cannot: up to 1.29 it takes the new name for both."""
        vfs.VfsPosix().rename(*(self._root + path if path.startswith("/") else path for path in (old, new)))

    def _used(self, folder):
        used = 0
        for entry in self._files.ilistdir(folder):
            path = folder + "/" + entry[0]
            used += self._used(path) if entry[1] == 0x4000 else self._files.stat(path)[6]
        return used

    def _measure(self):
        self.free = max(0, self._size - self._used(""))

    def open(self, path, mode):
        """Open a file; one that is written to is counted."""
        file = self._files.open(path, mode)
        if mode.startswith("r") and "+" not in mode:
            return file
        self._measure()
        return _Counted(file, self)

    def statvfs(self, path):
        """Tell the size and what is left, in blocks of one byte."""
        self._measure()
        return (1, 1, self._size, self.free, self.free, 0, 0, 0, 0, 255)


class _Counted(io.IOBase):
    def __init__(self, file, flash):
        self._file = file
        self._flash = flash

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def readinto(self, buffer):
        return self._file.readinto(buffer)

    def write(self, data):
        count = len(data)
        if count > self._flash.free:
            raise OSError(_ENOSPC)
        self._flash.free -= count
        return self._file.write(data)

    def ioctl(self, request, argument):
        if request == 4:
            self._file.close()
        return 0


def _print_exception(error):
    """Print it as the firmware would: without the frames of this module."""
    text = io.StringIO()
    sys.print_exception(error, text)
    for line in text.getvalue().split("\n")[:-1]:
        if not line.startswith(_OWN_FRAME):
            print(line.replace(_code, "<stdin>"))


def _run_file(name, names):
    try:
        os.stat(name)
    except OSError:
        return
    try:
        execfile(name, names)
    except SystemExit:
        machine.soft_reset()
    except BaseException as error:
        _print_exception(error)


class _Unverified:
    """The module `tls` as far as a firmware has it that verifies no server. It is mbedTLS still, not axTLS."""

    PROTOCOL_TLS_CLIENT = tls.PROTOCOL_TLS_CLIENT
    MBEDTLS_VERSION = tls.MBEDTLS_VERSION

    def SSLContext(self, protocol):
        """Return a context that accepts every server."""
        context = tls.SSLContext(protocol)
        context.verify_mode = tls.CERT_NONE
        return context


def start(names, commands, steps, link, code, root, size, raw, wifi, heap, verifies):
    """Boot: mount the flash, run boot.py and main.py.

    `names`: the globals of __main__; `commands`, `steps`, `link`: descriptors, see tools/common/virtual_board.py;
    `code`: the file for the raw REPL, from the flash; `root`: the flash's folder; `size`: its bytes, None for no limit;
    `raw`: stay in the raw REPL, without main.py; `wifi`: begin connected; `heap`: what these modules take of it;
    `verifies`: TLS can verify a server.
    """
    global _names, _commands, _steps, _code, stand_ins_heap
    _names = names
    _code = code
    stand_ins_heap = heap  # on a board it lies in the firmware, see remote_board.py
    _commands = open(commands, "rb")
    machine._steps = _steps = open(steps, "wb")
    network._link = open(link, "r+b")
    if not verifies:
        sys.modules["tls"] = _Unverified()
    if wifi:
        network.WLAN(network.STA_IF).connect("virtual")
    vfs.umount("/")
    vfs.mount(Flash(root, _NO_LIMIT if size is None else size), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    try:
        _steps.write(b"b")
        _run_file("boot.py", names)
        if not raw:
            _run_file("main.py", names)
    except KeyboardInterrupt as error:  # between two files
        _print_exception(error)
    if raw:
        raw_repl()


def raw_repl():
    """Run the code file at each x of the host, until another letter; the host speaks the raw REPL's protocol."""
    while True:
        try:
            _steps.write(b"w")
            if _commands.read(1) != b"x":
                return
            _execute()
        except KeyboardInterrupt:
            pass


def _execute():
    error = None
    try:
        execfile(_code, _names)  # from a file, for a board too reads code without having it in the heap
    except SystemExit:
        machine.soft_reset()
    except BaseException as raised:
        error = raised
    sys.stdout.write("\x04")
    if error:
        _print_exception(error)
    sys.stdout.write("\x04")
