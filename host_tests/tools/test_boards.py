"""boards/: what the tools know about each board, held against its schema, esptool and mpy-cross; tools/boards.py."""

import fnmatch
import json
import re

import jsonschema
import pytest
from esptool.targets import CHIP_DEFS

import boards as boards_tool
from common import boards, compiler
from fakes import bootloader

NAMES = boards.names()
EVERY_BOARD = pytest.mark.parametrize("name", NAMES)
HEADINGS = ["Firmware", "USB and wiring", "Download mode", "Reset", "Limits", "Quirks"]


def page(name):
    """Return board.md, its line breaks undone."""
    return " ".join((boards.FOLDER / name / "board.md").read_text().split())


@pytest.fixture
def board_file(tmp_path):
    """Return a function that writes a board.json with changed keys, and returns its path."""

    def written(change=None, text=None):
        data = json.loads((boards.FOLDER / "ESP32_GENERIC" / "board.json").read_text())
        if change:
            change(data)
        path = tmp_path / "boards" / "MINE" / "board.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(data) if text is None else text)
        return path

    return written


def test_names_are_those_of_the_folders():
    assert {"ESP8266_GENERIC", "ESP32_GENERIC"} < set(NAMES)
    assert {path.name for path in boards.FOLDER.iterdir() if path.is_dir()} == set(NAMES)


def test_each_chip_has_one_board():
    assert len({boards.load(name).chip for name in NAMES}) == len(NAMES)


def test_schema_is_a_json_schema():
    jsonschema.Draft202012Validator.check_schema(json.loads((boards.FOLDER / "board.schema.json").read_text()))


@EVERY_BOARD
def test_board_loads_under_its_own_name(name):
    board = boards.load(name)
    assert (board.name, board.folder) == (name, boards.FOLDER / name)


@EVERY_BOARD
def test_chip_is_one_that_esptool_knows_under_that_name(name):
    board = boards.load(name)
    assert CHIP_DEFS[board.chip].CHIP_NAME.lower().replace("-", "") == board.chip


@EVERY_BOARD
def test_flash_offset_is_where_the_chip_looks(name):
    board = boards.load(name)
    assert board.flash.offset == CHIP_DEFS[board.chip].BOOTLOADER_FLASH_OFFSET


@EVERY_BOARD
def test_flash_values_are_what_the_chip_can(name):
    board = boards.load(name)
    assert board.flash.freq in ("keep", *CHIP_DEFS[board.chip].FLASH_FREQUENCY)
    assert board.flash.size in ("keep", "detect", *CHIP_DEFS[board.chip].FLASH_SIZES)


@EVERY_BOARD
def test_machine_code_is_that_of_the_core(name):
    board = boards.load(name)
    if board.chip == "esp8266":
        assert board.march == "xtensa"
    elif issubclass(CHIP_DEFS[board.chip], CHIP_DEFS["esp32c3"]):  # as esptool has all of Espressif's RISC-V chips
        assert board.march == "rv32imc"
    else:
        assert board.march == "xtensawin"
    assert board.march in compiler.ARCHITECTURES


@EVERY_BOARD
def test_platform_and_tls_are_those_of_the_port(name):
    board = boards.load(name)
    if board.chip == "esp8266":
        assert (board.platform, board.tls) == ("esp8266", boards.Tls("axtls", False))
        assert board.oldest >= (1, 22)
    else:
        assert (board.platform, board.tls) == ("esp32", boards.Tls("mbedtls", True))
        assert board.oldest >= (1, 23)


@EVERY_BOARD
def test_variants_begin_with_the_standard_one_and_differ(name):
    variants = boards.load(name).variants
    assert variants[0].name == ""
    assert len({variant.name for variant in variants}) == len(variants)


