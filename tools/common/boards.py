"""The boards, as boards/<OFFICIAL_NAME>/board.json describes them; boards/board.schema.json says what each key means.

    board = boards.load("ESP8266_GENERIC")
    esptool = ["--chip", board.chip, "write-flash", hex(board.flash.offset)]

Run as a program it lists them.
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from common import rigs

FOLDER = rigs.ROOT / "boards"
BOOT = FOLDER / "boot.py"  # connects any board to Wi-Fi
WIFI = FOLDER / "wifi.json"  # the user's network and password; never in git
WIFI_EXAMPLE = FOLDER / "wifi.example.json"
_SCHEMA = FOLDER / "board.schema.json"


@dataclass(frozen=True)
class Flash:
    """Where and how esptool writes the firmware: the values of its options."""

    offset: int
    mode: str
    freq: str
    size: str
    baud: int


@dataclass(frozen=True)
class Tls:
    """The TLS library of the firmware, and whether it can check a server's certificate."""

    library: str
    verifies: bool


@dataclass(frozen=True)
class Variant:
    """One firmware for a board; the standard one's name is empty. `firmware` is a glob of file names."""

    name: str
    firmware: str
    url: str
    flash_kib: int
    romfs: bool
    mpy: bool
    note: str
    romfs_at: str | None = None  # where the ROMFS begins in flash, for esptool, where that is known
    romfs_kib: int = 0


@dataclass(frozen=True)
class BoardData:
    """What the tools know about a board; its folder also holds board.md, for the user."""

    name: str
    chip: str
    platform: str
    oldest: tuple[int, int]
    march: str | None
    heap_kib: int
    timers: int
    usb: str
    tls: Tls
    flash: Flash
    variants: tuple[Variant, ...]
    folder: Path


@functools.cache
def _validator():
    import jsonschema  # takes longer to import than everything else here together

    return jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text()))


def _checked(path):
    """Return the data of a board.json; ValueError names the file and the key that is wrong."""
    label = "/".join(path.parts[-3:])
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from None
    errors = sorted(_validator().iter_errors(data), key=lambda error: error.json_path)
    if errors:
        key = errors[0].json_path.removeprefix("$").lstrip(".")
        raise ValueError(f"{label}: {key or 'the file'}: {errors[0].message}")
    return data


def read(path):
    """Return the BoardData that the file `path` describes."""
    data = _checked(path)
    url = data.pop("url")
    flash = data.pop("flash")
    return BoardData(
        **data
        | {
            "name": path.parent.name,
            "folder": path.parent,
            "oldest": tuple(map(int, data["oldest"].split("."))),
            "tls": Tls(**data["tls"]),
            "flash": Flash(**flash | {"offset": int(flash["offset"], 16)}),
            "variants": tuple(Variant(url=url, **variant) for variant in data["variants"]),
        }
    )


def names():
    """Return the official names of the boards."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/board.json")))


def load(name):
    """Return the BoardData of that official name; ValueError lists them all."""
    if name not in names():
        raise ValueError(f"no board is called {name!r} (one of: {', '.join(names())})")
    return read(FOLDER / name / "board.json")


def for_chip(chip):
    """Return the BoardData for a chip, by its name for esptool: "esp32c3", or as esptool prints it, "ESP32-C3"."""
    boards = {board.chip: board for board in map(load, names())}
    try:
        return boards[_chip_id(chip)]
    except KeyError:
        raise ValueError(f"no board has the chip {chip!r} (one of: {', '.join(boards)})") from None


def for_machine(machine):
    """Return the BoardData for what MicroPython calls its machine: "ESP module with ESP8266".

    The firmware for some variants of a chip adds the variant's name: "Generic ESP32 module with ESP32-UNICORE".
    """
    chip = _chip_id(machine.rpartition(" with ")[2])
    for board in map(load, names()):
        if chip in (board.chip + variant.name.lower() for variant in board.variants):
            return board
    raise ValueError(f"no board is known for {machine!r} (one of: {', '.join(names())})")


def _chip_id(name):
    return name.lower().replace("-", "")
