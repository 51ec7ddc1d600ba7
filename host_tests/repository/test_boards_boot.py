"""boards/boot.py on real MicroPython, with the network and the clock of a script."""

import json
import subprocess

import pytest

from common import boards, rigs
from support.programs import MICROPYTHONS

_NETWORK = '''
"""Plays a port's network module; what is asked of it is printed as "asked: ..."."""

import time

STA_IF = 0
{constants}
_up = {up!r}
_ssid = {ssid!r}


class WLAN:
    def __init__(self, interface):
        self._since = None

    def active(self, on):
        _asked("active", on)

    def connect(self, ssid, password):
        global _ssid, _up
        _asked("connect", ssid, len(password))
        {connect}
        _ssid, _up, self._since = ssid, False, time.slept

    def disconnect(self):
        _asked("disconnect")

    def config(self, name):
        return {{"ssid": _ssid}}[name]

    def isconnected(self):
        return _up or self._since is not None and time.slept - self._since >= {after_ms}

    def status(self):
        if self.isconnected():
            return STAT_GOT_IP
        return {before} if self._since is None else {status}

    def ifconfig(self):
        return ("192.168.1.23", "255.255.255.0", "192.168.1.1", "192.168.1.1")


def _asked(*what):
    print("asked:", *what)
'''
_TIME = '''
"""A clock that only counts how long it was to sleep."""

slept = 0


def sleep_ms(ms):
    global slept
    slept += ms
'''
_START = """
names = {"__name__": "__main__"}
with open("boot.py") as file:
    exec(file.read(), names)
import time
print("left:", *sorted(set(names) - {"__name__", "__builtins__"}))
print("slept:", time.slept)
"""
_PORTS = {
    "esp8266": {"IDLE": 0, "CONNECTING": 1, "WRONG_PASSWORD": 2, "NO_AP_FOUND": 3, "GOT_IP": 5},
    "esp32": {"IDLE": 1000, "CONNECTING": 1001, "WRONG_PASSWORD": 202, "NO_AP_FOUND": 201, "GOT_IP": 1010},
}
_NEVER = 1 << 20
_SECRET = "correct horse"
_WIFI = json.dumps({"ssid": "home", "password": _SECRET})
_SCRIPT = {"after_ms": 0, "status": "STAT_CONNECTING", "before": "STAT_IDLE", "up": False, "ssid": ""}
# boot.py is compiled on the board: the heap of an ESP8266, with the script in it.
_HEAPS = {"micropython32": "38k", "micropython64": "76k"}


@pytest.fixture(params=MICROPYTHONS)
def start(request, tmp_path):
    """Return a function that starts boot.py as a board does; it returns (lines printed, what was asked, ms slept).

    The network that is asked for is there after `after_ms`, until then `status` is told, before it is asked `before`.
    """

    def started(wifi=_WIFI, port="esp32", connect="pass", **script):
        (tmp_path / "boot.py").write_bytes(boards.BOOT.read_bytes())
        (tmp_path / "time.py").write_text(_TIME)
        if wifi is not None:
            (tmp_path / "wifi.json").write_text(wifi)
        if port:
            constants = "\n".join(f"STAT_{name} = {number}" for name, number in _PORTS[port].items())
            script = _SCRIPT | script | {"constants": constants, "connect": connect}
            (tmp_path / "network.py").write_text(_NETWORK.format(**script))
        command = [*rigs.command(request.param), "-X", f"heapsize={_HEAPS[request.param]}", "-c", _START]
        env = {"MICROPYPATH": f"{tmp_path}:.frozen"}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert _SECRET not in said
        *lines, left, slept = done.stdout.splitlines()
        assert left == "left:"
        asked = [line.removeprefix("asked: ") for line in lines if line.startswith("asked: ")]
        return [line for line in lines if not line.startswith("asked: ")], asked, int(slept.removeprefix("slept: "))

    return started


@pytest.mark.parametrize("port", _PORTS)
def test_boot_with_network_in_reach_connects_and_tells_the_address(start, port):
    lines, asked, slept = start(port=port, after_ms=2500)
    assert lines == ["wifi: connected to home as 192.168.1.23"]
    assert asked == ["active True", "connect home 13"]
    assert slept == 2500


