"""tools/common/firmware.py: what is a whole firmware, which one a board needs, downloads from loopback."""

import contextlib
import hashlib

import pytest

from common import boards, firmware, rigs
from servers import files
from support import firmware_images
from support.firmware_images import flipped, save

NAMES = {"esp8266": "ESP8266_GENERIC", "esp32": "ESP32_GENERIC"}
WHOLE = {chip: firmware_images.build(chip) for chip in firmware_images.CHIPS}


@pytest.mark.parametrize("chip", firmware_images.CHIPS)
def test_read_of_whole_firmware_tells_what_is_in_it(chip, tmp_path):
    data = WHOLE[chip]
    found = firmware.read(save(tmp_path, data))
    assert (found.chip, found.version, found.size) == (chip, firmware_images.VERSION, len(data))
    assert found.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("chip", NAMES, ids=lambda chip: f"released-firmware-{chip}")
def test_read_of_release_finds_it_whole_and_one_byte_less_cut_off(chip, tmp_path):
    path = rigs.FIRMWARE / f"{NAMES[chip]}-20250415-v1.25.0.bin"
    assert (firmware.read(path).chip, firmware.read(path).version) == (chip, "v1.25.0 on 2025-04-15")
    with pytest.raises(firmware.FirmwareError, match="cut off"):
        firmware.read(save(tmp_path, path.read_bytes()[:-1]))


_BAD = {
    "empty": (b"", "is no firmware for these chips: it begins with nothing"),
    "web page": (b"<!DOCTYPE html><html>" * 9, "is no firmware for these chips: it begins with 3c 21 44 4f, not"),
    "second ESP8266 format": (b"\xea" + WHOLE["esp8266"][1:], "is no firmware for these chips"),
    "unknown chip": (WHOLE["esp32"][:12] + b"\x77\x07" + WHOLE["esp32"][14:], "a chip that nobody knows, number 1911"),
    "ESP8266 image cut": (WHOLE["esp8266"][:60], "is cut off or damaged: its image is not whole"),
    "ESP8266 image only": (WHOLE["esp8266"][:96], "is cut off, or only the first part of a firmware"),
    "ESP8266 code cut": (WHOLE["esp8266"][:-200], "is cut off: it should have 38966 B, and has 38766"),
    "ESP8266 image changed": (flipped(WHOLE["esp8266"], 40), "the checksum of its image is wrong"),
    "ESP8266 code changed": (flipped(WHOLE["esp8266"], 0x9100), "is damaged: its MD5 is wrong"),
    "ESP32 bootloader cut": (WHOLE["esp32"][:300], "is cut off or damaged: its bootloader is not whole"),
    "ESP32 bootloader only": (WHOLE["esp32"][:4096], "it names no application"),
    "ESP32 application cut": (WHOLE["esp32"][:-100], "is cut off or damaged: its application is not whole"),
    "ESP32 without its application": (WHOLE["esp32"][:0xF000], "is cut off or damaged: its application is not whole"),
    "ESP32 digest cut": (WHOLE["esp32c3"][:-1], "is damaged or cut off: the checksum of its application is wrong"),
    "ESP32 bootloader changed": (flipped(WHOLE["esp32s3"], 100), "the checksum of its bootloader is wrong"),
    "ESP32 application changed": (flipped(WHOLE["esp32s2"], -500), "the checksum of its application is wrong"),
    "ESP32 application alone": (firmware_images.esp32_image("esp32", b"app" * 99), "it names no application"),
}


@pytest.mark.parametrize(("data", "text"), _BAD.values(), ids=list(_BAD))
def test_read_of_bad_file_says_what_is_wrong_with_it(data, text, tmp_path):
    with pytest.raises(firmware.FirmwareError) as error:
        firmware.read(save(tmp_path, data))
    assert text in str(error.value) and str(error.value).endswith(" (try: download it again)")


@pytest.mark.parametrize("chip", ["esp8266", "esp32c3"])
def test_read_of_file_cut_anywhere_is_refused(chip, tmp_path):
    data = WHOLE[chip]
    for length in [*range(0, 200, 7), *range(200, len(data), 997), len(data) - 1]:
        with pytest.raises(firmware.FirmwareError):
            firmware.read(save(tmp_path, data[:length]))


def test_read_of_missing_file_says_so(tmp_path):
    with pytest.raises(firmware.FirmwareError, match=r"cannot read .*none.bin: No such file.* \(try: another"):
        firmware.read(tmp_path / "none.bin")


_DIGEST = hashlib.sha256(WHOLE["esp8266"]).hexdigest()
_SUMS = {
    "right": (_DIGEST, None, True),
    "right, in capitals": (f" {_DIGEST.upper()}\n", None, True),
    "wrong": ("0" * 64, None, False),
    "right in the file": (None, f"{_DIGEST}  firmware.bin\n", True),
    "wrong in the file": (None, f"{'0' * 64}  firmware.bin\n", False),
    "right, wrong in the file": (_DIGEST, "0" * 64, True),
    "file is empty": (None, "", False),
}


@pytest.mark.parametrize(("given", "beside", "good"), _SUMS.values(), ids=list(_SUMS))
def test_read_with_sha256_refuses_another(given, beside, good, tmp_path):
    path = save(tmp_path, WHOLE["esp8266"])
    if beside is not None:
        (tmp_path / "firmware.bin.sha256").write_text(beside)
    refused = pytest.raises(firmware.FirmwareError, match=f"has the SHA-256 {_DIGEST}")
    with contextlib.nullcontext() if good else refused:
        assert firmware.read(path, given).sha256 == _DIGEST