@EVERY_BOARD
def test_each_firmware_file_belongs_to_one_variant_of_one_board(name):
    for variant in boards.load(name).variants:
        stem = f"{name}-{variant.name}" if variant.name else name
        for version in ("20250415-v1.25.0", "20260705-v1.29.0-preview.123.g9458e3a23f"):
            file = f"{stem}-{version}.bin"
            found = [
                (board.name, other.name)
                for board in map(boards.load, NAMES)
                for other in board.variants
                if fnmatch.fnmatchcase(file, other.firmware)
            ]
            assert found == [(name, variant.name)]


@EVERY_BOARD
def test_url_is_the_page_of_the_board(name):
    assert {variant.url for variant in boards.load(name).variants} == {f"https://micropython.org/download/{name}/"}


@EVERY_BOARD
def test_page_has_every_heading_in_order(name):
    text = (boards.FOLDER / name / "board.md").read_text()
    assert text.startswith(f"# {name}: ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS


@EVERY_BOARD
def test_page_and_data_say_the_same(name):
    board, text = boards.load(name), page(name)
    timers = f"{board.timers} in hardware" if board.timers else "any number, all in software"
    assert f"flash offset {board.flash.offset:#x}" in text
    assert f"**Heap:** {board.heap_kib} KiB" in text
    assert f"**Machine code** (`{board.march}`)" in text
    assert f"MicroPython {'.'.join(map(str, board.oldest))} or later" in text
    assert f"**Timers:** {timers}" in text
    assert board.variants[0].url in text
    assert ("axTLS): verifies nothing" in text) is not board.tls.verifies
    assert ("mbedTLS): verifies, where" in text) is board.tls.verifies
    assert "serial bridge" in text
    assert ("ID 303a:" in text) is (board.usb != "bridge")
    for variant in board.variants[1:]:
        assert f"`{variant.name}`" in text


@EVERY_BOARD
def test_page_says_that_no_physical_board_was_tried(name):
    assert "**Never tried on a physical board**" in page(name)


def test_esp8266_variants_say_what_does_not_work():
    variants = {variant.name: variant for variant in boards.load("ESP8266_GENERIC").variants}
    assert list(variants) == ["", "FLASH_1M", "FLASH_2M_ROMFS", "FLASH_512K"]
    assert [variant.flash_kib for variant in variants.values()] == [2048, 1024, 2048, 512]
    assert [name for name, variant in variants.items() if variant.romfs] == ["FLASH_2M_ROMFS"]
    assert [name for name, variant in variants.items() if not variant.mpy] == ["FLASH_512K"]
    assert "no file system" in variants["FLASH_512K"].note


def _set(*path, to):
    def change(data):
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = to

    return change


def _delete(*path):
    def change(data):
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_delete("chip"), "the file: 'chip' is a required property"),
        (_delete("flash", "baud"), "flash: 'baud' is a required property"),
        (_delete("variants", 1, "mpy"), "variants[1]: 'mpy' is a required property"),
        (_set("colour", to="red"), "the file: Additional properties are not allowed ('colour' was unexpected)"),
        (_set("flash", "speed", to=1), "flash: Additional properties are not allowed ('speed' was unexpected)"),
        (_set("flash", "offset", to="4096"), "flash.offset: '4096' does not match"),
        (_set("flash", "offset", to="0x1g"), "flash.offset: '0x1g' does not match"),
        (_set("flash", "offset", to=4096), "flash.offset: 4096 is not of type 'string'"),
        (_set("flash", "mode", to="fast"), "flash.mode: 'fast' is not one of"),
        (_set("heap_kib", to="56"), "heap_kib: '56' is not of type 'integer'"),
        (_set("oldest", to="new"), "oldest: 'new' does not match"),
        (_set("tls", "library", to="openssl"), "tls.library: 'openssl' is not one of"),
        (_set("variants", to=[]), "variants: [] should be non-empty"),
        (_set("variants", 0, "firmware", to="../x.bin"), "variants[0].firmware: '../x.bin' does not match"),
    ],
    ids=[
        "missing-key", "missing-in-flash", "missing-in-variant", "unknown-key", "unknown-in-flash", "offset-decimal",
        "offset-not-hexadecimal", "offset-number", "mode", "heap-text", "oldest", "tls-library", "no-variant", "path",
    ],
)  # fmt: skip
def test_read_of_wrong_board_names_the_file_and_the_key(board_file, change, told):
    with pytest.raises(ValueError) as raised:
        boards.read(board_file(change))
    assert str(raised.value).startswith(f"boards/MINE/board.json: {told}")


