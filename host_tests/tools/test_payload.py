"""tools/common/payload.py: what a board is given."""

import ast
import types

import pytest

from common import boards, compiler, payload, rigs

URL = "wss://host.example:99/"
STOCK_BOOT = """# This file is executed on every boot (including wake-boot from deepsleep)
#import esp
#esp.osdebug(None)
import os, machine
#os.dupterm(None, 1) # disable REPL on UART(0)
import gc
#import webrepl
#webrepl.start()
gc.collect()
"""


def facts(mpy=(6, 3, 9), march="xtensa"):
    return types.SimpleNamespace(mpy=mpy, march=march)


CLIENTS = {
    "esp8266": (facts(), False, "mpy", True, "compiled, masking in machine code for xtensa"),
    "older_machine_code": (facts((6, 2, 9)), False, "mpy", False, "the firmware loads .mpy of version 6.2"),
    "unknown_architecture": (facts((6, 3, 12), "rv64imc"), False, "mpy", False, "for rv64imc"),
    "no_machine_code": (facts((6, 3, 0), None), False, "mpy", False, "for no instruction set"),
    "no_mpy": (facts(None, None), False, "py", False, "the firmware loads no .mpy"),
    "another_version": (facts((7, 0, 9)), False, "py", False, "loads .mpy of version 7.0, mpy-cross makes 6.3"),
    "source": (facts(), True, "py", False, "plain .py, as asked for"),
}


@pytest.mark.parametrize(("told", "source", "end", "masker", "text"), CLIENTS.values(), ids=CLIENTS)
def test_client_for_a_board_is_what_it_can_load(told, source, end, masker, text):
    files, said = payload.client(told, source)
    names = {f"{path.stem}.{end}" for path in compiler.sources()} | ({payload.MASKER} if masker else set())
    assert set(files) == names <= set(payload.names())
    assert text in said
    assert all(path.name == name for name, path in files.items())
    assert list(files)[-1] == f"uwebsocket_client.{end}"


@pytest.mark.parametrize(("source", "end"), [(False, "mpy"), (True, "py")], ids=["compiled", "plain"])
def test_client_with_an_extra_has_its_module_before_the_client(source, end):
    without, _ = payload.client(facts(), source)
    files, _ = payload.client(facts(), source, ["asyncio"])
    assert set(files) - set(without) == {f"uwebsocket_asyncio.{end}"} <= set(payload.names())
    assert all(path.exists() and path.name == name for name, path in files.items())
    assert list(files)[-1] == f"uwebsocket_client.{end}"


def test_example_that_imports_an_extra_needs_it():
    assert {name: payload.needs(name) for name in payload.example_names() if payload.needs(name)} == {
        "sensor_asyncio": ["asyncio"]
    }


@pytest.mark.parametrize("name", payload.example_names())
def test_example_with_url_names_that_server_and_its_own_path(name):
    plain, text = payload.example(name), payload.example(name, URL)
    assert "192.168.1.1" in plain and "192.168.1.1" not in text
    ast.parse(text)
    assert text.count(URL) == plain.count("s://192.168.1.1")  # of ws and wss
    assert ("/hello?size=100000" in text) == (name == "download")


def test_example_with_path_in_the_url_uses_it():
    assert f'URL = "{URL}other?a=1"' in payload.example("download", f"{URL}other?a=1")


def test_example_with_quotes_in_the_url_keeps_them_in_the_literal():
    text = payload.example("echo", 'ws://host/"\\+exit()+"')
    assert ast.literal_eval(payload.servers(text)[0]) == 'ws://host/"\\+exit()+"'


@pytest.mark.parametrize(
    "text",
    ["http://host/", "host", "", "ws://", "ws:///path", "ws://host:port/", "ws://host/a b", "ws://h\xf6st/", "ws://[::1",
     "ws://host/\n"],
)  # fmt: skip
def test_server_url_of_anything_else_is_refused(text):
    with pytest.raises(ValueError):
        payload.server_url(text)


@pytest.mark.parametrize("text", ["ws://192.168.1.10:8080/", "wss://host", "ws://user:secret@host/a?b=c"])
def test_server_url_of_a_server_comes_back_as_it_is(text):
    assert payload.server_url(text) == text


REPLACED = {
    "stock_boot": ("boot.py", STOCK_BOOT, True),
    "older_stock_boot": ("boot.py", STOCK_BOOT.replace("import os", "import uos"), True),
    "empty_boot": ("boot.py", "", True),
    "boot_with_webrepl": ("boot.py", STOCK_BOOT.replace("#webrepl", "webrepl"), False),
    "boot_of_a_user": ("boot.py", "import network\n", False),
    "example": ("main.py", payload.example("echo"), True),
    "example_with_a_server": ("main.py", payload.example("reconnect", URL), True),
    "edited_example": ("main.py", payload.example("background") + "\nprint(1)\n", False),
    "main_of_a_user": ("main.py", "print('hello')\n", False),
    "main_that_does_not_parse": ("main.py", "print('hello'\n", False),
    "main_with_a_null": ("main.py", "\0", False),
}


@pytest.mark.parametrize(("name", "text", "may"), REPLACED.values(), ids=REPLACED)
def test_file_of_the_board_may_be_replaced_only_if_nobody_wrote_it(name, text, may):
    assert payload.may_replace(name, text) is may


def test_wifi_with_a_good_file_adds_the_boot_file(tmp_path):
    (tmp_path / "wifi.json").write_text('{"ssid": "home", "password": "secret"}')
    assert payload.wifi(tmp_path / "wifi.json") == {"/boot.py": boards.BOOT, "/wifi.json": tmp_path / "wifi.json"}


BAD_WIFI = {
    "no_json": ("home, secret", "is no JSON"),
    "no_object": ("[]", 'lacks "ssid" or "password"'),
    "no_password": ('{"ssid": "home"}', 'lacks "ssid" or "password"'),
    "password_a_number": ('{"ssid": "home", "password": 1234}', 'lacks "ssid" or "password"'),
    "no_text": (b"\xff\xfe", "is no JSON"),
}


@pytest.mark.parametrize(("content", "text"), BAD_WIFI.values(), ids=BAD_WIFI)
def test_wifi_with_a_bad_file_says_what_to_write(tmp_path, content, text):
    (tmp_path / "wifi.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(payload.PayloadError, match=text) as failure:
        payload.wifi(tmp_path / "wifi.json")
    assert str(failure.value).endswith("(try: as in wifi.example.json)")


def test_wifi_without_the_file_says_how_to_make_it(tmp_path):
    with pytest.raises(payload.PayloadError, match=r"No such file.*\(try: cp boards/wifi.example.json "):
        payload.wifi(tmp_path / "wifi.json")


def test_cross_version_asked_is_that_of_the_files_that_it_makes():
    version, sub_version = payload.cross_version()
    header = next(iter(payload.client(facts())[0].values())).read_bytes()
    assert header[0:1] == b"M" and header[1] == version
    masker = (rigs.mpy_folder("xtensa") / payload.MASKER).read_bytes()
    assert masker[2] & 3 == sub_version
