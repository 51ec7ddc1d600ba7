"""Asks the board about its Wi-Fi."""


def step():
    """Return whether there is a link, the board's address, its net mask and the signal; None for what is unknown."""
    said = {"up": None, "address": None, "mask": None, "rssi": None}
    try:
        import network
    except ImportError:
        return said
    station = network.WLAN(network.STA_IF)
    if station.active():
        said["up"] = station.isconnected()
        try:
            said["rssi"] = station.status("rssi")
        except Exception:  # not every port knows the signal, and each says so in its own way
            pass
    point = network.WLAN(network.AP_IF)
    wlan = station if said["up"] else point if point.active() else None
    if wlan:
        said["up"] = True
        said["address"], said["mask"] = wlan.ifconfig()[:2]
    return said
