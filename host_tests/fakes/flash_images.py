"""Image files as flash, for MicroPython: a block device, and the module vfs with a ROMFS partition."""

import sys

import vfs

_BLOCK = 4096


class Image:
    """A file as a block device, until the power fails: half of that write is done, and none after it.

    `left`, of all images together: how many writes that takes, -1 for any number.
    """

    left = -1

    def __init__(self, file):
        self._file = file
        self._blocks = file.seek(0, 2) // _BLOCK

    def readblocks(self, number, buffer, offset=0):
        self._file.seek(number * _BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, number, buffer, offset=0):
        if not Image.left:
            return
        Image.left -= 1
        self._file.seek(number * _BLOCK + offset)
        self._file.write(buffer if Image.left else memoryview(buffer)[: len(buffer) // 2])
        if not Image.left:
            sys.exit(9)

    def ioctl(self, operation, argument):
        return {4: self._blocks, 5: _BLOCK, 6: 0}.get(operation)

    def contents(self):
        """Return all that it holds."""
        data = bytearray(self._blocks * _BLOCK)
        self._file.seek(0)
        self._file.readinto(data)
        return data


class Vfs:
    """MicroPython's module vfs, with a ROMFS partition like the ESP8266's."""

    def __init__(self, image):
        for name in dir(vfs):
            if not name.startswith("__"):
                setattr(self, name, getattr(vfs, name))
        self._image = image
        self._contents = image.contents()

    def rom_ioctl(self, operation, number=0, offset=0, data=b""):
        """Do what the firmware's does: 1 count, 2 contents, 3 prepare, 4 write."""
        if operation == 1:
            return 1
        if operation == 2:
            return self._contents
        if operation == 3:
            return 4
        if operation == 4:
            self._image.writeblocks(0, data, offset)
            return 0
        return -22


def mount_rom(image):
    """Give the programs that follow a ROMFS, as the firmware does when it starts."""
    sys.modules["vfs"] = with_rom = Vfs(image)
    try:
        vfs.mount(vfs.VfsRom(with_rom.rom_ioctl(2)), "/rom")
    except OSError:  # empty
        return
    sys.path[2:2] = ["/rom", "/rom/lib"]