_CHOICES = {
    "ESP8266, 4 MiB": ("ESP8266_GENERIC", 4096, None, ""),
    "ESP8266, 2 MiB": ("ESP8266_GENERIC", 2048, None, ""),
    "ESP8266, 1 MiB": ("ESP8266_GENERIC", 1024, None, "FLASH_1M"),
    "ESP8266, unknown": ("ESP8266_GENERIC", None, None, ""),
    "ESP8266, named": ("ESP8266_GENERIC", 4096, "FLASH_2M_ROMFS", "FLASH_2M_ROMFS"),
    "ESP32, 4 MiB": ("ESP32_GENERIC", 4096, None, ""),
    "ESP32, 2 MiB": ("ESP32_GENERIC", 2048, None, "D2WD"),
}


@pytest.mark.parametrize(("board", "flash_kib", "name", "variant"), _CHOICES.values(), ids=list(_CHOICES))
def test_choose_takes_what_fits_the_flash(board, flash_kib, name, variant):
    assert firmware.choose(boards.load(board), flash_kib, name).name == variant


@pytest.mark.parametrize(
    ("board", "flash_kib", "name", "text"),
    [
        pytest.param("ESP8266_GENERIC", 512, None, "no ESP8266_GENERIC firmware fits in 512 KiB", id="too small"),
        pytest.param("ESP8266_GENERIC", 4096, "FLASH_9M", "(try: FLASH_1M, FLASH_2M_ROMFS, FLASH_512K)", id="unknown"),
        pytest.param("ESP32_GENERIC_C6", 4096, "FLASH_9M", "(try: it has none but the standard one)", id="no variants"),
    ],
)
def test_choose_without_a_fit_says_what_there_is(board, flash_kib, name, text):
    with pytest.raises(firmware.FirmwareError) as error:
        firmware.choose(boards.load(board), flash_kib, name)
    assert text in str(error.value)


PAGE, FILES = "/download/ESP8266_GENERIC/", "/resources/firmware/"
OLD, NEW = "ESP8266_GENERIC-20240602-v1.23.0.bin", "ESP8266_GENERIC-20250415-v1.25.0.bin"
OFFERED = (
    "ESP8266_GENERIC-20260101-v1.26.0-preview.44.gc1ce7d1.bin",
    OLD,
    NEW,
    "ESP8266_GENERIC-20230101-v1.9.4.bin",
    "ESP8266_GENERIC-FLASH_1M-20250911-v1.26.1.bin",
    "ESP8266_GENERIC-20250911-v1.26.1.elf",
)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(firmware, "FOLDER", tmp_path)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    pages = {PAGE: firmware_images.page(FILES, OFFERED)}
    with files.running(pages | {FILES + name: WHOLE["esp8266"] for name in (OLD, NEW)}) as site:
        yield site


STANDARD = boards.load("ESP8266_GENERIC").variants[0]


@pytest.mark.parametrize(("version", "name"), [(None, NEW), ("1.23.0", OLD)], ids=["newest", "named"])
def test_download_takes_the_release_and_keeps_it(version, name, site, tmp_path):
    for _ in range(2):
        path = firmware.download(STANDARD, version, site.url + PAGE)
        assert path == tmp_path / name
        assert path.read_bytes() == WHOLE["esp8266"]
    assert site.asked.count(FILES + name) == 1


def test_download_of_damaged_file_that_is_here_fetches_it_again(site, tmp_path):
    save(tmp_path, WHOLE["esp8266"][:-1], NEW)
    assert firmware.download(STANDARD, None, site.url + PAGE).read_bytes() == WHOLE["esp8266"]


_TROUBLE = {
    "page missing": ({PAGE: None}, None, "cannot download ESP8266_GENERIC-2*.bin: HTTP Error"),
    "page is empty": ({PAGE: b""}, None, "offers no release called ESP8266_GENERIC-2*.bin"),
    "version not there": ({}, "1.24.0", "offers no version 1.24.0 called ESP8266_GENERIC-2*.bin"),
    "file missing": ({FILES + NEW: None}, None, "cannot download ESP8266_GENERIC-2*.bin: HTTP Error"),
}


@pytest.mark.parametrize(("pages", "version", "text"), _TROUBLE.values(), ids=list(_TROUBLE))
def test_download_that_fails_names_the_page_and_leaves_nothing(pages, version, text, site, tmp_path):
    site.pages |= pages
    with pytest.raises(firmware.FirmwareError) as error:
        firmware.download(STANDARD, version, site.url + PAGE)
    assert text in str(error.value)
    assert str(error.value).endswith(f"(try: fetch it by hand from {site.url}{PAGE} and give FIRMWARE=file)")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["breaks off", "is no firmware"])
def test_download_of_bad_file_leaves_nothing(how, site, tmp_path):
    if how == "breaks off":
        site.cut.append(FILES + NEW)
    else:
        site.pages[FILES + NEW] = b"<html>log in first</html>"
    with pytest.raises(firmware.FirmwareError, match=NEW):
        firmware.download(STANDARD, None, site.url + PAGE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nonsense"], ids=["nobody there", "no address"])
def test_download_without_a_server_says_what_to_do(url, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(firmware.FirmwareError, match="^cannot download .*by hand from .* and give FIRMWARE=file"):
        firmware.download(STANDARD, None, url)


def test_download_of_strange_version_says_what_one_looks_like():
    with pytest.raises(firmware.FirmwareError, match="'latest' is no version"):
        firmware.download(STANDARD, "latest", "http://127.0.0.1:1/")
