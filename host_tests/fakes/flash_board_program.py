"""Runs a program on MicroPython over littlefs in an image file; see flash_board.py.

Arguments: the folder of flash.img and rom.img, and how many writes to them are left before the power fails. The
program comes on stdin; the writes that are left go to stderr.
"""

import os
import sys

import vfs
from flash_images import Image, mount_rom


def start(folder):
    """Mount what the folder holds."""
    flash = open(folder + "/flash.img", "r+b")
    rom = open(folder + "/rom.img", "r+b") if "rom.img" in os.listdir(folder) else None
    sys.path[:] = ["", ".frozen", "/lib", "/"]
    vfs.umount("/")
    if rom:
        mount_rom(Image(rom))
    vfs.mount(vfs.VfsLfs2(Image(flash)), "/")
    os.chdir("/")


program = sys.stdin.read()
if program == "format":
    vfs.VfsLfs2.mkfs(Image(open(sys.argv[1] + "/flash.img", "r+b")))
else:
    start(sys.argv[1])
    Image.left = int(sys.argv[2])
    failed = False
    try:
        exec(program, {"__name__": "__main__"})
    except Exception as error:
        sys.print_exception(error)
        failed = True
    finally:
        print(Image.left, file=sys.stderr)
    sys.exit(failed)
