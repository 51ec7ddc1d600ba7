"""MicroPython's `network` as a virtual board has it: a station and an access point, without radio.

Whether the station's network is in reach the host decides, see VirtualBoard.wifi() in tools/common/virtual_board.py.
With its loss open sockets end, as they do on the ESP32; that needs `ffi` (32-bit).
"""

import board_signals

STA_IF = 0
AP_IF = 1

STAT_IDLE = 0
STAT_CONNECTING = 1
STAT_WRONG_PASSWORD = 2
STAT_NO_AP_FOUND = 3
STAT_CONNECT_FAIL = 4
STAT_GOT_IP = 5

_SIGURG = 23  # ignored by a process that does not ask for it
_DESCRIPTORS = 64

_link = None  # a file of the host: "1" while the network is in reach; then "!" once this program has noticed a change
_name = "virtual"
_interfaces = {}


def _in_reach():
    _link.seek(0)
    return _link.read(1) == b"1"


def _end_sockets(_=None):
    """End every socket of this process where Wi-Fi is down; `shutdown` refuses other descriptors by itself."""
    if board_signals.libc and not WLAN(STA_IF).isconnected():
        shutdown = board_signals.libc.func("i", "shutdown", "ii")
        for descriptor in range(3, _DESCRIPTORS):
            shutdown(descriptor, 2)


class WLAN:
    """The interface of that id, always the same object."""

    IF_STA = STA_IF
    IF_AP = AP_IF

    def __new__(cls, id=STA_IF):
        if id not in (STA_IF, AP_IF):
            raise ValueError("invalid WLAN interface identifier")
        if id not in _interfaces:
            _interfaces[id] = self = object.__new__(cls)
            self._id = id
            self._active = False
            self._wanted = False
            self._config = {"ssid": "", "mac": b"\x02\x00\x00\x00\x00" + bytes([id])}
        return _interfaces[id]

    def active(self, on=None):
        """Switch the interface on or off, or tell which."""
        if on is None:
            return self._active
        self._active = bool(on)
        if not on:
            self.disconnect()

    def connect(self, ssid=None, key=None, **options):
        """Connect the station; at once if the network is in reach, else as soon as it is."""
        self._active = True
        self._wanted = True
        if ssid is not None:
            self._config["ssid"] = ssid

    def disconnect(self):
        """Leave the network."""
        self._wanted = False
        if self._id == STA_IF:
            _end_sockets()

    def isconnected(self):
        """Tell whether the station has a link."""
        return self._id == STA_IF and self._active and self._wanted and _in_reach()

    def status(self, what=None):
        """Tell how far the connection is, or the signal's strength with "rssi"."""
        if what == "rssi":
            return -50
        if self.isconnected():
            return STAT_GOT_IP
        return STAT_NO_AP_FOUND if self._active and self._wanted else STAT_IDLE

    def ifconfig(self, addresses=None):
        """Return the addresses: those of loopback, the only network that there is."""
        ip = "127.0.0.1" if self.isconnected() or self._id == AP_IF and self._active else "0.0.0.0"
        return (ip, "255.0.0.0", "0.0.0.0", "0.0.0.0")

    def config(self, *names, **values):
        """Return one value, or set some."""
        for name, value in values.items():
            self._config["ssid" if name == "essid" else name] = value
        if names:
            return self._config["ssid" if names[0] == "essid" else names[0]]

    def scan(self):
        """Return the one network."""
        return [(b"virtual", b"\x02\x00\x00\x00\x00\xff", 1, -50, 3, False)] if self._active and _in_reach() else []


def hostname(name=None):
    """Set or return the name of the board in the network."""
    global _name
    if name is None:
        return _name
    _name = name


def _notice(_):
    _end_sockets()
    _link.seek(1)
    _link.write(b"!")


board_signals.on_signal(_SIGURG, _notice)