@pytest.mark.parametrize("text", ["", "{", '{"chip": "esp32",}', "[]", "null"])
def test_read_of_what_is_no_board_names_the_file(board_file, text):
    with pytest.raises(ValueError, match=r"^boards/MINE/board\.json: ") as raised:
        boards.read(board_file(text=text))
    assert "\n" not in str(raised.value)


def test_load_of_unknown_name_lists_the_names():
    with pytest.raises(ValueError, match=r"^no board is called 'ESP32' \(one of: ESP32_GENERIC, .*ESP8266_GENERIC\)$"):
        boards.load("ESP32")


@pytest.mark.parametrize("chip", ["esp32c3", "ESP32-C3", "ESP32C3"])
def test_for_chip_takes_the_names_of_the_chip(chip):
    assert boards.for_chip(chip).name == "ESP32_GENERIC_C3"


def test_for_chip_of_unknown_chip_lists_the_chips():
    with pytest.raises(ValueError, match=r"^no board has the chip 'esp32p4' \(one of: esp32, .*esp8266\)$"):
        boards.for_chip("esp32p4")


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("ESP module with ESP8266", "ESP8266_GENERIC"),
        ("ESP module (1M) with ESP8266", "ESP8266_GENERIC"),
        ("Generic ESP32 module with ESP32", "ESP32_GENERIC"),
        ("Generic ESP32 module with SPIRAM with ESP32", "ESP32_GENERIC"),
        ("Generic ESP32 module with ESP32-UNICORE", "ESP32_GENERIC"),
        ("Generic ESP32 module with ESP32-D2WD", "ESP32_GENERIC"),
        ("Generic ESP32S2 module with ESP32S2", "ESP32_GENERIC_S2"),
        ("Generic ESP32S3 module with Octal-SPIRAM with ESP32-S3", "ESP32_GENERIC_S3"),
        ("ESP32C3 module with ESP32-C3", "ESP32_GENERIC_C3"),
        *((f"{chip.upper()} module with {chip.upper()}", boards.for_chip(chip).name) for chip in bootloader.CHIPS),
    ],
)
def test_for_machine_finds_the_board_of_what_micropython_says(machine, name):
    assert boards.for_machine(machine).name == name


@pytest.mark.parametrize(
    "machine", ["Generic ESP32P4 module with ESP32P4", "Raspberry Pi Pico with RP2040", "linux", ""]
)
def test_for_machine_of_another_chip_lists_the_boards(machine):
    with pytest.raises(ValueError, match=r"^no board is known for '.*' \(one of: ESP32_GENERIC, "):
        boards.for_machine(machine)


def test_main_lists_the_boards(capsys):
    assert boards_tool.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(NAMES)


def test_main_with_name_lists_the_variants(capsys):
    assert boards_tool.main(["ESP8266_GENERIC"]) == 0
    out = capsys.readouterr().out
    assert "FLASH_1M        ESP8266_GENERIC-FLASH_1M-2*.bin        1 MiB" in out
    assert "https://micropython.org/download/ESP8266_GENERIC/" in out
    assert "boards/ESP8266_GENERIC/board.md" in out


def test_main_with_unknown_name_fails_in_one_line(capsys):
    assert boards_tool.main(["ARDUINO"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("boards: no board is called 'ARDUINO' (one of: ")
    assert said.err.count("\n") == 1


def test_main_with_two_names_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        boards_tool.main(["ESP32_GENERIC", "ESP8266_GENERIC"])
    assert ended.value.code == 2
