"""Firmware files: what is in one, whether it is whole, which one a board needs, and where it comes from.

    found = firmware.read(Path("ESP8266_GENERIC-20250415-v1.25.0.bin"))     # FirmwareError unless it is whole
    path = firmware.download(boards.load("ESP8266_GENERIC").variants[0])    # the newest release, to build/firmware

A released firmware is one file: for the ESP8266 an image, padding and code, with their length and MD5; for the ESP32
family a bootloader, a partition table and an application, both images with a checksum and a SHA-256.
"""

import contextlib
import fnmatch
import hashlib
import html.parser
import http.client
import os
import re
import struct
import tempfile
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from esptool.bin_image import LoadFirmwareImage
from esptool.targets import CHIP_DEFS
from esptool.util import FatalError

from common import rigs

FOLDER = rigs.BUILD / "firmware"

_IMAGE_MAGIC = 0xE9
_ESP8266_MEMORY = range(0x3FFE8000, 0x40108000)  # where the first segment of its images goes
_ESP8266_LENGTH_AT = 0x8FFC
_ESP8266_MD5_FROM = 4  # esptool may change the bytes before
_PARTITIONS_AT = 0x8000  # in flash
_PARTITION = struct.Struct("<HBBII")  # magic, type, subtype, offset, size; then a label
_PARTITION_SIZE = 32
_PARTITION_MAGIC = 0x50AA
_APPLICATION = 0
_VERSION = re.compile(rb"v\d+\.\d+[\w.+-]* on \d{4}-\d\d-\d\d")
_TIMEOUT_S = 30
_PIECE = 65536


class FirmwareError(RuntimeError):
    """A firmware cannot be used or had; the text ends in the remedy."""


@dataclass(frozen=True)
class Firmware:
    """A whole firmware: its file, the chip by its name for esptool, its version where it tells one, and its SHA-256."""

    path: Path
    chip: str
    version: str | None
    size: int
    sha256: str


def chip_name(chip):
    """Return the name of a chip as people write it: "ESP32-C3" for "esp32c3"."""
    return CHIP_DEFS[chip].CHIP_NAME


def read(path, sha256=None):
    """Return the Firmware in a file; FirmwareError where it is none, not whole, or has another SHA-256.

    Without `sha256` the file `path`.sha256 decides, where there is one.
    """
    try:
        data = path.read_bytes()
        sums = path.with_name(path.name + ".sha256")
        if sha256 is None and sums.exists():
            sha256 = (sums.read_text().split() or [""])[0]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "its .sha256 is no text"
        raise FirmwareError(f"cannot read {path}: {reason} (try: another FIRMWARE=file)") from None
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256.strip().lower():
        raise FirmwareError(f"{path.name} has the SHA-256 {digest}, not {sha256.strip()} (try: download it again)")
    try:
        chip = _chip(data)
        (_check_esp8266 if chip == "esp8266" else _check_esp32)(chip, data)
    except ValueError as error:
        raise FirmwareError(f"{path.name} {error} (try: download it again)") from None
    version = _VERSION.search(data)
    return Firmware(path, chip, version and version[0].decode(), len(data), digest)


def _chip(data):
    if len(data) < 24 or data[0] != _IMAGE_MAGIC:
        begin = data[:4].hex(" ") or "nothing"
        raise ValueError(f"is no firmware for these chips: it begins with {begin}, not with e9")
    if int.from_bytes(data[8:12], "little") in _ESP8266_MEMORY:
        return "esp8266"
    number = int.from_bytes(data[12:14], "little")
    for name, target in CHIP_DEFS.items():
        if target.IMAGE_CHIP_ID == number:
            return name
    raise ValueError(f"is for a chip that nobody knows, number {number}")


def _check_image(chip, data, what):
    """Check the segments, the checksum and the SHA-256 of the image that `data` begins with."""
    try:
        image = LoadFirmwareImage(chip, data)
    except (FatalError, struct.error, TypeError) as error:
        raise ValueError(f"is cut off or damaged: its {what} is not whole") from error
    digest_is_wrong = getattr(image, "append_digest", False) and image.stored_digest != image.calc_digest
    if image.checksum != image.calculate_checksum() or digest_is_wrong:
        raise ValueError(f"is damaged or cut off: the checksum of its {what} is wrong")