@pytest.mark.parametrize("port", _PORTS)
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("STAT_CONNECTING", "no answer yet"),
        ("STAT_NO_AP_FOUND", "no such network in reach"),
        ("STAT_WRONG_PASSWORD", "wrong password"),
        ("15", "15"),
    ],
    ids=["no-answer", "no-network", "wrong-password", "another"],
)
def test_boot_without_connection_gives_up_waiting_and_says_why(start, port, status, reason):
    lines, asked, slept = start(port=port, after_ms=_NEVER, status=status)
    assert lines == [f"wifi: not connected to home: {reason}; goes on trying"]
    assert asked[-1] == "connect home 13"
    assert slept == 7000


@pytest.mark.parametrize("port", _PORTS)
def test_boot_after_soft_reset_leaves_the_connection_alone(start, port):
    lines, asked, slept = start(port=port, up=True, ssid="home")
    assert lines == ["wifi: connected to home as 192.168.1.23"]
    assert asked == ["active True"]
    assert slept == 0


def test_boot_when_connected_elsewhere_changes_the_network(start):
    lines, asked, _ = start(up=True, ssid="neighbour", after_ms=1000)
    assert lines == ["wifi: connected to home as 192.168.1.23"]
    assert asked == ["active True", "disconnect", "connect home 13"]


def test_boot_while_another_attempt_runs_ends_that_first(start):
    _, asked, _ = start(before="STAT_CONNECTING")
    assert asked == ["active True", "disconnect", "connect home 13"]


def test_boot_with_open_network_connects_without_password(start):
    lines, asked, _ = start(wifi='{"ssid": "café", "password": ""}')
    assert lines == ["wifi: connected to café as 192.168.1.23"]
    assert asked == ["active True", "connect café 0"]


def test_boot_without_wifi_json_says_so(start):
    assert start(wifi=None) == (["wifi: no wifi.json, so no network (try: make deploy ARGS=--wifi)"], [], 0)


@pytest.mark.parametrize(
    ("wifi", "text"),
    [
        ("", "ValueError"),
        ('{"ssid": "home", "password": "correct horse"', "ValueError"),
        ('{"ssid": "home", "password": "correct horse"\n', "ValueError"),
        ('{"password": "correct horse"}', "KeyError('ssid'"),
        ('{"ssid": "home"}', "KeyError('password'"),
        ('{"ssid": "", "password": "correct horse"}', "ssid and password are texts"),
        ('{"ssid": "home", "password": 12345678}', "ssid and password are texts"),
        ('["home", "correct horse"]', "TypeError"),
        ("null", "TypeError"),
        ("12", "TypeError"),
    ],
    ids=["empty", "cut", "cut-line", "no-ssid", "no-password", "empty-ssid", "number", "list", "null", "bare-number"],
)
def test_boot_with_wrong_wifi_json_names_the_fault_and_the_example(start, wifi, text):
    lines, asked, _ = start(wifi=wifi)
    assert len(lines) == 1
    assert lines[0].startswith("wifi: wifi.json is wrong: ")
    assert text in lines[0]
    assert lines[0].endswith(" (try: as in boards/wifi.example.json)")
    assert asked == []


@pytest.mark.parametrize("error", ["OSError('Wifi Internal State Error')", "RuntimeError('Wifi Unknown Error 0x0101')"])
def test_boot_when_the_firmware_fails_says_so_and_goes_on(start, error):
    lines, _, _ = start(connect=f"raise {error}")
    assert len(lines) == 1
    assert lines[0].startswith("wifi: not connected: " + error[:-1])


def test_boot_without_network_module_says_so_and_goes_on(start):
    lines, _, _ = start(port=None)
    assert len(lines) == 1
    assert lines[0].startswith("wifi: not connected: ImportError(")


def test_wifi_example_is_what_boot_reads(start):
    lines, asked, _ = start(wifi=boards.WIFI_EXAMPLE.read_text())
    assert lines == ["wifi: connected to the name of your network as 192.168.1.23"]
    assert len(asked) == 2


def test_wifi_json_is_ignored_by_git():
    ignored = (rigs.ROOT / ".gitignore").read_text().splitlines()
    assert f"/{boards.WIFI.relative_to(rigs.ROOT)}" in ignored