def _check_esp8266(chip, data):
    _check_image(chip, data, "image")
    if len(data) < _ESP8266_LENGTH_AT + 4:
        raise ValueError("is cut off, or only the first part of a firmware")
    (length,) = struct.unpack_from("<I", data, _ESP8266_LENGTH_AT)
    if length + 16 > len(data):
        raise ValueError(f"is cut off: it should have {length + 16} B, and has {len(data)}")
    if hashlib.md5(data[_ESP8266_MD5_FROM:length]).digest() != data[length : length + 16]:
        raise ValueError("is damaged: its MD5 is wrong")


def _check_esp32(chip, data):
    _check_image(chip, data, "bootloader")
    begin = CHIP_DEFS[chip].BOOTLOADER_FLASH_OFFSET
    for position in range(_PARTITIONS_AT - begin, len(data) - _PARTITION_SIZE, _PARTITION_SIZE):
        magic, kind, _, offset, _ = _PARTITION.unpack_from(data, position)
        if magic != _PARTITION_MAGIC:
            break
        if kind == _APPLICATION:
            _check_image(chip, data[offset - begin :], "application")
            return
    raise ValueError("is cut off, or only a part of a firmware: it names no application")


def choose(board, flash_kib=None, name=None):
    """Return the Variant of a board for its flash (None: unknown), or the one that is named; FirmwareError if none."""
    if name is not None:
        for variant in board.variants:
            if variant.name == name:
                return variant
        known = ", ".join(variant.name for variant in board.variants[1:]) or "it has none but the standard one"
        raise FirmwareError(f"{board.name} has no variant {name!r} (try: {known})")
    standard = board.variants[0]
    if flash_kib is None or standard.flash_kib <= flash_kib:
        return standard
    smaller = [variant for variant in board.variants if variant.mpy and variant.flash_kib <= flash_kib]
    if not smaller:
        raise FirmwareError(f"no {board.name} firmware fits in {flash_kib} KiB of flash (try: another board)")
    return max(smaller, key=lambda variant: variant.flash_kib)


def flash_needed_kib(board, found):
    """Return the flash that a file needs: its variant's, where its name is that of one, and at least its own size."""
    named = [variant.flash_kib for variant in board.variants if fnmatch.fnmatch(found.path.name, variant.firmware)]
    return max([*named, -(-(board.flash.offset + found.size) // 1024)])


class _Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.found += [value for key, value in attributes if key == "href" and value]


def _newest(links, variant, version):
    """Return the link to a release of a variant: the named version, or the newest."""
    releases = {}
    for link in links:
        name = PurePosixPath(urllib.parse.urlsplit(link).path).name
        # Names end in -v1.25.0.bin; previews have more behind the version.
        if fnmatch.fnmatch(name, variant.firmware) and (found := re.search(r"-v(\d+(?:\.\d+)+)\.bin$", name)):
            releases[tuple(map(int, found[1].split(".")))] = link
    if version is None:
        return releases[max(releases)] if releases else None
    return releases.get(tuple(map(int, version.split("."))))


def download(variant, version=None, url=None):
    """Return the path in FOLDER of a release of a variant, fetched unless it is there.

    `version` as "1.25.0", None: the newest; `url`: the page that links to the files, None: the variant's own.
    FirmwareError says how to do without.
    """
    page = url or variant.url
    if version is not None and not re.fullmatch(r"\d+(\.\d+)+", version):
        raise FirmwareError(f"{version!r} is no version (try: one like 1.25.0)")
    by_hand = f"(try: fetch it by hand from {page} and give FIRMWARE=file)"
    try:
        with urllib.request.urlopen(page, timeout=_TIMEOUT_S) as answer:
            links = _Links()
            links.feed(answer.read().decode(errors="replace"))
        link = _newest(links.found, variant, version)
        if link is None:
            what = f"version {version}" if version else "release"
            raise FirmwareError(f"{page} offers no {what} called {variant.firmware} {by_hand}")
        address = urllib.parse.urljoin(page, link)
        target = FOLDER / PurePosixPath(urllib.parse.urlsplit(address).path).name
        if target.exists():
            with contextlib.suppress(FirmwareError):
                return read(target).path
        print(f"downloading {target.name}", flush=True)
        return _fetch(address, target)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise FirmwareError(f"cannot download {variant.firmware}: {error} {by_hand}") from None


def _fetch(address, target):
    """Download a firmware into `target`, which appears only when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unfinished-") as scratch:
        path = Path(scratch) / target.name
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer, open(path, "wb") as file:
            while piece := answer.read(_PIECE):
                file.write(piece)
        read(path)
        os.replace(path, target)
    return target
